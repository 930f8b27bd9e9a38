"""A box for what isn't periodic: i-PI knows periodic cells only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.reading.orientation import complete

if TYPE_CHECKING:
    from ase import Atoms

GAP_A = 20.0  # between images, at least: beyond the reach of short-ranged models with messages


def close_open_directions(atoms: Atoms) -> dict[str, float]:
    """Give directions without periodicity a lattice vector so long that images don't meet.

    One that leaves ``GAP_A`` of vacuum already stays; another is put normal to the periodic ones.

    Parameters
    ----------
    atoms : get a cell of three vectors and periodicity along all

    Returns
    -------
    Vacuum between images along each of the directions, A, by their names a, b, c.
    """
    cell, opened = atoms.cell.array.copy(), np.flatnonzero(~atoms.pbc).tolist()
    short = [row for row in opened if _gap_A(cell, row, atoms.positions) < GAP_A]
    cell[short] = 0.0
    for row, unit in zip(short, complete(cell)[short], strict=True):
        cell[row] = unit * (np.ptp(atoms.positions @ unit) + GAP_A)
    atoms.set_cell(cell)
    atoms.set_pbc(True)
    return {"abc"[row]: _gap_A(cell, row, atoms.positions) for row in opened}


def _gap_A(cell: NDArray[np.float64], row: int, positions: NDArray[np.float64]) -> float:
    """Vacuum between images along a lattice vector, A, normal to the other two; 0 without it."""
    normal = np.cross(cell[(row + 1) % 3], cell[(row + 2) % 3])
    if not normal.any() or not cell[row].any():
        return 0.0
    normal = normal / np.linalg.norm(normal)
    return float(abs(cell[row] @ normal) - np.ptp(positions @ normal))
