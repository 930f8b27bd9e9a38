"""Cells of systems that are not periodic along every vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def complete(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cell with a unit vector across the others in the place of each vector of zeros.

    Parameters
    ----------
    cell : ``(3, 3)``, A, one lattice vector a row
    """
    missing = ~cell.any(axis=1)
    if not missing.any():
        return cell
    found = cell.copy()
    _, _, across = np.linalg.svd(cell)  # rows: the space of the cell first, then what it lacks
    found[missing] = across[3 - int(missing.sum()) :]
    return found


def widened(
    cells: NDArray[np.float64], pbc: Sequence[bool], heights_A: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cells at least so high along the directions without periodicity that no image is near.

    Parameters
    ----------
    cells : ``(n_frames, 3, 3)``, A
    pbc : whether the system is periodic along each vector
    heights_A : ``(3,)``, A, needed across the other two vectors
    """
    if all(pbc):
        return cells
    found = np.array([complete(cell) for cell in cells])
    have_A = 1.0 / np.linalg.norm(np.linalg.inv(found), axis=1)  # (frame, vector)
    factors = np.where(pbc, 1.0, np.maximum(heights_A / have_A, 1.0))
    return np.asarray(found * factors[:, :, None])


def extents_A(positions: NDArray[np.float64], cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest distance of two atoms of a frame across the other two vectors, ``(3,)``, A.

    Parameters
    ----------
    positions : ``(n_frames, n_atoms, 3)``, A
    cells : ``(n_frames, 3, 3)``, A
    """
    inverse = np.linalg.inv(np.array([complete(cell) for cell in cells]))
    spans = np.ptp(positions @ inverse, axis=1)  # (frame, vector)
    return np.asarray((spans / np.linalg.norm(inverse, axis=1)).max(axis=0))
