"""Ends of i-PI's output files: their last complete step, and cutting off what comes after one.

Reads from the end, whatever the length of the file.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
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


def _step(record: bytes) -> int:
    match = STEP.search(record)
    return int(match[1]) if match else int(float(record.split()[0]))


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
            if not line.startswith(b"#"):  # the header may have been repeated
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
            n_lines = int(text[start:comment]) + 2
            if len(lines) > n_lines:  # the last piece is what follows the last end of line
                yield start, b"\n".join(lines[:n_lines]) + b"\n"
            end = start


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    """The bytes of a file without reading it all; empty for a missing or empty file."""
    if not path.exists() or not path.stat().st_size:
        yield b""
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        yield text
