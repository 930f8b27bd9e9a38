"""Masses that a trajectory states itself: a column of extxyz, as ASE writes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.commentline import keys_and_values
from ncforce_ipi.reading.trajectory import Trajectory

COLUMNS = ("masses", "mass")


def masses_in(trajectory: Trajectory) -> NDArray[np.float64] | None:
    """Of the first frame's atoms, ``(n_atoms,)``, u; None without such a column.

    Raises
    ------
    InputError
        Something there is no positive number.
    """
    if not len(trajectory.spans):
        return None
    offset, n_head, n_bytes = (int(number) for number in trajectory.spans[0])
    with trajectory.data.open("rb") as file:
        file.seek(offset)
        frame = file.read(n_bytes)
    comment = frame[:n_head].partition(b"\n")[2].decode("utf-8", "replace")
    words = keys_and_values(comment).get("Properties", "").split(":") if "=" in comment else []
    widths = [int(width) for width in words[2::3]]
    firsts = dict(zip(words[::3], np.cumsum([0, *widths]).tolist(), strict=False))
    place = next((firsts[name] for name in COLUMNS if name in firsts), None)
    if place is None:
        return None
    try:
        rows = frame[n_head:].split(b"\n")[: len(trajectory.species)]
        found = np.array([float(row.split()[place]) for row in rows])
    except (ValueError, IndexError) as err:
        raise InputError(
            f"{trajectory.path}: a mass in its first frame is no number: {err}"
        ) from err
    if not (np.isfinite(found) & (found > 0)).all():
        raise InputError(f"{trajectory.path}: a mass in its first frame is {found.min():g} u")
    return found
