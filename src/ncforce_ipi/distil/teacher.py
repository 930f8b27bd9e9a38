"""The slow model as a teacher: labels for frames, counted, and answers that are kept.

Owns what is asked of it before anything is spent.  The model is in this process, or at a socket in
another environment (`serve.load`); runs start drivers of their own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError
from ncforce_ipi.evaluations import evaluate, evaluate_all
from ncforce_ipi.provenance import sha256
from ncforce_ipi.reading.structures import to_structure
from ncforce_ipi.serve.load import load_model
from ncforce_ipi.species import SYMBOLS

CONSERVATIVE = Wanted(frozenset({"conservative"}))
TIMED = 3
BATCH = 8


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
    """

    kinds = frozenset[Kind](["conservative"])

    def __init__(self, spec: str, device: str | None, threads: int) -> None:
        words = spec.split()
        remote = words[1:2] == ["driver"]
        more = {} if remote or device is None else {"device": device}
        self._backend = load_model(spec, kind="conservative", threads=threads, **more)
        self.description, self.source = self._backend.description, self._backend.source
        self.species, self.stress = self._backend.species, self._backend.stress
        self.remote = remote
        self.calls, self.seconds = 0, 0.0
        self._answers: dict[bytes, Evaluation] = {}

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """Conservative forces, from memory where this structure was asked for before."""
        key = b"".join(
            np.ascontiguousarray(part).tobytes()
            for part in (structure.numbers, structure.positions, structure.cell)
        )
        if key not in self._answers:
            begin = time.perf_counter()
            self._answers[key] = evaluate(self._backend, structure, CONSERVATIVE)["conservative"]
            self.seconds += time.perf_counter() - begin
            self.calls += 1
        return {"conservative": self._answers[key]}

    def label(self, frames: Sequence[Atoms]) -> list[Atoms]:
        """Copies with energy (eV) and forces (eV/A), in batches where the model takes them."""
        result: list[Atoms] = []
        size = BATCH if self._backend.batched else 1
        for first in range(0, len(frames), size):
            part = frames[first : first + size]
            found = evaluate_all(self._backend, [to_structure(a) for a in part], CONSERVATIVE)
            self.calls += len(part)
            result += [
                with_labels(a, one["conservative"].energy, one["conservative"].forces)
                for a, one in zip(part, found, strict=True)
            ]
        return result

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
        if npt and not self.remote and "conservative" not in self.stress:
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


def with_labels(atoms: Atoms, energy: float, forces: np.ndarray) -> Atoms:
    """A copy that carries an energy (eV) and forces ``(n_atoms, 3)``, eV/A, and nothing else."""
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=atoms.info)
    bare.calc = SinglePointCalculator(bare, energy=energy, forces=forces)
    return bare
