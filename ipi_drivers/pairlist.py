"""Lists of pairs that outlive a step: all pairs up to the cutoff and a skin beyond it.

A list serves every later structure whose atoms have moved so little that no pair outside the list
can have come within the cutoff.  The test for that holds for any cell: with the atoms carried along
by the change of the cell (``r0 A``, ``A = h0^-1 h``) and moved by ``d`` from there, a pair that was
farther apart than ``cutoff + skin`` is now at least ``s (cutoff + skin) - 2 max|d|`` apart, ``s``
the smallest singular value of ``A``.  Knows no model library; ``vesin`` finds the pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ncforce_ipi.backend import Array, Structure

MARGIN_A = 1e-6  # far above the rounding of positions in float64, far below any skin


@dataclass(frozen=True, eq=False)
class PairList:
    """Pairs of a structure up to ``cutoff + skin``, each once.

    Attributes
    ----------
    structure : whose pairs these are
    cutoff, skin : A
    first, second : ``(n_pairs,)``, atoms
    shifts : ``(n_pairs, 3)``, whole cells to add to the second atom
    """

    structure: Structure
    cutoff: float
    skin: float
    first: np.ndarray
    second: np.ndarray
    shifts: Array

    def serves(self, structure: Structure) -> bool:
        """Whether no pair within the cutoff is missing for this structure."""
        old = self.structure
        if not np.array_equal(old.numbers, structure.numbers):
            return False
        carried, shrunk = old.positions, 1.0
        if not np.array_equal(old.cell, structure.cell):
            if not (old.cell.any(axis=1).all() and structure.cell.any(axis=1).all()):
                return False
            change = np.linalg.solve(old.cell, structure.cell)
            carried = old.positions @ change
            shrunk = float(np.linalg.svd(change, compute_uv=False).min())
        moved = structure.positions - carried
        farthest = float(np.sqrt(np.einsum("ij,ij->i", moved, moved).max(initial=0.0)))
        reach = shrunk * (self.cutoff + self.skin) - 2.0 * farthest
        return bool(reach >= self.cutoff + MARGIN_A)  # False for what is not finite


def find_pairs(structure: Structure, cutoff: float, skin: float) -> PairList:
    """The list of a structure; its arrays are copied.

    Pairs are in the order of atoms and shifts, the smaller atom first: two lists that serve a
    structure have its pairs in one order, so that sums over them have the same bits.
    """
    from vesin import NeighborList

    positions, cell = structure.positions.copy(), structure.cell.copy()
    first, second, shifts = NeighborList(cutoff=cutoff + skin, full_list=False).compute(
        points=positions, box=cell, periodic=cell.any(axis=1), quantities="ijS"
    )
    first, second = first.astype(np.int64), second.astype(np.int64)
    turned = (first > second) | ((first == second) & _negative(shifts))
    first, second = np.where(turned, second, first), np.where(turned, first, second)
    shifts = np.where(turned[:, None], -shifts, shifts)
    atoms = first * len(positions) + second
    order = np.argsort(atoms)
    if (np.diff(atoms[order]) == 0).any():  # two images of one pair, in a small cell
        order = np.lexsort((*shifts.T[::-1], atoms))
    return PairList(
        Structure(structure.numbers.copy(), positions, cell),
        cutoff,
        skin,
        first[order],
        second[order],
        shifts[order].astype(np.float64),
    )


def _negative(shifts: np.ndarray) -> np.ndarray:
    """Whether the first number of a row that isn't zero is negative."""
    a, b, c = shifts.T
    return (a < 0) | ((a == 0) & ((b < 0) | ((b == 0) & (c < 0))))
