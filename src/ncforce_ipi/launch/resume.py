"""From an interrupted run to the input that continues it, and outputs that fit to it.

i-PI appends to its files when it starts from a checkpoint.  After a clean stop they end at the
checkpoint's step; after a crash they are ahead of it and are cut back here.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs import INPUT_FILE
from ncforce_ipi.launch.files import write_atomically
from ncforce_ipi.written import PREFIX

RESUME_FILE = "resume.xml"
PROPERTIES_FILE = f"{PREFIX}.out"
# of a classical run, of a path integral's centroid
TRAJECTORY_FILES = (
    (f"{PREFIX}.pos_0.extxyz", f"{PREFIX}.pos.extxyz"),
    (f"{PREFIX}.vel_0.xyz", f"{PREFIX}.vel.xyz"),
)
FORCE_FILES = f"{PREFIX}.forces_*.xyz"
WRITTEN_BY_IPI = ("RESTART", f"{PREFIX}.checkpoint", f"{PREFIX}.checkpoint_older")
STEP = re.compile(rb"Step: *(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """A complete i-PI state: the file and the step after which it was written."""

    path: Path
    step: int


def best_checkpoint(directory: Path) -> Checkpoint | None:
    """The latest complete checkpoint whose outputs are all there; None to begin anew.

    A file that i-PI was writing when it died isn't complete XML; an older one takes its place.
    """
    written = last_step(directory / PROPERTIES_FILE)
    found = [
        checkpoint
        for name in (*WRITTEN_BY_IPI, RESUME_FILE)
        if (checkpoint := _read(directory / name)) and 0 < checkpoint.step <= written
    ]
    return max(found, key=lambda checkpoint: checkpoint.step, default=None)


def prepare(directory: Path, total_steps: int) -> str:
    """Make the directory ready to go on; return the name of the input for i-PI.

    Raises
    ------
    InputError
        The run has reached ``total_steps`` already.
    """
    checkpoint = best_checkpoint(directory)
    step = checkpoint.step if checkpoint else 0
    if step >= total_steps:
        raise InputError(
            f"{directory} has already done {step} outer steps, asked for {total_steps}; "
            "give a longer --time-ps to go on"
        )
    source = checkpoint.path if checkpoint else directory / INPUT_FILE
    text = with_total_steps(source.read_text(encoding="utf-8"), total_steps)
    write_atomically(directory / RESUME_FILE, text)
    for name in WRITTEN_BY_IPI:  # they live on in resume.xml; i-PI would rename, not replace them
        (directory / name).unlink(missing_ok=True)
    for path in (directory / PROPERTIES_FILE, *trajectories(directory)):
        if step == 0:
            path.unlink(missing_ok=True)
        else:
            cut(path, step)
    return RESUME_FILE


def trajectories(directory: Path) -> list[Path]:
    """Where positions and velocities are, or would be, and forces if they are written."""
    found = []
    for classical, centroid in TRAJECTORY_FILES:
        there = (directory / centroid).exists()
        found.append(directory / (centroid if there else classical))
    return [*found, *sorted(directory.glob(FORCE_FILES))]


def with_total_steps(text: str, total_steps: int) -> str:
    """The input or checkpoint with another number of outer steps."""
    changed, n = re.subn(
        r"<total_steps>[^<]*</total_steps>", f"<total_steps>{total_steps}</total_steps>", text
    )
    if n != 1:
        raise RunError(f"expected one <total_steps> in the checkpoint, got {n}; is it i-PI's?")
    return changed


def last_step(properties: Path) -> int:
    """Step of the last complete line of ``simulation.out``; -1 without one."""
    with closing(_lines_backwards(properties)) as lines:
        return next((_step(line) for _, line in lines), -1)


def cut(path: Path, step: int) -> None:
    """Cut all that belongs to later steps, and what is incomplete, off the end of an output."""
    if not path.exists():
        raise RunError(f"{path} is missing; without it the run can't go on")
    backwards = _lines_backwards if path.suffix == ".out" else _frames_backwards
    end = 0
    with closing(backwards(path)) as records:
        for start, record in records:
            if _step(record) <= step:
                end = start + len(record)
                break
    with path.open("rb+") as file:
        file.truncate(end)


def _step(record: bytes) -> int:
    match = STEP.search(record)
    return int(match[1]) if match else int(float(record.split()[0]))


def _lines_backwards(path: Path) -> Generator[tuple[int, bytes], None, None]:
    """Start and text of each complete line of numbers, the last one first."""
    with _mapped(path) as text:
        end = text.rfind(b"\n") + 1
        while end:
            start = text.rfind(b"\n", 0, end - 1) + 1
            line = text[start:end]
            if line.startswith(b"#"):
                return
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


def _read(path: Path) -> Checkpoint | None:
    if not path.exists():
        return None
    try:
        step = ElementTree.parse(path).findtext("step", default="0")
    except ElementTree.ParseError:
        return None
    return Checkpoint(path, int(step))
