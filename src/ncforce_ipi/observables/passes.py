"""Several passes over a trajectory of many atoms, a group of them each: memory stays bounded.

Owns how many atoms are followed at once.  What needs whole frames (the centre of mass) is done
with few of them at a time, before the atoms of the group are taken out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)
MOST_BYTES = 1 << 28
WHOLE_BYTES = 1 << 25  # of whole frames, of which some copies are made
BYTES_OF_AN_ATOM = 24  # three numbers in float64


def groups(n_atoms: int, n_frames: int) -> list[slice]:
    """Groups of atoms, of each of which ``n_frames`` frames take 256 MB at most."""
    at_once = max(MOST_BYTES // (BYTES_OF_AN_ATOM * max(n_frames, 1)), 1)
    found = [slice(first, first + at_once) for first in range(0, max(n_atoms, 1), at_once)]
    if len(found) > 1:
        log.info("%d atoms: the file is read %d times, to need less memory", n_atoms, len(found))
    return found


def frames_at_once(n_atoms: int, n_frames: int) -> int:
    """Whole frames to read at once: ``n_frames``, or as many as take 32 MB."""
    return min(n_frames, max(WHOLE_BYTES // (BYTES_OF_AN_ATOM * max(n_atoms, 1)), 1))


def blocks_of(
    pieces: Iterable[NDArray[np.float64]], n_frames: int, atoms: slice
) -> Iterator[NDArray[np.float64]]:
    """Blocks ``(n_frames, n_group, 3)``, the last one perhaps shorter, of a group of atoms.

    Parameters
    ----------
    pieces : ``(n, n_atoms, 3)`` each, one after the other, of at most ``n_frames``
    n_frames : of a block
    atoms : the group
    """
    block, filled = np.empty((0, 0, 3)), 0
    for piece in pieces:
        chosen = piece[:, atoms]
        if not filled and len(chosen) == n_frames:  # nothing to put together
            yield chosen
            continue
        while len(chosen):
            if not filled:
                block = np.empty((n_frames, *chosen.shape[1:]))
            taken = chosen[: n_frames - filled]
            block[filled : filled + len(taken)] = taken
            filled, chosen = filled + len(taken), chosen[len(taken) :]
            if filled == n_frames:
                yield block
                filled = 0
    if filled:
        yield block[:filled]
