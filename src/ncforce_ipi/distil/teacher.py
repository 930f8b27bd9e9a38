"""The slow model as a teacher: labels for frames, counted, and answers that are kept.

Owns what is asked of it before anything is spent.  The model is in this process, in several
(`several`), or at a socket in another environment; runs start drivers of their own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.distil.several import Found, load_several
from ncforce_ipi.errors import InputError
from ncforce_ipi.evaluations import evaluate_all
from ncforce_ipi.models.words import words_of_model
from ncforce_ipi.provenance import sha256
from ncforce_ipi.reading.structures import to_structure
from ncforce_ipi.species import SYMBOLS

CONSERVATIVE = Wanted(frozenset({"conservative"}))
TIMED = 3


@dataclass(frozen=True)
class Known:
    """What was found out of a teacher by asking it.

    Attributes
    ----------
    description : of the model
    sha256 : of its file; None where it has none
    seconds : of a call on the largest start
    """

    description: str
    sha256: str | None
    seconds: float


class Teacher(Backend):
    """A model whose conservative calls are counted and whose answers are kept.

    What is asked again, for instance the displaced structures of the modes of one frame in each
    round, costs nothing.

    Parameters
    ----------
    spec : as `inputs.service.parse_model` takes it
    devices, threads, drivers : see `Request`
    """

    kinds = frozenset[Kind](["conservative"])

    def __init__(
        self, spec: str, devices: Sequence[str] = (), threads: int = 1, drivers: int = 1
    ) -> None:
        self._backend = load_several(spec, "conservative", drivers, devices, threads)
        self.description, self.source = self._backend.description, self._backend.source
        self.species, self.stress = self._backend.species, self._backend.stress
        self._model_stress = getattr(self._backend, "of_first", self.stress)
        self.batched = self._backend.batched
        self.remote = words_of_model(spec)[1:2] == ["driver"]
        self.calls, self.seconds = 0, 0.0
        self._answers: dict[bytes, Evaluation] = {}

    def evaluate(self, structure: Structure, wanted: Wanted) -> Found:
        """As `evaluate_batch`."""
        (found,) = self.evaluate_batch([structure], wanted)
        return found

    def evaluate_batch(self, structures: Sequence[Structure], wanted: Wanted) -> list[Found]:
        """Conservative forces, from memory where a structure was asked for before.

        All others go to the model together, or to the processes that share the work.
        """
        keys = [_key(structure) for structure in structures]
        new = {k: s for k, s in zip(keys, structures, strict=True) if k not in self._answers}
        if new:
            begin = time.perf_counter()
            found = self._asked(list(new.values()))
            self.seconds += time.perf_counter() - begin
            self.calls += len(new)
            self._answers |= zip(new, found, strict=True)
        return [{"conservative": self._answers[key]} for key in keys]

    def _asked(self, structures: list[Structure]) -> list[Evaluation]:
        found = evaluate_all(self._backend, structures, CONSERVATIVE)
        return [one["conservative"] for one in found]

    def label(self, frames: Sequence[Atoms]) -> list[Atoms]:
        """Copies with energy (eV) and forces (eV/A)."""
        found = self.evaluate_batch([to_structure(a) for a in frames], CONSERVATIVE)
        return [
            with_labels(a, one["conservative"].energy, one["conservative"].forces)
            for a, one in zip(frames, found, strict=True)
        ]

    def close(self) -> None:
        """Give the model back; the counts stay."""
        self._backend.close()
        self._answers.clear()

    def check(self, starts: list[Atoms], *, npt: bool) -> Known:
        """Ask for forces of every start, and look at what comes.

        Raises
        ------
        InputError
            No conservative forces, an element that it doesn't know, or no stress for ``npt``.
        ModelError
            It can't take a structure.
        """
        if "conservative" not in self._backend.kinds:
            raise InputError(
                f"{self.description} has {' and '.join(sorted(self._backend.kinds))} forces only; "
                "expected conservative ones: the slow force is the gradient of an energy"
            )
        if npt and not self.remote and "conservative" not in self._model_stress:
            raise InputError(
                f"{self.description} has no stress, which --npt needs; leave --npt out, or choose "
                "another teacher"
            )
        numbers = {int(z) for atoms in starts for z in atoms.numbers}
        if self.species is not None and (strange := sorted(numbers - self.species)):
            names = ", ".join(SYMBOLS[z] for z in strange)
            raise InputError(f"{self.description} doesn't know {names}; choose another teacher")
        for atoms in starts:
            self.evaluate(to_structure(atoms), CONSERVATIVE)
        return Known(self.description, self.digest, self._timed(max(starts, key=len)))

    @property
    def digest(self) -> str | None:
        """SHA-256 of its file; None where it has none."""
        return sha256(self.source) if self.source else None

    def _timed(self, atoms: Atoms) -> float:
        """Seconds of a call, the median of a few on slightly moved atoms."""
        random, seconds = np.random.default_rng(0), []
        for _ in range(TIMED):
            moved = atoms.copy()
            moved.positions += random.normal(0.0, 1e-3, moved.positions.shape)
            begin = self.seconds
            self.evaluate(to_structure(moved), CONSERVATIVE)
            seconds.append(self.seconds - begin)
        return float(np.median(seconds))


def _key(structure: Structure) -> bytes:
    parts = (structure.numbers, structure.positions, structure.cell)
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def with_labels(atoms: Atoms, energy: float, forces: np.ndarray) -> Atoms:
    """A copy that carries an energy (eV) and forces ``(n_atoms, 3)``, eV/A, and nothing else."""
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=atoms.info)
    bare.calc = SinglePointCalculator(bare, energy=energy, forces=forces)
    return bare
