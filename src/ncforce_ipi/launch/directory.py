"""The files of a run directory: one run at a time, atomic writes, and where earlier files go.

Nothing of a run is deleted.  What gives way is moved to ``previous-1``, ``previous-2`` ... in the
same directory, each time to the next number.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ncforce_ipi.errors import InputError

log = logging.getLogger(__name__)

LOCK = ".lock"
PREVIOUS = "previous-"


@contextmanager
def locked(directory: Path) -> Iterator[int]:
    """Hold the directory against other launchers; yields the descriptor that holds it.

    A process that inherits the descriptor holds it too, so that the directory of a run whose
    launcher was killed stays taken as long as i-PI lives.
    """
    descriptor = _lock(directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(directory: Path) -> int:
    path = directory / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as err:
        raise InputError(f"{path} can't be made: {err.strerror}; choose another --out") from err
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        still_there = os.path.samestat(os.fstat(descriptor), path.stat())  # not just removed
    except OSError:
        still_there = False
    if not still_there:
        os.close(descriptor)
        raise InputError(f"a run is going on in {directory}; wait for its end")
    return descriptor


def contents(directory: Path) -> list[Path]:
    """What is in a directory besides the lock and what was moved aside; none if it isn't there."""
    if not directory.exists():
        return []
    return [path for path in directory.iterdir() if path.name != LOCK and _number(path) is None]


def previous(directory: Path) -> list[Path]:
    """Every ``previous-N`` of a directory."""
    if not directory.is_dir():
        return []
    return [path for path in directory.iterdir() if _number(path) is not None]


def new_previous(directory: Path) -> Path:
    """Make the next free ``previous-N`` of a directory."""
    taken = [_number(path) or 0 for path in previous(directory)]
    folder = directory / f"{PREVIOUS}{max(taken, default=0) + 1}"
    folder.mkdir()
    return folder


def _number(path: Path) -> int | None:
    """N of a ``previous-N``."""
    number = path.name.removeprefix(PREVIOUS)
    return int(number) if number != path.name and number.isdecimal() else None


def set_aside(directory: Path, paths: Sequence[Path]) -> Path | None:
    """Move those of these paths that exist to a new ``previous-N``; where they went, if any did."""
    there = [path for path in paths if os.path.lexists(path)]
    if not there:
        return None
    folder = new_previous(directory)
    move(there, folder)
    return folder


def move(paths: Sequence[Path], folder: Path) -> None:
    """Move files and folders to a folder of the same file system, and say so."""
    for path in paths:
        path.rename(folder / path.name)
    if paths:
        log.info("moved %s to %s", ", ".join(path.name for path in paths), folder)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader or a crash meets the old or the new one, never a part."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Make the names in a directory durable, where the file system knows how."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
