"""i-PI's frame of reference: lattice vector a along x, b in the xy plane, c above it.

i-PI keeps its cell as an upper triangular matrix of columns, and so do LAMMPS and others.  A
crystal in another frame is turned as a whole: cell, positions, velocities, and what else points
somewhere.  Owns that turn.  Knows no file and no i-PI.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Structure

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Turn:
    """The way into i-PI's frame.

    Attributes
    ----------
    cell : ``(3, 3)``, A, one lattice vector a row, lower triangular to the last bit with a positive
        diagonal; a zero row is a direction without periodicity
    rotation : ``(3, 3)``, a proper rotation: a vector v becomes ``v @ rotation``
    """

    cell: Array
    rotation: Array

    @property
    def is_none(self) -> bool:
        """Whether everything stays where it is."""
        return np.array_equal(self.rotation, np.eye(3))

    def there(self, vectors: Array) -> Array:
        """Vectors ``(..., 3)`` of the given frame in i-PI's."""
        return vectors if self.is_none else vectors @ self.rotation

    def back(self, vectors: Array) -> Array:
        """Vectors ``(..., 3)`` of i-PI's frame in the given one."""
        return vectors if self.is_none else vectors @ self.rotation.T

    def back_tensor(self, tensor: Array) -> Array:
        """A tensor ``(3, 3)`` (virial, stress) of i-PI's frame in the given one."""
        return tensor if self.is_none else self.rotation @ tensor @ self.rotation.T


def turn_of(cell: Array) -> Turn:
    """The turn of a crystal with this cell into i-PI's frame.

    The lattice stays the same.  Of a left-handed cell c is reversed, which spans the same lattice;
    the crystal is turned, never mirrored.  A cell that is in this frame already is left alone.

    Parameters
    ----------
    cell : ``(3, 3)``, A, one lattice vector a row; a zero row is a direction without periodicity

    Notes
    -----
    cell = L Q with L lower triangular and Q orthogonal: ``v @ Q.T`` is v in the frame of L.
    Missing lattice vectors are replaced by unit vectors normal to the others for that.
    """
    cell = np.array(cell, float)
    there: NDArray[np.bool_] = np.any(cell, axis=1)
    if there.all() and np.linalg.det(cell) < 0.0:
        cell[2] *= -1.0
    if not np.triu(cell, 1).any() and (np.diagonal(cell)[there] > 0.0).all():
        return Turn(cell, np.eye(3))
    q, r = np.linalg.qr(complete(cell).T)
    signs = np.where(np.diagonal(r) < 0.0, -1.0, 1.0)
    lower = np.tril((signs[:, None] * r).T)
    return Turn(np.where(there[:, None], lower, 0.0), q * signs)


def in_ipi_frame(structure: Structure) -> tuple[Structure, Turn]:
    """The structure in i-PI's frame, and the turn that takes results back."""
    turn = turn_of(structure.cell)
    positions = turn.there(structure.positions)
    return Structure(structure.numbers, positions, turn.cell), turn


def complete(cell: Array) -> Array:
    """The cell, right-handed, with unit vectors normal to the others in the place of zero rows.

    Each is along its own Cartesian axis where that is normal to them, or as far as it can be.
    """
    whole, missing = cell.copy(), np.flatnonzero(~cell.any(axis=1))
    for row in missing:
        q, _ = np.linalg.qr(whole[whole.any(axis=1)].T)  # columns span what is there
        across = np.eye(3) - q @ q.T
        axes = np.roll(across, -row, axis=0)  # its own axis first
        sizes = np.linalg.norm(axes, axis=1)
        best = int(np.argmax(sizes > 0.5 * sizes.max()))
        whole[row] = axes[best] / sizes[best]
    if np.linalg.det(whole) < 0.0:
        whole[missing[-1] if len(missing) else 2] *= -1.0
    return whole
