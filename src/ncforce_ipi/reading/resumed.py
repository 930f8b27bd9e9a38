"""Frames of i-PI's extxyz (``format='ase'``) that a resumed run wrote again, for ASE's reader.

Owns when a file of structures is one run: every frame has i-PI's comment, at one stride of steps.
Frames that were picked from several runs keep these comments too; all of such a file count.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.reading.commentline import step_in
from ncforce_ipi.reading.framesteps import of_one_run
from ncforce_ipi.reading.gaps import n_lines

IPI = b"ipi_comment"


def frames_left(path: Path) -> NDArray[np.bool_] | None:
    """Frames of a run's file that no later one replaces, ``(n_frames,)``; None where all count.

    Raises
    ------
    InputError
        The steps begin again, or are there twice throughout.
    """
    with path.open("rb") as file:
        steps = _steps(file)
    if steps is None or (np.diff(steps) > 0).all() or not _at_one_stride(steps):
        return None
    return of_one_run(path, steps)


def lines_of(file: IO[str], left: NDArray[np.bool_]) -> Iterator[str]:
    """Lines of these frames ``(n_frames,)`` of an xyz file, without empty ones between frames."""
    flags = iter(left.tolist())
    for line in file:
        if not line.strip():
            continue
        wanted = next(flags, True)  # a cut one at the end: ASE says so
        frame = [line, *(file.readline() for _ in range(n_lines(line)))]
        if wanted:
            yield from frame


def _steps(file: IO[bytes]) -> NDArray[np.int64] | None:
    """Of each frame, ``(n_frames,)``; None where one isn't i-PI's or states none."""
    steps = []
    while line := file.readline():
        if not line.strip():
            continue
        comment = file.readline()
        step = step_in(comment) if IPI in comment else None
        if step is None:
            return None
        steps.append(int(step[1]))
        for _ in range(n_lines(line.decode("latin-1")) - 1):
            file.readline()
    return np.array(steps, dtype=np.int64) if steps else None


def _at_one_stride(steps: NDArray[np.int64]) -> bool:
    gaps = np.diff(steps)
    strides = np.unique(gaps[gaps > 0])
    return len(strides) == 1 and not (gaps % strides[0]).any()
