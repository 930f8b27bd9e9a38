"""The files of a run directory: what is ours to replace, one run at a time, atomic writes."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import INPUT_FILE, STRUCTURE_FILE
from ncforce_ipi.velocities import VELOCITIES_FILE
from ncforce_ipi.written import PREFIX

RECORD_FILE = "run.json"
LOGS = "logs"
OURS = (
    INPUT_FILE,
    STRUCTURE_FILE,
    VELOCITIES_FILE,
    RECORD_FILE,
    "resume.xml",
    "RESTART",
    "EXIT",
    LOGS,
    "analysis",
)
OUR_PATTERNS = (f"{PREFIX}.*", f"#{PREFIX}.*#", "#RESTART#*#")  # i-PI's backups too


def make_directory(directory: Path, force: bool) -> None:
    """A new or empty directory, or with ``force`` one cleared of an earlier run's files."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file; expected a directory that can be made")
    if directory.is_dir() and any(directory.iterdir()):
        if not force:
            raise InputError(
                f"{directory} is not empty; choose another --out, --resume the run in it, "
                "or --force to replace it"
            )
        with locked(directory):
            _clear(directory)
    try:
        (directory / LOGS).mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise InputError(f"{directory} can't be made: {err.strerror}") from err


@contextmanager
def locked(directory: Path) -> Iterator[int]:
    """Hold the directory against other launchers; yields the descriptor that holds it.

    A process that inherits the descriptor holds it too, so that the directory of a run whose
    launcher was killed stays taken as long as i-PI lives.
    """
    (directory / LOGS).mkdir(exist_ok=True)
    descriptor = os.open(directory / LOGS / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise InputError(f"a run is going on in {directory}; wait for its end") from err
        yield descriptor
    finally:
        os.close(descriptor)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader or a crash meets the old or the new one, never a part."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _clear(directory: Path) -> None:
    """Remove an earlier run's files; anything else stays."""
    paths = [directory / name for name in OURS]
    paths += [path for pattern in OUR_PATTERNS for path in directory.glob(pattern)]
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
