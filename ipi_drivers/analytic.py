"""Forces given by formulas: tests, demonstrations and calibration, with numpy alone.

``--model harmonic`` or ``--model lennard-jones``; ``--arguments`` sets their parameters, or a JSON
file in the place of the name, ``{"model": NAME, ...}``.  The formulas, and what is known of the
direct forces (Jacobian, work along a loop), are in ``formulas.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError
from ncforce_ipi.serve.options import parse_object

from . import conversion
from .formulas import Harmonic, LennardJones

FORCES = "conservative, direct"
MODELS: dict[str, type[Harmonic] | type[LennardJones]] = {
    "harmonic": Harmonic,
    "lennard-jones": LennardJones,
}


def load(
    model: str,
    *,
    device: str | None = None,
    dtype: Literal["float64"] | None = None,
    threads: int = 1,
    trust: bool = False,
    arguments: Mapping[str, Any] | None = None,
) -> AnalyticBackend:
    """Make the model of this name; numpy on a CPU, whatever the device.

    Parameters
    ----------
    model : harmonic, lennard-jones, or a JSON file
    device, threads, trust : of no use here
    dtype : formulas are computed in float64
    arguments : parameters of the model

    Raises
    ------
    InputError
        No such model, no such parameter, or not JSON.
    """
    source = None if model in MODELS else Path(model)
    values: dict[str, Any] = {"model": model}
    if source:
        if not source.is_file():
            raise InputError(f"--model: expected {', '.join(MODELS)} or a JSON file, got {model!r}")
        values = parse_object(source.read_text(encoding="utf-8"), str(source))
    values |= arguments or {}
    name = values.pop("model", None)
    if name not in MODELS:
        raise InputError(f'{source}: expected "model": {" or ".join(MODELS)}, got {name!r}')
    known = [field.name for field in fields(MODELS[name])]
    if unknown := sorted(set(values) - set(known)):
        raise InputError(f"{name} has no {', '.join(unknown)}; it has {', '.join(known)}")
    for key, value in values.items():
        if key != "sites_A" and not isinstance(value, int | float):
            raise InputError(f"{key}: expected a number, got {value!r}")
    return AnalyticBackend(name, MODELS[name](**values), source)


class AnalyticBackend(Backend):
    """A formula as a model; see ``ncforce_ipi.backend.Backend``.  All species are the same."""

    kinds = stress = frozenset[Kind](["conservative", "direct"])
    direct_energy = True
    dtype = "float64"

    def __init__(self, name: str, model: Harmonic | LennardJones, source: Path | None) -> None:
        self.description = f"{name} (analytic, float64)"
        self.source = source
        self._model = model

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """Both kinds from one pass; a direct energy is that of the conservative forces."""
        conversion.check_request(self, structure, wanted)
        energy, forces, virial, swirl, swirl_virial = self._model.evaluate(structure)
        result: dict[Kind, Evaluation] = {}
        if "conservative" in wanted.kinds:
            result["conservative"] = Evaluation(energy, forces, conversion.symmetric(virial))
        if "direct" in wanted.kinds:
            nothing = np.full((3, 3), np.nan)
            w = conversion.symmetric(virial + swirl_virial) if wanted.direct_virial else nothing
            e = energy if wanted.direct_energy else np.nan
            result["direct"] = Evaluation(e, forces + swirl, w)
        return result
