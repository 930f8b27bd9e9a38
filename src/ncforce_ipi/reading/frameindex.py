"""Where the frames of a trajectory file begin and end, and which of them are not whole.

Owns the index; knows nothing of what frames hold but the step in the comment line.  Where frames
have the same length, as they do with numbers of fixed width, the next ones are looked for at their
places, and only their first two lines are read.  Anything else is left to `framesearch`.
"""

from __future__ import annotations

import os
import re
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.commentline import step_in
from ncforce_ipi.reading.framesearch import Place, Search, atoms_of, first_frame

FEWEST_AHEAD, MOST_AHEAD = 2, 512  # frames looked for at once
BEFORE = 4  # bytes that are read before a frame: the end of a line that isn't blank
MOST_AHEAD_BYTES = 1 << 22  # of their first two lines
_NEWLINE, _BLANK, _ZERO, _NINE = b"\n 09"


@dataclass(frozen=True)
class Index:
    """The frames of a file, in its order.

    Attributes
    ----------
    steps : ``(n_frames,)``, as the comment lines say, or frame numbers from 0
    spans : ``(n_frames, 3)``, first byte, bytes before the atoms, and bytes in all
    numbered : whether the steps are the file's own
    cuts : ``(n_cuts,)``, first bytes of frames that are not whole
    """

    steps: NDArray[np.int64]
    spans: NDArray[np.int64]
    numbered: bool
    cuts: NDArray[np.int64]


def index_frames(path: Path, file: BinaryIO) -> Index:
    """Find all whole frames.

    Raises
    ------
    InputError
        The file doesn't begin with a number of atoms, frames have different numbers of them, or
        only some say a step.
    """
    found, cuts = array("q"), array("q")  # numbers: a list of tuples would take ten times as much
    search, first, place = first_frame(path, file.fileno())
    if place != first:
        cuts.append(first.offset)
    numbered = step_in(place.comment) is not None
    body = -1  # bytes of the atoms of a frame whose rows have one width, so that others have too
    while place.head:
        if atoms_of(place.head) != search.n_atoms:
            _refuse_other_number(search, place, len(found) // 4)
            cuts.append(place.offset)
            place = search.next_whole(place.offset)
            continue
        size = len(place.head) + body
        if body > 0 and len(steps := _alike(file, place.offset, place.head, size)):
            _add(found, steps if numbered else None, place, size, len(steps))
            place = search.place(place.offset + len(steps) * size)
        end = place.after + body
        following = search.following(end) if body > 0 else None
        if following is None:
            whole = search.whole(place)  # the lines are counted
            if whole is None:
                cuts.append(place.offset)
                place = search.next_whole(place.offset)
                continue
            end, following = whole
            body = end - place.after if search.even(place.after, end) else -1
        _add(found, _own_step(search, place, numbered), place, end - place.offset, 1)
        place = following
    frames = np.array(found, dtype=np.int64).reshape(-1, 4)  # (frame, step|byte|head|size)
    return Index(frames[:, 0], frames[:, 1:], numbered, np.array(cuts, dtype=np.int64))


def _refuse_other_number(search: Search, place: Place, n_before: int) -> None:
    """Raise if a whole frame of another number of atoms is there."""
    if (n_atoms := search.stranger(place)) is not None:
        raise InputError(
            f"{search.path}: a frame of {n_atoms} atoms after frames of {search.n_atoms} (frame "
            f"{n_before} from 0, byte {place.offset}); expected one number of atoms"
        )


def _own_step(search: Search, place: Place, numbered: bool) -> NDArray[np.int64] | None:
    """The step that a frame says, ``(1,)``; None where the frames say none."""
    match = step_in(place.comment)
    if (match is not None) != numbered:
        raise InputError(
            f"{search.path}: the frame at byte {place.offset} says "
            f"{'a' if match else 'no'} step and others say {'none' if match else 'one'}: "
            f"{place.comment[:60]!r}; are these frames of one run?"
        )
    return None if match is None else np.array([int(match[1])])


def _add(found: array[int], steps: NDArray | None, place: Place, size: int, n_frames: int) -> None:
    """Append frames of one length.  Without steps they count on."""
    rows = np.empty((n_frames, 4), dtype=np.int64)
    first = len(found) // 4
    rows[:, 0] = np.arange(first, first + n_frames) if steps is None else steps
    rows[:, 1] = place.offset + size * np.arange(n_frames)
    rows[:, 2:] = len(place.head), size
    found.frombytes(rows.tobytes())


def _alike(file: BinaryIO, offset: int, head: bytes, size: int) -> NDArray[np.int64]:
    """Steps of the frames of this one's length from ``offset`` on, each followed by another.

    0 where the comment line says none.
    """
    if head.count(b"\n") < 2:  # a cut one
        return np.empty(0, dtype=np.int64)
    n_before = max(BEFORE, head.index(b"\n") + 2)  # the start of a cut frame would be seen
    step = step_in(head)
    steps = [np.array([int(step[1]) if step else 0])]  # of heads that are there
    most = max(min(MOST_AHEAD, MOST_AHEAD_BYTES // len(head)), 1)
    n_ahead = min(FEWEST_AHEAD, most)
    while True:
        places = range(offset + size, offset + size * (n_ahead + 1), size)
        n_bytes = n_before + len(head)
        pieces = [os.pread(file.fileno(), n_bytes, place - n_before) for place in places]
        n_read = sum(len(piece) == n_bytes for piece in pieces)  # the last ones are shorter
        texts = np.frombuffer(b"".join(pieces[:n_read]), np.uint8).reshape(n_read, n_bytes)
        before, heads = texts[:, : n_before - 1], texts[:, n_before - 1 :]
        numbers, good = _read_alike(head, heads, step)
        good &= (before != _NEWLINE).all(axis=1) & (before > _BLANK).any(axis=1)  # no blank line
        n_good = n_read if good.all() else int(np.argmin(good))
        steps.append(numbers[:n_good])
        if n_good < n_ahead:
            return np.concatenate(steps)[:-1]
        offset += n_good * size
        n_ahead = min(4 * n_ahead, most)


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
    word = step.group()[: step.start(1) - step.start()].rstrip(b" ")  # blanks are padding
    first, end = step.start() + 1 + len(word), step.end() + 1
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
