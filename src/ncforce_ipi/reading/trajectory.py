"""Trajectories of i-PI (``xyz``, ``ase``), ASE (extxyz) and others (xyz), streamed in blocks.

Owns the reading of frames from where the index of the file says they are.  Its memory is that
index, 32 bytes a frame, and one block of frames.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.frameheader import Header, read_header
from ncforce_ipi.reading.frameindex import STEP, index_frames, last_of_each
from ncforce_ipi.reading.frametext import Layout, layout_of, parse_lines, parse_rows

log = logging.getLogger(__name__)
BYTES_AT_ONCE = 1 << 20
MOST_PIECES = 1024  # that one system call reads


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

    def between(self, from_step: int, to_step: int | None = None) -> Trajectory:
        """The same file with the frames from ``from_step`` to ``to_step`` only, both included."""
        chosen = self.steps >= from_step
        if to_step is not None:
            chosen &= self.steps <= to_step
        return replace(self, steps=self.steps[chosen], spans=self.spans[chosen])

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
        """Frames of one length that lie one after the other in the file, about a megabyte."""
        while start < stop:
            size = int(self.spans[start, 2])
            n_most = min(max(BYTES_AT_ONCE // size, 1), MOST_PIECES // 2)
            here = self.spans[start : min(start + n_most, stop)]
            alike = (here[:, 1:] == here[0, 1:]).all(axis=1)
            alike[1:] &= np.diff(here[:, 0]) == size
            n_frames = len(alike) if alike.all() else int(np.argmin(alike))
            yield range(start, start + n_frames)
            start += n_frames

    def _read(
        self, file: BinaryIO, part: range, header: _Headers, buffer: bytearray, values: NDArray,
        cells: NDArray,
    ) -> None:  # fmt: skip
        """Fill values ``(len(part), n_atoms, 3)`` and cells with a part of the frames."""
        offset, n_head, n_bytes = (int(number) for number in self.spans[part.start])
        n_body = n_bytes - n_head
        buffer.extend(bytes(max(len(part) * n_bytes - len(buffer), 0)))
        pieces = np.frombuffer(buffer, np.uint8, len(part) * n_bytes)
        heads = pieces[: len(part) * n_head].reshape(len(part), n_head)
        text = pieces[len(part) * n_head :].reshape(len(part), n_body)
        places = [piece for row in range(len(part)) for piece in (heads[row], text[row])]
        if os.preadv(file.fileno(), places, offset) < pieces.size:
            raise InputError(f"{self.path} has become shorter while it was read; read it again")
        meanings = header.of_all(heads)
        if any(meaning.columns != meanings[0].columns for meaning in meanings):
            first, last = self.steps[part.start], self.steps[part.stop - 1]
            raise InputError(
                f"{self.path}: columns change between steps {first} and {last}; expected the same "
                "in all frames"
            )
        factors = np.array([meaning.factor for meaning in meanings])[:, None, None]
        cells[:] = [meaning.cell for meaning in meanings]
        numbers = self._numbers(text, meanings[0].columns, part)
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

    def of_all(self, heads: NDArray[np.uint8]) -> list[Header]:
        """Of each of the heads ``(n_frames, n_bytes)``; one where they differ by the step only."""
        first = heads[0].tobytes()
        differs = (heads != heads[0]).any(axis=0)
        step = STEP.search(first)
        if step is not None:
            differs[slice(*step.span())] = False
        return [self(head.tobytes()) for head in heads] if differs.any() else [self(first)]


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
        found = index_frames(path, file)
        if found.n_cut:
            log.warning("%s: %d cut frame(s) left out", path, found.n_cut)
        if not len(found.steps):
            raise InputError(f"{path} holds no complete frame")
        offset, head, size = (int(number) for number in found.spans[0])
        text = os.pread(file.fileno(), size, offset)
    header = read_header(path, text[:head].split(b"\n", 2)[1], quantity, unit)
    species = np.array([line.split(maxsplit=1)[0].decode() for line in text[head:].splitlines()])
    kept = last_of_each(found.steps)
    steps, spans = found.steps[kept], found.spans[kept]
    return Trajectory(path, header.quantity, unit, species, found.numbered, steps, spans)


def _layout(text: bytes, n_atoms: int, columns: tuple[int, ...]) -> Layout | None:
    """Layout of the rows of a frame, if they can be of one width."""
    line = text[: text.find(b"\n") + 1]
    return layout_of(line, columns) if line and len(text) == n_atoms * len(line) else None
