"""From an interrupted run to the input that continues it, and outputs that fit to it.

i-PI appends to its files when it starts from a checkpoint.  After a clean stop they end at the
checkpoint's step; after a crash they are ahead of it and are cut back here.  The checkpoint that
counts is the latest one that all of them reach.  Where there is none, nothing is touched.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ncforce_ipi.durable import staged, sync
from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.launch.directory.files import move, new_previous
from ncforce_ipi.launch.directory.tails import cut, is_whole, last_step
from ncforce_ipi.rundir import (
    CHECKPOINTS,
    DISAGREEING_FILE,
    DISAGREEMENT_FILE,
    FORCE_FILES,
    INPUT_FILE,
    PROPERTIES_FILE,
    RESUME_FILE,
    SAFE_FILE,
    TRAJECTORY_FILES,
)

log = logging.getLogger(__name__)

ONE_FILE_A_BEAD = ("positions", "velocities")
ANEW = "begin anew with another --out, or with --force, which moves this run aside"


@dataclass(frozen=True)
class Output:
    """A file to which i-PI appends, every ``stride`` outer steps."""

    path: Path
    stride: int

    def reaches(self, step: int, since: int) -> bool:
        """Whether all that was due after step ``since``, up to this one, is there and complete."""
        return is_whole(self.path, step, self.stride, min(since, step - self.stride))


@dataclass(frozen=True)
class Checkpoint:
    """A complete i-PI state: its file, the step after which it was written, and the outputs."""

    path: Path
    step: int
    outputs: tuple[Output, ...]

    def first_short(self, since: int) -> Output | None:
        """An output that doesn't reach it, from a step up to which all of them do."""
        return next((one for one in self.outputs if not one.reaches(self.step, since)), None)


def best_checkpoint(directory: Path) -> Checkpoint | None:
    """The latest complete checkpoint that all outputs reach; None if the run must begin again.

    A file that i-PI was writing when it died isn't complete XML; an older one takes its place.  Of
    a young run that is the checkpoint of its start: it begins again, and becomes the same run.

    Raises
    ------
    InputError
        The run has done steps, but there is no such checkpoint.
    """
    paths = (directory / name for name in (*CHECKPOINTS, RESUME_FILE))
    whole = [checkpoint for path in paths if (checkpoint := read(path))]
    durable = [one.step for one in whole if one.path.name in (SAFE_FILE, RESUME_FILE)]
    found = sorted((one for one in whole if one.step), key=lambda one: one.step, reverse=True)
    for checkpoint in found:
        if checkpoint.first_short(max(durable, default=-1)) is None:
            return checkpoint
    start = any(not one.step and one.path.name in CHECKPOINTS for one in whole)
    if start and _is_young(directory):
        return None
    if found:
        raise InputError(f"{_too_short(found[-1])}; {ANEW}")
    if has_begun(directory):
        raise InputError(f"{directory} has no complete checkpoint of i-PI to go on from; {ANEW}")
    return None


def _is_young(directory: Path) -> bool:
    """Whether the checkpoint of its start is still the latest of those that i-PI rarely writes."""
    root = _root(directory / INPUT_FILE)
    checkpoints = [] if root is None else root.findall("output/checkpoint")
    try:
        rarest = max((stride_of(element) for element in checkpoints), default=0)
    except ValueError:
        return False
    files = (directory / PROPERTIES_FILE, *trajectories(directory))
    return max(map(last_step, files)) < rarest


def has_begun(directory: Path) -> bool:
    """Whether any output has anything of a later step than the start."""
    files = (directory / PROPERTIES_FILE, *trajectories(directory))
    return any(last_step(path) > 0 for path in files)


def steps_done(directory: Path) -> int:
    """Last step of which the properties are on the disk; 0 before the first, or if none is known.

    It is asked when a run has ended, however badly, so that it fails in no way.
    """
    with suppress(OSError, ValueError, IndexError):  # unreadable, or not i-PI's
        return max(0, last_step(directory / PROPERTIES_FILE))
    return 0


def prepare(directory: Path, total_steps: int) -> str:
    """Make the directory ready to go on; return the name of the input for i-PI.

    The older checkpoints are moved aside once the input is safely on the disk.

    Raises
    ------
    InputError
        The run has reached ``total_steps`` already, or can't go on.  Nothing is changed then.
    """
    checkpoint = best_checkpoint(directory)
    step = checkpoint.step if checkpoint else 0
    if step >= total_steps:
        raise InputError(
            f"{directory} has already done {step} outer steps, asked for {total_steps}; "
            "give a longer --time-ps to go on"
        )
    source = checkpoint.path if checkpoint else directory / INPUT_FILE
    if not source.is_file():
        raise InputError(f"{source} is missing, and the run has no checkpoint yet; {ANEW}")
    text = with_total_steps(_body(source), total_steps)
    gives_way = [directory / name for name in CHECKPOINTS]  # i-PI would rename its own
    watched = [path for path in (directory / DISAGREEMENT_FILE, directory / DISAGREEING_FILE)
               if path.exists()]  # fmt: skip
    if checkpoint is None:  # at most the start is written, and will be again
        gives_way += watched
        gives_way += [directory / PROPERTIES_FILE, *trajectories(directory)]
        if has_begun(directory):
            log.info("%s has no usable checkpoint later than its start and begins again", directory)
    _write_input(directory / RESUME_FILE, text, source, [p for p in gives_way if p.exists()])
    if checkpoint is not None:
        for path in (*(output.path for output in checkpoint.outputs), *watched):
            cut(path, step)
    return RESUME_FILE


def _write_input(path: Path, text: str, source: Path, gives_way: list[Path]) -> None:
    """Write the input for i-PI; then move what gives way to it aside, an older input too."""
    partial = staged(path, text)
    older = path.exists() and path != source
    folder = new_previous(path.parent) if older or gives_way else None
    if folder is not None and older:
        path.rename(folder / path.name)
    partial.replace(path)
    sync(path.parent)
    if folder is not None:
        move(gives_way, folder)


def _too_short(oldest: Checkpoint) -> str:
    """Why not even the oldest checkpoint can be used."""
    output = oldest.first_short(-1)
    path = output.path if output else oldest.path
    return (
        f"{path} {_how_it_ends(path, oldest.step)}, but the oldest checkpoint "
        f"({oldest.path.name}) is of step {oldest.step}"
    )


def _how_it_ends(path: Path, step: int) -> str:
    if not path.exists():
        return "is missing"
    last = last_step(path)
    if last < 0:
        return "is empty"
    return f"ends at step {last}" if last < step else "has a gap"


def trajectories(directory: Path) -> list[Path]:
    """Where positions and velocities are, or would be, and forces if they are written."""
    found = []
    for classical, centroid in TRAJECTORY_FILES:
        there = (directory / centroid).exists()
        found.append(directory / (centroid if there else classical))
    return [*found, *sorted(directory.glob(FORCE_FILES))]


def with_total_steps(text: str, total_steps: int) -> str:
    """The input or checkpoint with another number of outer steps.

    i-PI leaves out of a checkpoint what has its default; of this tag that is 1000.
    """
    tag = f"<total_steps>{total_steps}</total_steps>"
    changed, n = re.subn(r"<total_steps>[^<]*</total_steps>", tag, text)
    if n == 0:
        changed, n = re.subn(r"<simulation\b[^>]*(?<!/)>", rf"\g<0>\n   {tag}", text)
    if n != 1:
        raise RunError(f"expected one <total_steps> in the checkpoint, got {n}; is it i-PI's?")
    return changed


def read(path: Path) -> Checkpoint | None:
    """A checkpoint of ours; None for a missing or incomplete file."""
    text = _text(path)
    return None if text is None else parsed(path, text)


def parsed(path: Path, text: str) -> Checkpoint | None:
    """The same from what was read there.

    Its tag ``step`` is left out at step 0, and so is a stride of 1.
    """
    root = _element(text)
    if root is None:
        return None
    with suppress(ValueError):  # damaged, if not incomplete
        if outputs := outputs_of(root, path.parent):
            return Checkpoint(path, int(root.findtext("step", default="0")), outputs)
    return None


def _root(path: Path) -> ElementTree.Element | None:
    """Of an input or checkpoint of i-PI; None for a missing or incomplete file."""
    text = _text(path)
    return None if text is None else _element(text)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _element(text: str) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(_from_simulation(text))
    except ElementTree.ParseError:
        return None


def _body(path: Path) -> str:
    return _from_simulation(path.read_text(encoding="utf-8"))


def _from_simulation(text: str) -> str:
    """From ``<simulation`` on: i-PI's comment before names the directory, and breaks with a --."""
    return text[max(0, text.find("<simulation")) :]


def outputs_of(root: ElementTree.Element, directory: Path) -> tuple[Output, ...]:
    """The files of properties and trajectories that an input or checkpoint asks for.

    Raises
    ------
    ValueError
        They are in another directory, or no step is theirs.
    """
    parent = root.find("output")
    if parent is None:
        return ()
    prefix = parent.get("prefix", "i-pi")
    found = tuple(
        Output(directory / f"{prefix}.{_file_name(element)}", stride_of(element))
        for element in parent
        if element.tag in ("properties", "trajectory")
    )
    if any(output.path.parent != directory for output in found):  # they are cut back where we go on
        raise ValueError("an output of another directory")
    return found


def stride_of(element: ElementTree.Element) -> int:
    """Outer steps between two writes of an output.

    Raises
    ------
    ValueError
        It is no positive number.
    """
    stride = int(element.get("stride", "1"))
    if stride < 1:
        raise ValueError("an output of no step")
    return stride


def _file_name(element: ElementTree.Element) -> str:
    """As i-PI names an output of one bead, or of a path integral's centroid, after the prefix."""
    if element.tag == "properties":
        return element.get("filename", "out")
    quantity = (element.text or "").split("{")[0].strip()
    bead = "_0" if quantity in ONE_FILE_A_BEAD else ""
    kind = element.get("format", "xyz")
    return f"{element.get('filename', 'traj')}{bead}.{'extxyz' if kind == 'ase' else kind}"
