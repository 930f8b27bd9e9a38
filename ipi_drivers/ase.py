"""Any calculator of ASE: ``--model module:Class``, with its keywords as ``--arguments``.

Owns the way from a structure to ``Calculator.calculate`` and back.  Forces are conservative: ASE
knows no other kind, and a calculator that gives something else is not found out here.  The energy
is ASE's ``free_energy`` where the calculator has it: that is what its forces are the gradient of.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError

from . import conversion, loading
from .options import require_trust

FORCES = "conservative"
NO_STRESS = (
    '; some give a stress if asked in --arguments (SO3LR: "compute_stress": true); '
    "--no-virial runs NVE and NVT without it"
)
TOLERATED_CELLS = 4.0  # springs to fixed sites have no images


def load(
    model: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    threads: int = 1,
    trust: bool = False,
    arguments: Mapping[str, Any] | None = None,
    info: Mapping[str, Any] | None = None,
    virial: bool = True,
) -> AseBackend:
    """Make the calculator that ``model`` and ``arguments`` name.

    Parameters
    ----------
    model : module:Class of the calculator
    device : cpu; other devices, where a calculator has any, are among its arguments
    dtype : not here: types, where a calculator has any, are among its arguments
    threads : that torch may use
    trust : whether files among the arguments may be unpickled
    arguments : keyword arguments of the calculator
    info : what the atoms' ``info`` says to a calculator that reads it, as '{"charge": -1}'
    virial : send the virial; --no-virial is for calculators without stress

    Raises
    ------
    InputError
        These options are no calculator, or name a file that needs ``trust``.
    ModelError
        ASE or the calculator's module is missing, or it has no forces or no stress.
    """
    keywords = dict(arguments or {})
    files = list(_files(keywords))
    for path in files:  # what a calculator does with a file isn't known here: many unpickle it
        require_trust(path, trust)
    for name, value in (("device", device), ("dtype", dtype)):
        if value not in (None, "cpu"):
            raise InputError(
                f"--{name} {value}: an ASE calculator takes its {name}, if it has one, "
                "among its --arguments"
            )
    loading.prepare(threads)
    return AseBackend(_make(model, keywords), _describe(model), virial, files, info or {})


def _files(value: object) -> Iterator[Path]:
    """Every file that is named in arguments, however deep."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _files(each)
    elif isinstance(value, str):
        with contextlib.suppress(
            OSError, ValueError, RuntimeError
        ):  # no path: long, a NUL, ~nobody
            path = Path(value).expanduser()
            if path.is_file():
                yield path


def _make(name: str, arguments: dict[str, Any]) -> Any:
    """Import ``module:Class`` and call it."""
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        raise InputError(f"--model: expected module:Class of an ASE calculator, got {name!r}")
    try:
        with loading.quiet():
            importlib.import_module("ase")
            factory = getattr(importlib.import_module(module), attribute)
    except ImportError as err:
        raise loading.missing("ase", err) from err
    except AttributeError as err:
        raise InputError(f"--model {name}: {err}") from err
    try:
        with loading.quiet():
            return factory(**arguments)
    except Exception as err:  # of any kind: it is somebody's constructor
        raise ModelError(f"{name} can't be made with {arguments}: {loading.one_line(err)}") from err


def _describe(name: str) -> str:
    """Name and version, and ASE's: the identity of a model without a file."""
    top = name.partition(":")[0].split(".")[0]
    versions = []
    for module in dict.fromkeys((top, "ase")):
        names = metadata.packages_distributions().get(module, [])
        versions += [f"{names[0]} {metadata.version(names[0])}"] if names else []
    return f"{name} ({', '.join(versions)})"


class AseBackend(Backend):
    """An ASE calculator, which doesn't say its species; see ``ncforce_ipi.backend.Backend``."""

    kinds = frozenset[Kind](["conservative"])

    def __init__(
        self,
        calculator: Any,
        description: str,
        virial: bool,
        files: list[Path],
        info: Mapping[str, Any],
    ) -> None:
        implemented = getattr(calculator, "implemented_properties", ())
        needed = {"energy", "forces", *["stress"] * virial}
        if lacking := needed - set(implemented):
            raise ModelError(
                f"{description} has no {' and no '.join(sorted(lacking))}"
                + ("; --no-virial runs NVE and NVT without it" if lacking == {"stress"} else "")
            )
        self.description = description
        self.source = files[0] if files else None
        self.stress = self.kinds if virial else frozenset()
        self._calculator = calculator
        self._energy = "free_energy" if "free_energy" in implemented else "energy"
        self._info = dict(info)
        self._atoms: Any = None

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """One call of the calculator for energy, forces and stress."""
        conversion.check_request(self, structure, wanted)
        periodic = conversion.periodicity(structure)
        stress = ["stress"] * (bool(self.stress) and periodic)
        results = self._calculate(
            self._update(structure, periodic), [self._energy, "forces", *stress]
        )
        forces = np.array(results["forces"], np.float64)
        virial = np.full((3, 3), np.nan)
        if stress:
            virial = conversion.virial(results["stress"], structure.cell)
        elif self.stress:
            virial = conversion.open_virial(structure, forces)
        return {"conservative": Evaluation(float(results[self._energy]), forces, virial)}

    def _update(self, structure: Structure, periodic: bool) -> Any:
        """The Atoms of the last call moved, so that a calculator may go on from its last state."""
        import ase

        if self._atoms is None or not np.array_equal(self._atoms.numbers, structure.numbers):
            self._calculator.reset()
            self._atoms = ase.Atoms(structure.numbers, info=dict(self._info))
        self._atoms.set_cell(conversion.right_handed(structure.cell))
        self._atoms.set_pbc(periodic)
        self._atoms.set_positions(conversion.at_home(structure, TOLERATED_CELLS))
        return self._atoms

    def _calculate(self, atoms: Any, properties: list[str]) -> Mapping[str, Any]:
        """``calculate`` for all properties at once; ``get_property`` would call it for each."""
        try:
            changes = self._calculator.check_state(atoms)
            with loading.quiet():
                self._calculator.calculate(atoms, properties, changes)
        except Exception as err:  # of any kind: it is somebody's calculator
            where = "" if atoms.pbc.all() else " on a structure without a cell"
            why = loading.one_line(err)
            why += NO_STRESS if "stress" in properties and "stress" in why else ""
            raise ModelError(f"{self.description} failed{where}: {why}") from err
        results: Mapping[str, Any] = self._calculator.results
        if lacking := [name for name in properties if results.get(name) is None]:
            hint = NO_STRESS if lacking == ["stress"] else ""
            raise ModelError(f"{self.description} gave no {' and no '.join(lacking)}{hint}")
        return results
