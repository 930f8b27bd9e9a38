"""Many structures in one call of a model, as many as fit.

Owns how a batch is divided among calls, and what happens when a call fails.  Knows no model
library.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError, NcforceError

from . import conversion, loading

ATOMS_AT_ONCE = 256
"""On a CPU, where more only leave the cache: the water model took 41 ms of one core for 192 atoms
alone, 50 in a batch of 2, 57 of 8 and 63 of 16, and 10 times the memory."""
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # torch says


class BatchedBackend(Backend):
    """A model whose library takes many structures in one call.

    A batch is divided among calls of at most ``ATOMS_AT_ONCE`` atoms on a CPU; on a GPU it is one
    call unless the memory doesn't suffice.  A call that fails is tried again with half of its
    structures: those that were too many fit then, and an error of one structure is said of that
    one.  How many were too many is remembered.  So the same batch is divided in the same way.

    A subclass has the attributes of a ``Backend`` and ``evaluate_together``.

    Parameters
    ----------
    device : where the model is
    failures : what its library raises when it can't evaluate
    mixes_cells : whether structures with and without a cell may be in one call
    """

    batched = True

    def __init__(
        self,
        device: str,
        failures: tuple[type[Exception], ...] = (RuntimeError, ValueError),
        mixes_cells: bool = True,
    ) -> None:
        self._mixes_cells = mixes_cells
        self._failures: tuple[type[Exception], ...] = (*failures, MemoryError)
        self.atoms_at_once = ATOMS_AT_ONCE if device == "cpu" else math.inf
        self._bounds: dict[frozenset[Kind], float] = {}  # atoms of a call, where more were too many

    @abstractmethod
    def evaluate_together(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> Sequence[Mapping[Kind, Evaluation]]:
        """All structures in one call of the model.

        Raises
        ------
        ModelError
            A structure that it can't take.
        """

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """As a batch of one."""
        (found,) = self.evaluate_batch([structure], wanted)
        return found

    def evaluate_batch(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[Mapping[Kind, Evaluation]]:
        """In as few calls as fit."""
        for structure in structures:
            conversion.check_request(self, structure, wanted)
        found: list[Mapping[Kind, Evaluation]] = []
        most = len(structures)
        while rest := structures[len(found) :]:
            part = rest[: min(most, self._how_many(rest, wanted.kinds))]
            where = (
                f" at structure {len(found)} of {len(structures)}" if len(structures) > 1 else ""
            )
            answers = self._try(part, wanted, where)
            if answers is None:
                most = len(part) // 2
            else:
                found += answers
        return found

    def _try(
        self, structures: Sequence[Structure], wanted: Wanted, where: str
    ) -> Sequence[Mapping[Kind, Evaluation]] | None:
        """The results; None if that many failed, and what the call held has been let go."""
        try:
            return self.evaluate_together(structures, wanted)
        except NcforceError:
            raise
        except self._failures as err:
            if len(structures) == 1:
                why = loading.one_line(err)
                raise ModelError(f"{self.description} failed{where}: {why}") from err
            if _is_of_memory(err):
                n_atoms = sum(len(structure.numbers) for structure in structures)
                self._bounds[wanted.kinds] = n_atoms // 2
        return None

    def _how_many(self, structures: Sequence[Structure], kinds: frozenset[Kind]) -> int:
        """How many of the first may go together: one at least."""
        bound = self._bounds.get(kinds, self.atoms_at_once)
        n_atoms, periodic = 0, structures[0].cell.any()
        for k, structure in enumerate(structures):
            n_atoms += len(structure.numbers)
            if n_atoms > bound or (structure.cell.any() != periodic and not self._mixes_cells):
                return max(k, 1)
        return len(structures)


def divided(rows: np.ndarray, structures: Sequence[Structure]) -> list[np.ndarray]:
    """Rows ``(n_atoms of all, ...)`` as one array for each structure, which is its own."""
    n_atoms = [len(structure.numbers) for structure in structures]
    if len(rows) != sum(n_atoms):
        raise ValueError(f"the model gave {len(rows)} rows, expected one for {sum(n_atoms)} atoms")
    if len(structures) == 1:
        return [rows]
    return [part.copy() for part in np.split(rows, np.cumsum(n_atoms)[:-1])]


def _is_of_memory(err: BaseException) -> bool:
    """Whether an error means that memory was too small; torch has no type of its own on a CPU."""
    return (
        isinstance(err, MemoryError)
        or type(err).__name__ == "OutOfMemoryError"
        or any(words in str(err) for words in NO_MEMORY)
    )
