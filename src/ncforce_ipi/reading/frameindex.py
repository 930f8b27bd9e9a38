"""Where the frames of a trajectory file begin and end, what a restart repeats, what a crash cut.

Owns the search for frames; knows nothing of what they hold but the step in the comment line.  Where
frames have the same length, as they do with numbers of fixed width, the next ones are looked for at
their places, and only their first two lines are read.
"""

from __future__ import annotations

import os
import re
from array import array
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError

STEP = re.compile(rb"Step:\s*(\d+)")
HEAD_BYTES = 1024
FEWEST_AHEAD, MOST_AHEAD = 8, 512  # frames looked for at once
_NEWLINE, _BLANK, _ZERO, _NINE = b"\n 09"


@dataclass(frozen=True)
class Index:
    """The frames of a file, in its order.

    Attributes
    ----------
    steps : ``(n_frames,)``, as the comment lines say, or frame numbers from 0
    spans : ``(n_frames, 3)``, first byte, bytes before the atoms, and bytes in all
    numbered : whether the steps are the file's own
    n_cut : frames that are not whole
    """

    steps: NDArray[np.int64]
    spans: NDArray[np.int64]
    numbered: bool
    n_cut: int


def index_frames(path: Path, file: BinaryIO) -> Index:
    """Find all whole frames.

    Raises
    ------
    InputError
        The file doesn't begin with a number of atoms, or frames have different numbers of them.
    """
    found = array("q")  # four numbers a frame: a list of tuples would take ten times as much
    head = _head(file, 0)
    n_atoms, numbered = _atom_count(path, head), STEP.search(head) is not None
    offset, body, n_cut = 0, -1, 0
    while head:
        if not _is_count(head):  # what follows a cut frame, up to the next whole one
            offset, head = _next_count(file, offset)
            continue
        if int(head.split(b"\n", 1)[0]) != n_atoms:
            raise InputError(
                f"{path}: a frame of {int(head.split(maxsplit=1)[0])} atoms after frames of "
                f"{n_atoms} (frame {len(found) // 4} from 0, byte {offset}); expected one number "
                "of atoms"
            )
        if body >= 0 and len(steps := _alike(file, offset, head, body)):
            offset = _add(found, steps if numbered else None, offset, head, body, len(steps))
            head = _head(file, offset)
        end = offset + len(head) + body
        following = _head_after(file, end) if body >= 0 else None
        whole = following is not None
        if following is None:
            end, whole = _measured(file, offset + len(head), n_atoms)
            following = _head(file, end)
        step = STEP.search(head)
        if whole and (step or not numbered):
            body = end - offset - len(head)
            own = np.array([int(step[1])]) if step and numbered else None
            _add(found, own, offset, head, body, 1)
        else:
            n_cut += 1
        offset, head = end, following
    frames = np.array(found, dtype=np.int64).reshape(-1, 4)  # (frame, step|byte|head|size)
    return Index(frames[:, 0], frames[:, 1:], numbered, n_cut)


def last_of_each(steps: NDArray) -> NDArray[np.bool_]:
    """Rows that no later row replaces: those with a step before every later row's step."""
    later = np.minimum.accumulate(steps[::-1])[::-1]
    return np.append(steps[:-1] < later[1:], True)


def _add(
    found: array[int], steps: NDArray | None, offset: int, head: bytes, body: int, n_frames: int
) -> int:
    """Append frames of one length; where they end.  Without steps they count on."""
    rows = np.empty((n_frames, 4), dtype=np.int64)
    size = len(head) + body
    first = len(found) // 4
    rows[:, 0] = np.arange(first, first + n_frames) if steps is None else steps
    rows[:, 1] = offset + size * np.arange(n_frames)
    rows[:, 2:] = len(head), size
    found.frombytes(rows.tobytes())
    return offset + n_frames * size


def _alike(file: BinaryIO, offset: int, head: bytes, body: int) -> NDArray[np.int64]:
    """Steps of the frames of this one's length from ``offset`` on, each followed by another.

    0 where the comment line says none.
    """
    size, step = len(head) + body, STEP.search(head)
    steps = [np.array([int(step[1]) if step else 0])]  # of heads that are there
    n_ahead = FEWEST_AHEAD
    while True:
        places = range(offset + size, offset + size * (n_ahead + 1), size)
        pieces = [os.pread(file.fileno(), len(head) + 1, place - 1) for place in places]
        n_read = sum(len(piece) == len(head) + 1 for piece in pieces)  # the last ones are shorter
        heads = np.frombuffer(b"".join(pieces[:n_read]), np.uint8).reshape(n_read, len(head) + 1)
        numbers, good = _read_alike(head, heads, step)
        n_good = n_read if good.all() else int(np.argmin(good))
        steps.append(numbers[:n_good])
        if n_good < n_ahead:
            return np.concatenate(steps)[:-1]
        offset += n_good * size
        n_ahead = min(2 * n_ahead, MOST_AHEAD)


def _read_alike(
    head: bytes, heads: NDArray[np.uint8], step: re.Match[bytes] | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Steps ``(n,)``, and whether these are like the head, each after the newline of a frame.

    Like it: the same number of atoms, newlines at the same places, a step in the same columns.
    """
    count = head.index(b"\n") + 1
    same = np.frombuffer(b"\n" + head, np.uint8)
    good = (heads[:, : count + 1] == same[: count + 1]).all(axis=1)
    good &= ((heads == _NEWLINE) == (same == _NEWLINE)).all(axis=1)
    numbers = np.zeros(len(heads), dtype=np.int64)
    if step is None:
        return numbers, good
    first, end = step.start() + 1 + len(b"Step:"), step.end() + 1
    good &= (heads[:, step.start() + 1 : first] == same[step.start() + 1 : first]).all(axis=1)
    good &= heads[:, end] == same[end]
    blank_before = np.ones(len(heads), dtype=bool)
    for column in range(first, end):
        one = heads[:, column]
        blank, digit = one == _BLANK, (one >= _ZERO) & (one <= _NINE)
        good &= digit | (blank & blank_before)
        blank_before = blank
        numbers = 10 * numbers + np.where(digit, one - _ZERO, 0)
    return numbers, good & ~blank_before


def _head(file: BinaryIO, offset: int) -> bytes:
    """The two lines there, or what is left of them at the end of the file."""
    n_bytes = HEAD_BYTES
    while True:
        text = os.pread(file.fileno(), n_bytes, offset)
        end = text.find(b"\n", text.find(b"\n") + 1) + 1
        if end or len(text) < n_bytes:
            return text[: end or len(text)]
        n_bytes *= 4


def _head_after(file: BinaryIO, end: int) -> bytes | None:
    """The two lines at ``end`` if a frame can end there; empty at the end of the file."""
    text = os.pread(file.fileno(), HEAD_BYTES, end - 1)
    if not text.startswith(b"\n"):
        return None
    if len(text) > 1 and not _is_count(text[1:]):
        return None
    return _head(file, end) if text.count(b"\n", 1) < 2 else text[1 : _second_newline(text) + 1]


def _second_newline(text: bytes) -> int:
    return text.find(b"\n", text.find(b"\n", 1) + 1)


def _measured(file: BinaryIO, offset: int, n_atoms: int) -> tuple[int, bool]:
    """Where the lines of a frame end, and whether they are all there and a frame follows."""
    file.seek(offset)
    lines = list(islice(file, n_atoms))
    whole = len(lines) == n_atoms and lines[-1].endswith(b"\n")
    following = file.readline()
    return offset + sum(map(len, lines)), whole and (not following or following.strip().isdigit())


def _next_count(file: BinaryIO, offset: int) -> tuple[int, bytes]:
    """First byte and head of the next frame from ``offset`` on; empty at the end of the file."""
    file.seek(offset)
    for line in file:
        if line.strip().isdigit():
            return offset, _head(file, offset)
        offset += len(line)
    return offset, b""


def _is_count(head: bytes) -> bool:
    return head.split(b"\n", 1)[0].strip().isdigit()


def _atom_count(path: Path, head: bytes) -> int:
    if not _is_count(head) or int(head.split(b"\n", 1)[0]) < 1:
        raise InputError(f"{path} begins with {head[:40]!r}; expected a number of atoms")
    return int(head.split(b"\n", 1)[0])
