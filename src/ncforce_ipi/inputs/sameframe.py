"""Whether positions and velocities are of one frame, where no file states a step.

Owns which frame of its own file a structure's velocities are, and how far two frames are apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.images import Image, file_and_index

Array = NDArray[np.float64]
SAME_CELL_A = 1e-4  # files with six digits
SAME_PLACE_A = 1e-3  # an atom moves more in a few time steps


def of_same_frame(structure: str, velocities: str) -> str:
    """The same ``velocities``, with the structure's index where they are of its file.

    Parameters
    ----------
    structure, velocities : FILE or FILE@INDEX

    Raises
    ------
    InputError
        Two places of one file.
    """
    (path, index), (own, given) = file_and_index(structure), file_and_index(velocities)
    if not (path.is_file() and own.is_file() and own.samefile(path)):
        return velocities
    if not index or given == index:
        return velocities
    if not given:
        return f"{velocities}@{index}"
    if _sign(index) == _sign(given) != 0:
        raise InputError(
            f"positions are frame @{index} of {path}, velocities are frame @{given}; give "
            "velocities of that frame"
        )
    return velocities


def _sign(index: str) -> int:
    """Whether a place counts from the begin or the end of a file; 0 for several places."""
    try:
        return 1 if int(index) >= 0 else -1
    except ValueError:
        return 0


def is_same_cell(cell: Array, other: Array) -> bool:
    """Whether two cells ``(3, 3)``, A, are those of one frame in one frame of reference."""
    return np.allclose(cell, other, rtol=0.0, atol=SAME_CELL_A)


def distance_A(positions: Array, cell: Array, image: Image) -> float:
    """How far the farthest atom is from its place in a structure, A, by the nearest image.

    0 where that can't be told: the cells differ, and with them maybe the frames of reference.

    Parameters
    ----------
    positions : ``(n_atoms, 3)``, A
    cell : ``(3, 3)``, A, of these positions
    image : the structure as its file has it
    """
    atoms = image.atoms
    periodic = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    if not is_same_cell(np.where(atoms.pbc[:, None], cell, 0.0), periodic):
        return 0.0
    moved = positions - atoms.positions
    moved = moved - np.round(moved @ np.linalg.pinv(periodic)) @ periodic
    return float(np.linalg.norm(moved, axis=1).max(initial=0.0))
