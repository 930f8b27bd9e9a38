"""Copies of a start with displaced atoms and a strained cell: the data before any dynamics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms

from ncforce_ipi.inputs.held import held
from ncforce_ipi.inputs.preflight import VACUUM_A, vacuum_A

LEAST_A = 0.01


def displaced(
    start: Atoms, n: int, displacement_A: float, strain: float, random: np.random.Generator
) -> Iterator[Atoms]:
    """``n`` copies: Gaussian displacements and symmetric strains.

    Atoms that are held stay in their places; a strain keeps the directions of vacuum, and takes
    held atoms along, so that there is none where atoms are held.

    Parameters
    ----------
    displacement_A : largest standard deviation of the displacements; each copy draws its own
    strain : standard deviation of each component of the strain
    """
    flags = held(start)
    full = np.flatnonzero(vacuum_A(start) <= VACUUM_A).tolist()
    for k in range(n):
        frame = Atoms(start.numbers, start.positions, cell=start.cell, pbc=start.pbc)
        if not flags.any() and k % 2:
            frame.set_cell(_strained(frame.cell.array, strain, full, random), scale_atoms=True)
        noise = random.normal(0.0, random.uniform(LEAST_A, displacement_A), (len(start), 3))
        noise[flags] = 0.0
        frame.positions += noise
        frame.info = {"kind": "displaced"}
        yield frame


def _strained(
    cell: np.ndarray, strain: float, full: list[int], random: np.random.Generator
) -> np.ndarray:
    """Lattice vectors ``(3, 3)`` after a symmetric strain; those along vacuum stay."""
    change = random.normal(0.0, strain, (3, 3))
    changed = cell @ (np.eye(3) + 0.5 * (change + change.T))
    result = cell.copy()
    result[full] = changed[full]
    return result
