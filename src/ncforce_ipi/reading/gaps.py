"""Empty lines between the frames of an xyz file, where ASE's reader ends without a word.

They come from files that were put together.  A comment line may be empty too: what is between
frames is known by the number of atoms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

MAX_DIGITS = 10


def without_gaps(file: IO[str]) -> Iterator[str]:
    """Lines of an xyz file without empty ones between frames."""
    for line in file:
        if not line.strip():
            continue
        yield line
        for _ in range(n_lines(line)):
            if not (inside := file.readline()):
                return
            yield inside


def has_gap(file: IO[str]) -> bool:
    """Whether a frame stands behind an empty line."""
    empty = False
    while line := file.readline():
        if line.strip() and empty:
            return True
        empty = not line.strip()
        for _ in range(n_lines(line)):
            if not file.readline():
                return False
    return False


def n_lines(first: str) -> int:
    """Of a frame, behind its first line; 0 where that isn't a number of atoms."""
    word = first.strip()
    return int(word) + 1 if word.isdecimal() and len(word) <= MAX_DIGITS else 0
