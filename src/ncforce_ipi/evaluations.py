"""Calls a model and looks at what it returned: the one place for all models and all callers.

Owns what is checked of a result (how many, which kinds, shapes, types, finite numbers) and how that
is said.  Whoever wants forces of a ``Backend`` asks here, so that a fault of a model is said with
its cause before it becomes a wrong number, a traceback, or the end of somebody's socket.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError, NcforceError, OutputError
from ncforce_ipi.species import SYMBOLS

Results = dict[Kind, Evaluation]
MAY_PASS = (RuntimeError, OSError, MemoryError)  # a GPU that fell out, memory that others took


def evaluate(backend: Backend, structure: Structure, wanted: Wanted) -> Results:
    """The wanted kinds of one structure; as ``evaluate_all``."""
    (results,) = evaluate_all(backend, [structure], wanted)
    return results


def evaluate_all(
    backend: Backend, structures: Sequence[Structure], wanted: Wanted
) -> list[Results]:
    """The wanted kinds of each structure, in one call of the model where it takes batches.

    Raises
    ------
    ModelError
        The model refuses or fails; another process may do better.
    OutputError
        A fault of its code, or it returned something else than numbers of the right number,
        shape and type, all finite that must be.  One line: the model, the kind of force, the
        structure of the batch, the atom, what was got and expected.
    """
    try:
        found = list(backend.evaluate_batch(structures, wanted))
    except NcforceError:
        raise
    except Exception as err:  # of any kind: it is somebody's model
        why = (str(err).strip().splitlines() or [""])[0]
        error = ModelError if isinstance(err, MAY_PASS) else OutputError
        raise error(f"{backend.description} failed: {type(err).__name__}: {why}") from err
    if len(found) != len(structures):
        raise OutputError(
            f"{backend.description} returned {len(found)} results, expected {len(structures)}: "
            "one for each structure"
        )
    for k, (structure, results) in enumerate(zip(structures, found, strict=True)):
        where = f" of structure {k} of {len(found)}" if len(found) > 1 else ""
        for kind in sorted(wanted.kinds):
            if kind not in results:
                raise OutputError(
                    f"{backend.description} returned no {kind} force{where}, which it was asked "
                    f"for; it returned {', '.join(sorted(results)) or 'nothing'}"
                )
            _Result(backend, kind, where, structure, results[kind]).check(wanted)
    return [{kind: results[kind] for kind in wanted.kinds} for results in found]


@dataclass(frozen=True)
class _Result:
    """One evaluation and whose it is; ``where`` is empty or ends the name of a quantity."""

    backend: Backend
    kind: Kind
    where: str
    structure: Structure
    evaluation: Evaluation

    def name(self, quantity: str) -> str:
        """Of a quantity, as a message begins."""
        return f"{self.backend.description}: the {self.kind} {quantity}{self.where}"

    def check(self, wanted: Wanted) -> None:
        """Raise OutputError for what is wrong."""
        n_atoms, conservative = len(self.structure.numbers), self.kind == "conservative"
        self._check_form("force", self.evaluation.forces, (n_atoms, 3))
        self._check_form("virial", self.evaluation.virial, (3, 3))
        if not isinstance(self.evaluation.energy, float):
            got = type(self.evaluation.energy).__name__
            raise OutputError(f"{self.name('energy')} is of type {got}, expected float")
        self._check_forces()
        if (conservative or wanted.direct_energy) and not math.isfinite(self.evaluation.energy):
            raise OutputError(
                f"{self.name('energy')} is not finite: {self.evaluation.energy} eV; "
                "no run can go on"
            )
        with_virial = self.kind in self.backend.stress if conservative else wanted.direct_virial
        if with_virial and not np.isfinite(self.evaluation.virial).all():
            advice = "" if conservative else "; a direct virial needs three lattice vectors"
            raise OutputError(f"{self.name('virial')} is not finite{advice}")

    def _check_form(self, quantity: str, array: object, shape: tuple[int, ...]) -> None:
        dtype, got = getattr(array, "dtype", type(array).__name__), getattr(array, "shape", "")
        if not isinstance(array, np.ndarray) or (dtype, got) != (np.float64, shape):
            raise OutputError(
                f"{self.name(quantity)} is {dtype} {got}, expected an array float64 {shape}"
            )

    def _check_forces(self) -> None:
        finite = np.isfinite(self.evaluation.forces)
        if not finite.all():
            atom = int(np.argmin(finite.all(axis=1)))
            symbol = SYMBOLS[self.structure.numbers[atom]]
            got = np.array2string(self.evaluation.forces[atom], precision=4)
            raise OutputError(
                f"{self.name('force')} is not finite: atom {atom} ({symbol}) has {got} eV/A; "
                "look at the last structures of the run, a shorter outer step may help"
            )
