"""Forces given by formulas: tests, demonstrations and calibration, with numpy alone.

``--model harmonic`` or ``--model lennard-jones``; ``--arguments`` sets their parameters, or a JSON
file in the place of the name, ``{"model": NAME, ...}``.  The formulas, and what is known of the
direct forces (Jacobian, work along a loop), are in ``formulas.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError

from . import conversion
from .formulas import Harmonic, LennardJones
from .options import parse_object

FORCES = "conservative, direct"
MODELS: dict[str, type[Harmonic] | type[LennardJones]] = {
    "harmonic": Harmonic,
    "lennard-jones": LennardJones,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that only analytic models have."""
    parser.add_argument("--arguments", metavar="JSON", default="{}",
                        help="parameters of the model, a JSON object")  # fmt: skip


def load(args: argparse.Namespace) -> AnalyticBackend:
    """Make the model that ``--model`` and ``--arguments`` name.

    Raises
    ------
    InputError
        No such model, no such parameter, or not JSON.
    """
    source = None if args.model in MODELS else Path(args.model)
    arguments: dict[str, Any] = {"model": args.model}
    if source:
        if not source.is_file():
            raise InputError(
                f"--model: expected {', '.join(MODELS)} or a JSON file, got {args.model!r}"
            )
        arguments = parse_object(source.read_text(encoding="utf-8"), str(source))
    arguments |= parse_object(args.arguments, "--arguments")
    name = arguments.pop("model", None)
    if name not in MODELS:
        raise InputError(f'{source}: expected "model": {" or ".join(MODELS)}, got {name!r}')
    known = [field.name for field in fields(MODELS[name])]
    if unknown := sorted(set(arguments) - set(known)):
        raise InputError(f"{name} has no {', '.join(unknown)}; it has {', '.join(known)}")
    for key, value in arguments.items():
        if key != "sites_A" and not isinstance(value, int | float):
            raise InputError(f"{key}: expected a number, got {value!r}")
    return AnalyticBackend(name, MODELS[name](**arguments), source)


class AnalyticBackend:
    """A formula as a model; see ``ncforce_ipi.backend.Backend``."""

    kinds: frozenset[Kind] = frozenset(["conservative", "direct"])
    species: frozenset[int] | None = None  # all are the same

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
