"""Any calculator of ASE: ``--model module:Class``, with ``--arguments`` as a JSON object.

Owns the way from a structure to ``Calculator.calculate`` and back.  Forces are conservative: ASE
knows no other kind, and a calculator that gives something else is not found out here.  The energy
is ASE's ``free_energy`` where the calculator has it: that is what its forces are the gradient of.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError

from . import conversion, loading
from .options import parse_object, require_trust

FORCES = "conservative"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that only ASE calculators have."""
    parser.add_argument("--arguments", metavar="JSON", default="{}",
                        help="keyword arguments of the calculator, a JSON object")  # fmt: skip
    parser.add_argument("--no-virial", action="store_true",
                        help="send 0 as virial; for calculators without stress")  # fmt: skip


def load(args: argparse.Namespace) -> AseBackend:
    """Make the calculator that ``--model`` and ``--arguments`` name.

    Raises
    ------
    InputError
        These options are no calculator, or name a file that needs ``--trust``.
    ModelError
        ASE or the calculator's module is missing, or it has no forces or no stress.
    """
    arguments = parse_object(args.arguments, "--arguments")
    files = [Path(v) for v in arguments.values() if isinstance(v, str) and Path(v).is_file()]
    for path in files:  # what a calculator does with a file isn't known here: many unpickle it
        require_trust(path, args.trust)
    if args.device not in (None, "cpu"):
        raise InputError(
            f"--device {args.device}: an ASE calculator takes its device, if it has one, "
            "among its --arguments"
        )
    loading.prepare(args.threads)
    calculator = _make(args.model, arguments)
    return AseBackend(calculator, _describe(args.model), not args.no_virial, files)


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


class AseBackend:
    """An ASE calculator; see ``ncforce_ipi.backend.Backend``."""

    kinds: frozenset[Kind] = frozenset(["conservative"])
    species: frozenset[int] | None = None  # calculators don't say

    def __init__(self, calculator: Any, description: str, virial: bool, files: list[Path]) -> None:
        implemented = getattr(calculator, "implemented_properties", ())
        needed = {"energy", "forces", *["stress"] * virial}
        if lacking := needed - set(implemented):
            raise ModelError(
                f"{description} has no {' and no '.join(sorted(lacking))}"
                + ("; --no-virial runs NVE and NVT without it" if lacking == {"stress"} else "")
            )
        self.description = description + ("" if virial else ", virial sent as 0")
        self.source: Path | None = files[0] if files else None
        self._calculator = calculator
        self._virial = virial
        self._energy = "free_energy" if "free_energy" in implemented else "energy"
        self._atoms: Any = None

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """One call of the calculator for energy, forces and stress."""
        conversion.check_request(self, structure, wanted)
        periodic = conversion.periodicity(structure)
        stress = ["stress"] * (self._virial and periodic)
        results = self._calculate(
            self._update(structure, periodic), [self._energy, "forces", *stress]
        )
        forces = np.array(results["forces"], np.float64)
        virial = np.zeros((3, 3))
        if stress:
            virial = conversion.virial(results["stress"], structure.cell)
        elif self._virial:
            virial = conversion.open_virial(structure, forces)
        return {"conservative": Evaluation(float(results[self._energy]), forces, virial)}

    def _update(self, structure: Structure, periodic: bool) -> Any:
        """The Atoms of the last call moved, so that a calculator may go on from its last state."""
        import ase

        if self._atoms is None or not np.array_equal(self._atoms.numbers, structure.numbers):
            self._calculator.reset()
            self._atoms = ase.Atoms(structure.numbers)
        self._atoms.set_cell(structure.cell)
        self._atoms.set_pbc(periodic)
        self._atoms.set_positions(structure.positions)
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
            raise ModelError(f"{self.description} failed{where}: {why}") from err
        return self._calculator.results
