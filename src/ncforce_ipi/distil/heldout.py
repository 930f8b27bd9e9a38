"""Whether frames are nearly those that are held out, so that nothing is trained on these.

A test of a pair begins where the reference does, with the same velocities, and a good pair follows
it for a picosecond or, in a crystal, for many: its frames at the times of the held-out ones differ
from them by thousandths of an angstrom.  So a frame may be no nearer to a held-out one than the
teacher's own frames are that are trained on, which are of earlier times.

How far two frames of the same atoms are apart is the root mean square over atoms of their
displacement, through the boundaries where that is shorter, without that of the centre.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Array = NDArray[np.float64]


def apart(
    frames: Sequence[Atoms], held_out: Sequence[Atoms], trained: Sequence[Atoms]
) -> list[int]:
    """Places of the frames that aren't nearly held out.

    Parameters
    ----------
    held_out : frames that nothing is trained on
    trained : the teacher's, of the same runs; without any of the same atoms every frame is apart
    """
    found = []
    limits: dict[bytes, float] = {}
    for k, frame in enumerate(frames):
        key = frame.numbers.tobytes()
        own = [one for one in held_out if one.numbers.tobytes() == key]
        if key not in limits:
            others = [one for one in trained if one.numbers.tobytes() == key]
            limits[key] = min((nearest_A(one, own) for one in others), default=0.0)
        if not own or nearest_A(frame, own) >= limits[key]:
            found.append(k)
    return found


def nearest_A(frame: Atoms, others: Sequence[Atoms]) -> float:
    """How far the nearest of the others, of the same atoms, is, A; infinite without any."""
    return min((_distance_A(frame, other) for other in others), default=np.inf)


def _distance_A(frame: Atoms, other: Atoms) -> float:
    cell: Array = other.cell.complete().array
    moved = np.linalg.solve(cell.T, (frame.positions - other.positions).T).T
    moved -= np.round(moved) * other.pbc
    away = moved @ cell
    away -= away.mean(axis=0)
    return float(np.sqrt((away**2).sum(axis=1).mean()))
