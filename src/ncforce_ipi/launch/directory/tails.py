"""Ends of i-PI's output files: their last complete step, and cutting off what comes after one.

Reads from the end, whatever the length of the file.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ncforce_ipi.errors import RunError

STEP = re.compile(rb"Step: *(\d+)")


def last_step(path: Path, at_most: int | None = None) -> int:
    """Step of the last complete line or frame of an output, up to ``at_most``; -1 without one."""
    with closing(_backwards(path)) as records:
        steps = (_step(record) for _, record in records)
        return next((step for step in steps if at_most is None or step <= at_most), -1)


def cut(path: Path, step: int) -> None:
    """Cut all that belongs to later steps, and what is incomplete, off the end of an output."""
    if not path.exists():
        raise RunError(f"{path} is missing; without it the run can't go on")
    end = 0
    with closing(_backwards(path)) as records:
        for start, record in records:
            if _step(record) <= step:
                end = start + len(record)
                break
    with path.open("rb+") as file:
        file.truncate(end)
        os.fsync(file.fileno())


def is_whole(path: Path, step: int, stride: int, since: int) -> bool:
    """Whether each output that was due after step ``since`` and up to ``step`` is there.

    After a loss of power a part in the middle may be missing, or zeros in its place.
    """
    due = step - step % stride
    with closing(_backwards(path)) as records:
        for _, record in records:
            found = _step(record)
            if found > due:
                continue
            if found != due:
                return False
            due -= stride
            if due <= since:
                return True
    return due < 0


def _step(record: bytes) -> int:
    """Of a line or frame; -1 where it says none."""
    match = STEP.search(record)
    with suppress(ValueError, IndexError, OverflowError):
        return int(match[1]) if match else int(float(record.split()[0]))
    return -1


def _backwards(path: Path) -> Generator[tuple[int, bytes], None, None]:
    """Start and text of each complete line of properties or frame of a trajectory."""
    return _lines_backwards(path) if path.suffix == ".out" else _frames_backwards(path)


def _lines_backwards(path: Path) -> Generator[tuple[int, bytes], None, None]:
    """Start and text of each complete line of numbers, the last one first."""
    with _mapped(path) as text:
        end = text.rfind(b"\n") + 1
        while end:
            start = text.rfind(b"\n", 0, end - 1) + 1
            line = text[start:end]
            # the header may have been repeated; zeros are what a loss of power leaves
            if not line.startswith(b"#") and b"\0" not in line:
                yield start, line
            end = start


def _frames_backwards(path: Path) -> Generator[tuple[int, bytes], None, None]:
    """Start and text of each complete frame of an xyz file, the last one first."""
    with _mapped(path) as text:
        end = len(text)
        while (comment := text.rfind(b"Step:", 0, end)) >= 0:
            comment = text.rfind(b"\n", 0, comment)  # end of the line with the number of atoms
            start = text.rfind(b"\n", 0, comment) + 1
            lines = text[start:end].split(b"\n")
            n_lines = _number(text[start:comment]) + 2
            # the last piece is what follows the last end of line
            if 2 < n_lines < len(lines) and not any(b"\0" in line for line in lines[:n_lines]):
                yield start, b"\n".join(lines[:n_lines]) + b"\n"
            end = start


def _number(text: bytes) -> int:
    """Of atoms; -1 where it is none."""
    return int(text) if text.strip().isdigit() else -1


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    """The bytes of a file without reading it all; empty for a missing or empty file."""
    if not path.exists() or not path.stat().st_size:
        yield b""
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        yield text
