"""Trajectories of i-PI (``xyz``, ``ase``), ASE (extxyz) and others (xyz), streamed in blocks.

Owns where frames begin and end, what a restart repeats and what a crash cuts off.  A file is
indexed first: where frames have the same length, as they do with numbers of fixed width, only
their comment lines are read for that.  Its memory is 32 bytes a frame and one block of frames.
"""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.frameheader import STEP, Header, read_header
from ncforce_ipi.frametext import Layout, layout_of, parse_lines, parse_rows

log = logging.getLogger(__name__)
BYTES_AT_ONCE = 1 << 22
HEAD_BYTES = 1024


@dataclass(frozen=True)
class Frames:
    """Consecutive frames of a trajectory.

    Attributes
    ----------
    steps : ``(n_frames,)``, step numbers of the file (i-PI: outer steps), or frame numbers from 0
    values : ``(n_frames, n_atoms, 3)``, A for positions, A/fs for velocities, u A/fs for momenta,
        eV/A for forces
    cells : ``(n_frames, 3, 3)``, A, one lattice vector a row; zeros without a cell
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    cells: NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """A trajectory file and where its valid frames lie; holds 32 bytes a frame, not the frames.

    Attributes
    ----------
    path : the file
    quantity : ``positions``, ``velocities``, ``momenta`` or ``forces``
    unit : of velocities where the file states none
    species : ``(n_atoms,)``, element symbols
    numbered : whether the steps are the file's own; else they count frames from 0
    steps : ``(n_frames,)``, strictly rising
    spans : ``(n_frames, 3)``, first byte, bytes before the atoms, and bytes in all
    """

    path: Path
    quantity: str
    unit: str | None
    species: NDArray[np.str_]
    numbered: bool
    steps: NDArray[np.int64]
    spans: NDArray[np.int64]

    def blocks(self, n_frames: int, *, from_step: int = 0) -> Iterator[Frames]:
        """Frames from ``from_step`` on, ``n_frames`` at a time; the last block may be shorter.

        Raises
        ------
        InputError
            A frame that can't be read, or a value that isn't finite (with step, frame and atom).
        """
        header = self._headers()
        first = int(np.searchsorted(self.steps, from_step))
        buffer = bytearray()  # of text, used again: fresh memory costs as much as reading
        with self.path.open("rb") as file:
            for start in range(first, len(self.steps), n_frames):
                steps = self.steps[start : start + n_frames]
                values = np.empty((len(steps), len(self.species), 3))
                cells = np.empty((len(steps), 3, 3))
                for part in self._parts(start, start + len(steps)):
                    place = slice(part.start - start, part.stop - start)
                    self._read(file, part, header, buffer, values[place], cells[place])
                self._require_finite(start, values)
                yield Frames(steps, values, cells)

    def cells(self, from_step: int = 0) -> Iterator[NDArray[np.float64]]:
        """Cells ``(3, 3)``, A, that frames have, from their comment lines; not twice in a row."""
        header = self._headers()
        last = None
        with self.path.open("rb") as file:
            for offset, head, _ in self.spans[self.steps >= from_step]:
                cell = header(os.pread(file.fileno(), int(head), int(offset))).cell
                if cell is not last:  # a line as before has the same array
                    yield cell
                last = cell

    def stride(self, from_step: int = 0) -> int:
        """Steps between frames from ``from_step`` on.

        Raises
        ------
        InputError
            Fewer than two frames there, or uneven steps.
        """
        steps = self.steps[self.steps >= from_step]
        gaps = np.unique(np.diff(steps))
        if len(gaps) != 1:
            found = "fewer than two frames" if len(gaps) == 0 else f"gaps of {gaps[:4]} steps"
            raise InputError(f"{self.path}: {found}; expected frames at one constant stride")
        return int(gaps[0])

    def _headers(self) -> _Headers:
        return _Headers(partial(read_header, self.path, wanted=self.quantity, unit=self.unit))

    def _parts(self, start: int, stop: int) -> Iterator[range]:
        """Frames of one length each, about a megabyte."""
        while start < stop:
            size = int(self.spans[start, 2] - self.spans[start, 1])
            here = self.spans[start : min(start + max(BYTES_AT_ONCE // size, 1), stop)]
            alike = here[:, 2] - here[:, 1] == size
            n_frames = len(alike) if alike.all() else int(np.argmin(alike))
            yield range(start, start + n_frames)
            start += n_frames

    def _read(
        self,
        file: BinaryIO,
        part: range,
        header: _Headers,
        buffer: bytearray,
        values: NDArray,
        cells: NDArray,
    ) -> None:
        """Fill values ``(len(part), n_atoms, 3)`` and cells with frames of one length."""
        n_bytes = int(self.spans[part.start, 2] - self.spans[part.start, 1])
        buffer.extend(bytes(max(len(part) * n_bytes - len(buffer), 0)))
        text = np.frombuffer(buffer, np.uint8, len(part) * n_bytes).reshape(len(part), n_bytes)
        factors = np.empty((len(part), 1, 1))
        for row, frame in enumerate(part):
            offset, head, _ = (int(number) for number in self.spans[frame])
            comment = bytearray(head)
            os.preadv(file.fileno(), [comment, text[row]], offset)
            meaning = header(bytes(comment))
            factors[row], cells[row] = meaning.factor, meaning.cell
        numbers = self._numbers(text, meaning.columns, part)
        np.multiply(numbers.reshape(values.shape), factors, out=values)

    def _numbers(self, text: NDArray[np.uint8], columns: tuple[int, ...], part: range) -> NDArray:
        """``(n_frames * n_atoms, 3)``, in the file's unit, of frames ``(n_frames, n_bytes)``."""
        layout = _layout(text[0].tobytes(), len(self.species), columns)
        if layout is not None:
            numbers = parse_rows(text.reshape(-1, layout.width), layout)
            if numbers is not None:
                return numbers
        found = []
        for frame, row in zip(part, text, strict=True):
            try:
                found.append(parse_lines(row.tobytes().splitlines(), columns))
            except (ValueError, IndexError) as err:
                raise InputError(
                    f"{self.path}: unreadable frame {frame} at step {self.steps[frame]}, "
                    f"byte {self.spans[frame, 0]}: {err}"
                ) from err
        return np.concatenate(found)

    def _require_finite(self, start: int, values: NDArray[np.float64]) -> None:
        if np.isfinite(values.sum()):  # a nan or an infinity among them would be in the sum
            return
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            frame, atom, _ = bad[0]
            raise InputError(
                f"{self.path}: {values[tuple(bad[0])]} at step {self.steps[start + frame]}, "
                f"atom {atom} (frame {start + frame}, both from 0); expected finite "
                f"{self.quantity}: the run has blown up there"
            )


class _Headers:
    """Reads comment lines, and those that differ by their step only once."""

    def __init__(self, read: partial[Header]) -> None:
        self._read = lru_cache(maxsize=4)(lambda comment: read(comment=comment))

    def __call__(self, head: bytes) -> Header:
        return self._read(STEP.sub(b"", head.split(b"\n", 2)[1], count=1))


def open_trajectory(
    path: Path, quantity: str | None = None, *, unit: str | None = None
) -> Trajectory:
    """Index a trajectory; cut frames are left out with a warning.

    Of frames that a resumed run repeats the later ones count.

    Parameters
    ----------
    path : i-PI's ``xyz`` or ``ase``, ASE's extxyz, or xyz
    quantity : positions, velocities, momenta or forces; None for what the file holds
    unit : of velocities where the file states none

    Raises
    ------
    InputError
        No file, no frame, not the quantity, or frames with different numbers of atoms.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; expected a trajectory")
    with path.open("rb") as file:
        found, n_cut, numbered = _index(path, file)
        if n_cut:
            log.warning("%s: %d cut frame(s) left out", path, n_cut)
        if not found:
            raise InputError(f"{path} holds no complete frame")
        frames = np.array(found, dtype=np.int64).reshape(-1, 4)  # (frame, step|byte|head|size)
        offset, head, size = (int(number) for number in frames[0, 1:])
        text = os.pread(file.fileno(), size, offset)
    header = read_header(path, text[:head].split(b"\n", 2)[1], quantity, unit)
    species = np.array([line.split(maxsplit=1)[0].decode() for line in text[head:].splitlines()])
    frames = frames[last_of_each(frames[:, 0])]
    return Trajectory(path, header.quantity, unit, species, numbered, frames[:, 0], frames[:, 1:])


def last_of_each(steps: NDArray) -> NDArray[np.bool_]:
    """Rows that no later row replaces: those with a step before every later row's step."""
    later = np.minimum.accumulate(steps[::-1])[::-1]
    return np.append(steps[:-1] < later[1:], True)


def _layout(text: bytes, n_atoms: int, columns: tuple[int, ...]) -> Layout | None:
    """Layout of the rows of a frame, if they can be of one width."""
    line = text[: text.find(b"\n") + 1]
    return layout_of(line, columns) if line and len(text) == n_atoms * len(line) else None


def _index(path: Path, file: BinaryIO) -> tuple[array[int], int, bool]:
    """Step, first byte, head and size of each whole frame; number of cut ones; own steps or not."""
    found = array("q")  # four numbers a frame: a list of tuples would take ten times as much
    head = _head(file, 0)
    n_atoms, numbered = _atom_count(path, head), STEP.search(head) is not None
    offset, body, n_cut = 0, -1, 0
    while head:
        if not _is_count(head):  # what follows a cut frame, up to the next whole one
            offset, head = _next_count(file, offset)
            continue
        n_frames = len(found) // 4
        if int(head.split(b"\n", 1)[0]) != n_atoms:
            raise InputError(
                f"{path}: a frame of {int(head.split(maxsplit=1)[0])} atoms after frames of "
                f"{n_atoms} (frame {n_frames} from 0, byte {offset}); expected one number of atoms"
            )
        end = offset + len(head) + body
        following = _head_after(file, end) if body >= 0 else None
        whole = following is not None
        if following is None:
            end, whole = _measured(file, offset + len(head), n_atoms)
            following = _head(file, end)
        step = STEP.search(head) if numbered else None
        if whole and (step or not numbered):
            body = end - offset - len(head)
            found.extend((int(step[1]) if step else n_frames, offset, len(head), end - offset))
        else:
            n_cut += 1
        offset, head = end, following
    return found, n_cut, numbered


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
