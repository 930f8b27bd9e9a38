"""The files of a run directory: one run at a time, room for its end, and where earlier files go.

Nothing of a run is deleted.  What gives way is moved to ``previous-1``, ``previous-2`` ... in the
same directory, each time to the next number.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ncforce_ipi import durable
from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.directory import holder
from ncforce_ipi.rundir import JOB_FILE, JOB_LOGS

log = logging.getLogger(__name__)

LOCK = ".lock"
PREVIOUS = "previous-"
RESERVE_BYTES = 1 << 16  # room for run.json
FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def locked(directory: Path, *, keep: bool = True) -> Iterator[int]:
    """Hold the directory against other launchers; yields the descriptor that holds it.

    A process that inherits the descriptor holds it too, so that the directory of a run whose
    launcher was killed stays taken as long as i-PI lives.  While it is held, the file of the lock
    keeps some room on the disk, which is given up when the end of a run must be written.

    Parameters
    ----------
    keep : whether the file of the lock stays; in directories of results it goes
    """
    descriptor = _lock(directory)
    try:
        yield descriptor
    finally:
        with suppress(OSError):
            if keep:
                os.ftruncate(descriptor, 0)
            else:
                (directory / LOCK).unlink()
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
        raise InputError(holder.said_of(directory))
    try:
        os.pwrite(descriptor, b"\n" * RESERVE_BYTES, 0)
    except OSError as err:
        os.close(descriptor)
        raise OSError(err.errno, err.strerror, str(path)) from err  # which file, for the message
    return descriptor


def make(directory: Path) -> list[Path]:
    """Make a directory and its parents; those that weren't there, the innermost first."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise InputError(f"{directory} can't be made: {err.strerror}") from err
    for path in missing:
        durable.sync(path.parent)
    return missing


def remove_made(directory: Path, made: list[Path]) -> None:
    """Remove the directories that ``make`` made, as far as nothing is in them but the lock."""
    if made and not contents(directory):
        (directory / LOCK).unlink(missing_ok=True)
    for path in made:
        with suppress(OSError):  # something is there
            path.rmdir()


@contextmanager
def results_in(folder: Path) -> Iterator[None]:
    """Hold a directory of results: made if need be, gone again if nothing comes to be in it.

    Raises
    ------
    InputError
        It can't be written, or another command writes there.
    """
    made = make(folder)
    try:
        with locked(folder, keep=False):
            yield
    finally:
        remove_made(folder, made)


def check_name(directory: Path) -> None:
    """Refuse a directory whose name i-PI couldn't write into its checkpoints."""
    try:
        os.fsencode(directory.absolute()).decode("utf-8")
    except UnicodeDecodeError as err:
        raise InputError(
            f"{directory.absolute()} isn't UTF-8 (byte {err.start}), as i-PI needs it in its "
            "checkpoints; choose another --out, or rename it"
        ) from err


def contents(directory: Path) -> list[Path]:
    """What is in a directory besides the lock, what was moved aside and what a scheduler's job is.

    None if it isn't there.
    """
    if not directory.exists():
        return []
    return [path for path in directory.iterdir() if not _is_beside(path)]


def _is_beside(path: Path) -> bool:
    """Whether a file says nothing of a run."""
    return path.name in (LOCK, JOB_FILE) or _number(path) is not None or path.match(JOB_LOGS)


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
        durable.sync(folder)
        durable.sync(folder.parent)
        log.info("moved %s to %s", ", ".join(path.name for path in paths), folder)


def write_atomically(path: Path, text: str, *, last: bool = False) -> None:
    """Write a durable text file (`durable`).

    Parameters
    ----------
    last : of this run: on a full disk it takes the room that the lock keeps
    """
    try:
        durable.write_text(path, text)
    except OSError as err:
        if not last or err.errno not in FULL:
            raise
        _give_up_reserve(path.parent)
        durable.write_text(path, text)


def _give_up_reserve(directory: Path) -> None:
    """Empty the lock of a directory that we hold, for a few kilobytes on a full disk."""
    with suppress(OSError):
        os.truncate(directory / LOCK, 0)
