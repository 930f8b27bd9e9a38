"""The first whole frame of a trajectory, without an index of all others."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.commentline import keys_and_values
from ncforce_ipi.reading.compressed import readable
from ncforce_ipi.reading.frameheader import read_header
from ncforce_ipi.reading.framesearch import first_frame


@dataclass(frozen=True)
class First:
    """The first whole frame.

    Attributes
    ----------
    values : ``(n_atoms, 3)``, in the units of `trajectory.Frames`
    cell : ``(3, 3)``, A, one lattice vector a row; zeros without a cell
    pbc : whether the system is periodic along each lattice vector; None where the file speaks
        neither of a cell nor of periodicity
    """

    values: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: tuple[bool, bool, bool] | None


def read_first(path: Path, quantity: str, unit: str | None = None) -> First:
    """Read the first whole frame, as `trajectory.open_trajectory` reads all.

    Raises
    ------
    InputError
        No whole frame, not the quantity, or something else than numbers.
    """
    with readable(path).open("rb") as file:
        search, _, place = first_frame(path, file.fileno())
        found = search.whole(place) if place.head else None
        if found is None:
            raise InputError(f"{path} holds no complete frame")
        header = read_header(path, place.comment, quantity, unit)
        body = os.pread(file.fileno(), found[0] - place.after, place.after)
    rows = body.decode("latin-1").splitlines()
    try:
        values = np.loadtxt(rows, usecols=header.columns, ndmin=2, comments=None)
    except ValueError as err:
        raise InputError(f"{path}: unreadable first frame: {err}") from err
    comment = place.comment.decode("utf-8", "replace")
    said = header.cell.any() or ("=" in comment and "pbc" in keys_and_values(comment))
    return First(values * header.factor, header.cell, header.pbc if said else None)
