"""The directory of a new run: who may begin in it, and what of an earlier run is moved aside."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from os.path import lexists
from pathlib import Path

from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.directory import resume
from ncforce_ipi.launch.directory.files import (
    check_name,
    contents,
    locked,
    make,
    previous,
    remove_made,
    set_aside,
)
from ncforce_ipi.rundir import (
    ANALYSIS,
    CHECKPOINTS,
    DISAGREEING_FILE,
    DISAGREEMENT_FILE,
    EXIT_FILE,
    FORCE_FILES,
    INPUT_FILE,
    LOGS,
    PREFIX,
    PROPERTIES_FILE,
    RECORD_FILE,
    RESUME_FILE,
    SAFE_FILE,
    STRUCTURE_FILE,
    TRAJECTORY_FILES,
    VELOCITIES_FILE,
    read_record,
    replica_directories,
)

NAMES = (
    INPUT_FILE,
    STRUCTURE_FILE,
    VELOCITIES_FILE,
    RESUME_FILE,
    f"{RESUME_FILE}.partial",
    PROPERTIES_FILE,
    *(name for pair in TRAJECTORY_FILES for name in pair),
    *CHECKPOINTS,
    DISAGREEMENT_FILE,
    DISAGREEING_FILE,
    EXIT_FILE,
    LOGS,
    ANALYSIS,
    f"{RECORD_FILE}.partial",
    f"{SAFE_FILE}.partial",
)
PATTERNS = (FORCE_FILES, f"#{PREFIX}.*#*#", "#RESTART#*#")  # i-PI's backups too


def check(directory: Path, force: bool) -> None:
    """Refuse a directory in which a new run may not begin.

    It may where nothing is, and where only a start is that failed before its first step; with
    ``force`` where any run of ours is.
    """
    check_name(directory)
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file; expected a directory that can be made")
    if is_free(directory):
        return
    if not is_run(directory):
        raise InputError(
            f"{directory} is not empty, and no {RECORD_FILE} says that a run of ncforce is in it; "
            "choose another --out"
        )
    read_record(directory)
    if not force:
        raise InputError(
            f"{directory} is not empty; choose another --out, --resume the run in it, "
            "or --force to move it aside and begin anew"
        )


def is_run(directory: Path) -> bool:
    """Whether a run of ours is there."""
    return (directory / RECORD_FILE).is_file()


def is_free(directory: Path) -> bool:
    """Whether there is nothing to lose: an empty directory, or a start without a first step.

    Or one with other files alone, from which a run of ours was moved aside.
    """
    if not contents(directory) or was_cleared(directory):
        return True
    if not is_run(directory):
        return False
    read_record(directory)
    return not any(map(resume.has_begun, (directory, *replicas_in(directory))))


def was_cleared(directory: Path) -> bool:
    """Whether a run of ours was moved aside and nothing of a run has come after it."""
    return any(map(is_run, previous(directory))) and not any(map(lexists, run_files(directory)))


def run_files(directory: Path) -> list[Path]:
    """What a run and its analysis write, and nothing else; the record is the last.

    Of a set of replicas whole directories, with what somebody may have put there.
    """
    found = [path for pattern in PATTERNS for path in directory.glob(pattern)]
    found += replicas_in(directory)
    return [*(directory / name for name in NAMES), *found, directory / RECORD_FILE]


def replicas_in(directory: Path) -> list[Path]:
    """The directories of replicas that are there."""
    return [path for path in replica_directories(directory) if path.is_dir()]


def clear(directory: Path) -> None:
    """Move the run in a directory aside, if one is there."""
    if not directory.is_dir():
        return
    check(directory, force=True)
    with locked(directory), held_analysis(directory):
        set_aside(directory, run_files(directory))


@contextmanager
def claimed(directory: Path, force: bool, begin: Callable[[], None]) -> Iterator[int]:
    """Hold the directory of a new run, from ``begin``, which writes its first files, to its end.

    If ``begin`` fails, all is as it was before.
    """
    check(directory, force)
    made = make(directory)
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(locked(directory))
        except OSError:  # the disk is full
            remove_made(directory, made)
            raise
        check(directory, force)  # nobody can have come in between any more
        with held_analysis(directory):
            aside = set_aside(directory, run_files(directory))
        try:
            begin()
        except BaseException:
            _undo(directory, aside)
            remove_made(directory, made)
            raise
        yield lock


@contextmanager
def held_analysis(directory: Path) -> Iterator[None]:
    """Hold the analysis in a directory, if there is one, so that nobody writes there meanwhile."""
    folder = directory / ANALYSIS
    with locked(folder) if folder.is_dir() else nullcontext():
        yield


def _undo(directory: Path, aside: Path | None) -> None:
    """Remove what this start wrote (all that was there before is aside), and put that back."""
    for path in replicas_in(directory):
        shutil.rmtree(path)
    for path in run_files(directory):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
    if aside is not None:
        for path in aside.iterdir():
            path.rename(directory / path.name)
        aside.rmdir()
