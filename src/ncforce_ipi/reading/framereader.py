"""Frames of a trajectory from where its index says they are: numbers, cells, the same atoms.

Owns that every frame is read by its own comment line, and that its atoms are those of the first
frame, in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.commentline import step_in
from ncforce_ipi.reading.frameheader import Header, read_header
from ncforce_ipi.reading.frametext import (
    Layout,
    columns_of_words,
    layout_of,
    parse_rows,
    words_between,
)

BYTES_AT_ONCE = 1 << 20
MOST_PIECES = 1024  # that one system call reads


class Headers:
    """Reads comment lines, and those that differ by their step only once."""

    def __init__(self, path: Path, quantity: str, unit: str | None) -> None:
        read = partial(read_header, path, wanted=quantity, unit=unit)
        self._read = lru_cache(maxsize=4)(lambda comment: read(comment=comment))

    def __call__(self, head: bytes) -> Header:
        """Meaning of the two first lines of a frame."""
        comment = head.split(b"\n", 2)[1]
        step = step_in(comment)
        if step is not None:
            comment = comment[: step.start(1)].rstrip() + b"0" + comment[step.end(1) :]
        return self._read(comment)

    def of_all(self, heads: NDArray[np.uint8]) -> list[Header]:
        """Of each of the heads ``(n_frames, n_bytes)``; one where they differ by the step only."""
        first = heads[0].tobytes()
        differs = (heads != heads[0]).any(axis=0)
        step = step_in(first)
        if step is not None:
            differs[slice(*step.span(1))] = False
        return [self(head.tobytes()) for head in heads] if differs.any() else [self(first)]


_Known = tuple[range, list[NDArray[np.uint64]]]


class Reader:
    """Reads parts of one file into arrays; keeps memory for text and what it knows of atoms."""

    def __init__(
        self, path: Path, file: BinaryIO, headers: Headers, labels: NDArray[np.bytes_],
        pbc: tuple[bool, bool, bool], steps: NDArray[np.int64], spans: NDArray[np.int64],
    ) -> None:  # fmt: skip
        self._path, self._file, self._headers = path, file, headers
        self._words: list[list[bytes]] = labels.T.tolist()  # of each label
        self._pbc = pbc
        self._steps, self._spans = steps, spans
        self._buffer = bytearray()  # of text, used again: fresh memory costs as much as reading
        self._known: dict[tuple[int, tuple[int, ...]], list[_Known]] = {}

    def read(self, start: int, stop: int, values: NDArray, cells: NDArray) -> None:
        """Fill values ``(n_frames, n_atoms, 3)`` and cells with frames ``start`` to ``stop``."""
        for part in self._parts(start, stop):
            place = slice(part.start - start, part.stop - start)
            self._read(part, values[place], cells[place])

    def _parts(self, start: int, stop: int) -> Iterator[range]:
        """Frames of one length that lie one after the other in the file, about a megabyte."""
        while start < stop:
            size = int(self._spans[start, 2])
            n_most = min(max(BYTES_AT_ONCE // size, 1), MOST_PIECES // 2)
            here = self._spans[start : min(start + n_most, stop)]
            alike = (here[:, 1:] == here[0, 1:]).all(axis=1)
            alike[1:] &= np.diff(here[:, 0]) == size
            n_frames = len(alike) if alike.all() else int(np.argmin(alike))
            yield range(start, start + n_frames)
            start += n_frames

    def _read(self, part: range, values: NDArray, cells: NDArray) -> None:
        offset, n_head, n_bytes = (int(number) for number in self._spans[part.start])
        n_body = n_bytes - n_head
        self._buffer.extend(bytes(max(len(part) * n_bytes - len(self._buffer), 0)))
        pieces = np.frombuffer(self._buffer, np.uint8, len(part) * n_bytes)
        heads = pieces[: len(part) * n_head].reshape(len(part), n_head)
        text = pieces[len(part) * n_head :].reshape(len(part), n_body)
        places = [piece for row in range(len(part)) for piece in (heads[row], text[row])]
        if os.preadv(self._file.fileno(), places, offset) < pieces.size:
            raise InputError(f"{self._path} has become shorter while it was read; read it again")
        meanings = self._headers.of_all(heads)
        self._require_same_pbc(part, meanings)
        cells[:] = [meaning.cell for meaning in meanings]
        factors = np.array([meaning.factor for meaning in meanings])[:, None, None]
        first = meanings[0]
        if all(one.columns == first.columns and one.labels == first.labels for one in meanings):
            numbers = self._numbers(text, first, part)
        else:  # each frame by its own words
            numbers = np.concatenate(
                [
                    self._numbers(text[row : row + 1], meanings[row], part[row : row + 1])
                    for row in range(len(part))
                ]
            )
        np.multiply(numbers.reshape(values.shape), factors, out=values)

    def _numbers(self, text: NDArray[np.uint8], header: Header, part: range) -> NDArray:
        """``(n_frames * n_atoms, 3)``, in the file's unit, of frames ``(n_frames, n_bytes)``."""
        first = text[0].tobytes()
        layout = _layout(first, len(self._words[0]), header.columns)
        if layout is not None:
            numbers = parse_rows(text.reshape(-1, layout.width), layout)
            if numbers is not None and self._same_atoms(text, first, layout.width, header, part):
                return numbers
        rows = zip(part, text, strict=True)
        return np.concatenate([self._slowly(row.tobytes(), header, frame) for frame, row in rows])

    def _same_atoms(
        self, text: NDArray[np.uint8], first: bytes, width: int, header: Header, part: range
    ) -> bool:
        """Whether the columns of labels hold the same as in frames that are known to be right."""
        known = self._known.get((width, header.labels))
        if known is None:
            lines = first.split(b"\n")[:-1]
            n_words = max(header.labels) + 1
            self._require_same_atoms([line.split(None, n_words) for line in lines], header, part[0])
            known = [
                (region, words_between(text[:1], width, region))
                for region in columns_of_words(lines, header.labels)
            ]
            self._known[(width, header.labels)] = known
        return all(
            np.array_equal(one, np.broadcast_to(same, one.shape))
            for region, words in known
            for one, same in zip(words_between(text, width, region), words, strict=True)
        )

    def _slowly(self, body: bytes, header: Header, frame: int) -> NDArray[np.float64]:
        """``(n_atoms, 3)`` of rows of any shape."""
        lines = body.removesuffix(b"\n").split(b"\n")
        n_words = max(header.labels) + 1
        self._require_same_atoms([line.split(None, n_words) for line in lines], header, frame)
        text = [line.decode("latin-1") for line in lines]
        try:
            return np.loadtxt(text, usecols=header.columns, ndmin=2, comments=None)
        except ValueError:
            raise self._unreadable([line.split() for line in lines], header, frame) from None

    def _unreadable(
        self, rows: Sequence[Sequence[bytes]], header: Header, frame: int
    ) -> InputError:
        """The error that says which line it is."""
        atom, row = next(
            (atom, row) for atom, row in enumerate(rows) if not _are_numbers(row, header.columns)
        )
        columns = ", ".join(str(column + 1) for column in header.columns)
        return InputError(
            f"{self._path}: unreadable frame {frame} at step {self._steps[frame]}, byte "
            f"{self._spans[frame, 0]}: atom {atom} is {_shown(row)!r}; expected numbers in columns "
            f"{columns}"
        )

    def _require_same_atoms(
        self, rows: Sequence[Sequence[bytes]], header: Header, frame: int
    ) -> None:
        for known, column in zip(self._words, header.labels, strict=False):
            try:
                if [row[column] for row in rows] == known:
                    continue
            except IndexError:
                pass
            self._refuse_atoms(rows, known, column, frame)

    def _refuse_atoms(
        self, rows: Sequence[Sequence[bytes]], known: Sequence[bytes], column: int, frame: int
    ) -> None:
        place = f"at step {self._steps[frame]} (frame {frame} from 0)"
        if len(rows) != len(known):
            raise InputError(
                f"{self._path}: unreadable frame {place}, byte {self._spans[frame, 0]}: "
                f"{len(rows)} lines of atoms, expected {len(known)}"
            )
        for atom, (row, label) in enumerate(zip(rows, known, strict=True)):
            word = row[column : column + 1]
            if word != [label]:
                raise InputError(
                    f"{self._path}: atom {atom} is {_shown(word)!r} {place} and "
                    f"{_shown([label])!r} in the first frame; expected the same atoms in the same "
                    "order in every frame: sort them"
                )

    def _require_same_pbc(self, part: range, meanings: Sequence[Header]) -> None:
        for frame, meaning in zip(part, meanings, strict=False):
            if meaning.pbc != self._pbc:
                raise InputError(
                    f"{self._path}: periodic along {_axes(meaning.pbc)} at step "
                    f"{self._steps[frame]} and along {_axes(self._pbc)} in the first frame; "
                    "expected one periodicity"
                )


def _are_numbers(row: Sequence[bytes], columns: Sequence[int]) -> bool:
    try:
        return all(float(row[column]) is not None for column in columns)
    except (ValueError, IndexError):
        return False


def _shown(words: Sequence[bytes]) -> str:
    return b" ".join(words)[:60].decode("utf-8", "replace")


def _axes(pbc: tuple[bool, bool, bool]) -> str:
    return "".join(axis for axis, periodic in zip("abc", pbc, strict=True) if periodic) or "nothing"


def _layout(text: bytes, n_atoms: int, columns: tuple[int, ...]) -> Layout | None:
    """Layout of the rows of a frame, if they can be of one width."""
    line = text[: text.find(b"\n") + 1]
    return layout_of(line, columns) if line and len(text) == n_atoms * len(line) else None
