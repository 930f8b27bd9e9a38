"""The places in a file where frames can begin and end, whatever is wrong with the file.

Owns the rule for a whole frame: a number of atoms, a comment line, as many lines as atoms, none of
which is a number of atoms, and after them, or after blank lines, another frame or the end of the
file.  Reads blocks, never the file: neither binary rubbish nor an absurd number of atoms costs
memory.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ncforce_ipi.errors import InputError

HEAD_BYTES = 1024
BLOCK_BYTES = 1 << 20
MOST_COMMENT_BYTES = 1 << 24
_COUNT = re.compile(rb"[ \t]*(\d{1,18})[ \t]*\r?(?:\n|\Z)")
_COUNT_LINE = re.compile(rb"\n[ \t]*\d{1,18}[ \t]*\r?\n")
LINE_BYTES = 64
MOST_COUNT_BYTES = 24  # of a line with a number of atoms
USUAL_BYTES = 100  # of an atom's line, or less
_ATOM_BYTES = 2  # of a line at the very least


def atoms_of(head: bytes) -> int | None:
    """The number of atoms in the first line; None where it is none."""
    match = _COUNT.match(head)
    return None if match is None else int(match[1])


@dataclass(frozen=True)
class Place:
    """A byte of the file and the two lines there; none at the end of the file."""

    offset: int
    head: bytes

    @property
    def after(self) -> int:
        """First byte after the two lines."""
        return self.offset + len(self.head)

    @property
    def comment(self) -> bytes:
        """The second line."""
        return self.head.partition(b"\n")[2]


@dataclass(frozen=True)
class Search:
    """Looks for frames of one number of atoms.

    Attributes
    ----------
    path : for messages
    file : its descriptor
    n_bytes : its length
    n_atoms : of each frame
    """

    path: Path
    file: int
    n_bytes: int
    n_atoms: int

    def following(self, end: int) -> Place | None:
        """What follows a frame that ends there; None if none can end there.

        Blank lines are passed over.
        """
        if end > self.n_bytes:
            return None
        start = max(end - LINE_BYTES, 0)
        before = os.pread(self.file, end - start, start)
        last = before[:-1].rpartition(b"\n")[2].strip()
        if not before.endswith(b"\n") or not last or last.isdigit():
            return None  # within a line, after blank ones, or after the start of a cut frame
        offset = next_line(self.file, end)
        head = head_at(self.path, self.file, offset)
        if not head or atoms_of(head) == self.n_atoms:
            return Place(offset, head)
        # the number cut at the end of the file, or cut and followed by a whole one (1192 of 192)
        count = head.partition(b"\n")[0].strip()
        cut = head.isdigit() or (count.isdigit() and count.endswith(b"%d" % self.n_atoms))
        if cut or self.stranger(Place(offset, head)) is not None:
            return Place(offset, head)
        return None

    def stranger(self, place: Place) -> int | None:
        """Number of atoms of a whole frame with another number of them; None if it's none."""
        n_atoms = atoms_of(place.head)
        if n_atoms in (None, 0, self.n_atoms):
            return None
        other = replace(self, n_atoms=n_atoms)
        return None if other._lines_end(place.after) is None else n_atoms

    def whole(self, place: Place) -> tuple[int, Place] | None:
        """Where the frame ends that begins there, and what follows it; None if it is cut."""
        end = self._lines_end(place.after)
        if end is None:
            return None
        at_end = end == self.n_bytes  # where a newline may be missing
        following = Place(end, b"") if at_end else self.following(end)
        return None if following is None else (end, following)

    def even(self, start: int, end: int) -> bool:
        """Whether the lines there, of which there are as many as atoms, have one width.

        A single line doesn't tell.
        """
        width, rest = divmod(end - start, self.n_atoms)
        if rest or self.n_atoms == 1:
            return False
        text = np.frombuffer(os.pread(self.file, min(end - start, BLOCK_BYTES), start), np.uint8)
        newlines = np.flatnonzero(text == ord("\n"))
        return bool((newlines == width * np.arange(1, len(newlines) + 1) - 1).all())

    def next_whole(self, offset: int) -> Place:
        """The next whole frame that begins after ``offset``, or the end of the file.

        It may begin within a line: what a run writes after a crash goes on where the cut one ended.
        """
        count = re.compile(rb"%d[ \t]*\r?\n" % self.n_atoms)
        offset += 1
        while len(text := os.pread(self.file, BLOCK_BYTES, offset)) > 1:
            last = max(len(text) - HEAD_BYTES, 1)  # what begins later is read again
            for match in count.finditer(text):
                if match.start() >= last and len(text) == BLOCK_BYTES:
                    break
                place = self.place(offset + match.start())
                if self.whole(place) is not None:
                    return place
            offset += last if len(text) == BLOCK_BYTES else len(text)
        return Place(self.n_bytes, b"")

    def place(self, offset: int) -> Place:
        """A place in the file with the two lines there."""
        return Place(offset, head_at(self.path, self.file, offset))

    def _lines_end(self, offset: int) -> int | None:
        """Where as many lines as atoms end; None if there aren't so many, or one is a count."""
        missing = self.n_atoms
        if missing * _ATOM_BYTES > self.n_bytes - offset + 1:
            return None
        n_read = min(missing * USUAL_BYTES + HEAD_BYTES, BLOCK_BYTES)
        while True:
            text = os.pread(self.file, n_read, offset - 1)  # from the newline before
            newlines = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))[: missing + 1]
            n_lines = len(newlines) - 1
            if n_lines < 1 and len(text) == n_read < BLOCK_BYTES:  # a long line
                n_read = BLOCK_BYTES
                continue
            if n_lines < 1:
                last = text[1:] if missing == 1 and len(text) < n_read else b""
                return offset + len(last) if self._complete(offset, last) else None
            size = int(newlines[-1])
            if np.diff(newlines).min() <= MOST_COUNT_BYTES and _COUNT_LINE.search(text[: size + 1]):
                return None
            offset += size
            missing -= n_lines
            if missing == 0:
                return offset

    def _complete(self, offset: int, last: bytes) -> bool:
        """Whether a last line without a newline is whole: as the line before, to the last digit.

        A program that prints all digits of a number leaves that open: then it counts as cut.
        """
        if not last.strip():
            return False
        text = os.pread(self.file, min(offset, BLOCK_BYTES), max(offset - BLOCK_BYTES, 0))
        before = text.rstrip(b"\n").rpartition(b"\n")[2].split()
        words = last.split()
        if self.n_atoms == 1:  # the line before is a comment
            return len(words) > 1
        return len(words) == len(before) and _decimals(words[-1]) == _decimals(before[-1])


def _decimals(word: bytes) -> int:
    """Letters after the point of a number, those of its exponent included."""
    return len(word.partition(b".")[2])


def first_frame(path: Path, file: int) -> tuple[Search, Place, Place]:
    """The search for frames like the first one, that place, and the first whole frame.

    Raises
    ------
    InputError
        The file doesn't begin with a number of atoms.
    """
    offset = next_line(file, 0)
    head = head_at(path, file, offset)
    n_atoms = atoms_of(head)
    if not n_atoms:
        raise InputError(f"{path} begins with {head[:40]!r}; expected a number of atoms")
    search, place = Search(path, file, os.fstat(file).st_size, n_atoms), Place(offset, head)
    whole = place if search.whole(place) is not None else search.next_whole(offset)
    return search, place, whole


def next_line(file: int, offset: int) -> int:
    """First byte of the first line from ``offset`` on that isn't blank, or of the file's end."""
    place = offset
    while text := os.pread(file, HEAD_BYTES, place):
        rest = text.lstrip()
        newline = text.rfind(b"\n", 0, len(text) - len(rest))
        if newline >= 0:
            offset = place + newline + 1
        if rest:
            return offset
        place += len(text)
    return place


def head_at(path: Path, file: int, offset: int) -> bytes:
    """The two lines there, or what is left of them at the end of the file."""
    n_bytes = HEAD_BYTES
    while True:
        text = os.pread(file, n_bytes, offset)
        first = text.find(b"\n")
        end = text.find(b"\n", first + 1) + 1
        if first < 0 and len(text) > HEAD_BYTES // 2:  # a number of atoms isn't so long
            return text[: HEAD_BYTES // 2]
        if end > 0 and first >= 0:
            return text[:end]
        if len(text) < n_bytes:
            return text
        if n_bytes >= MOST_COMMENT_BYTES:
            raise InputError(
                f"{path}: the comment line at byte {offset} is longer than "
                f"{MOST_COMMENT_BYTES >> 20} MB; expected a trajectory"
            )
        n_bytes *= 4
