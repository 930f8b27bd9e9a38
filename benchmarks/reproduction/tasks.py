"""What parts are made of: runs that go on, and commands that are given once."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import resumable

HERE = Path(__file__).parents[1]
NEARLY = 0.995  # of what is wanted, by whole steps
Numbers = dict[str, Any]
SMALL_PS = 0.016  # two outer steps of the longest, M = 4 of 2 fs
GUESSED_MS = {  # of water from the table of costs, of others by their numbers of atoms
    system: {"slow_ms": 42.0 * atoms / 192, "fast_ms": 22.0 * atoms / 192}
    for system, atoms in {
        "water": 192, "graphene": 112, "amorphous-carbon": 512, "aluminium": 256, "o-on-cu3al": 49,
    }.items()
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """What the command line says.

    Attributes
    ----------
    out : results; what tasks write goes to ``out/raw/TASK``
    ms : of a step of each system with slow and with fast forces, here
    replicas : of a run whose task wants several; 1 where ``ncforce run`` knows none
    compiled : models of runs are compiled, forces equal within rounding
    """

    out: Path
    device: str = "cpu"
    small: bool = False
    ms: Numbers | None = None
    replicas: int = 1
    compiled: bool = False

    def folder(self, name: str) -> Path:
        """What a task writes."""
        return self.out / "raw" / name


@dataclass(frozen=True)
class Md:
    """A run of ``ncforce run``, taken further by each call.

    Attributes
    ----------
    forces : slow, fast, or mts and M, as mts8
    step_fs : inner step, fs
    ps : of all replicas together
    discard_ps : the start of each replica that isn't measured
    curves : keep g(r) and spectra
    """

    name: str
    system: str
    forces: str
    words: tuple[str, ...]
    step_fs: float
    ps: float
    discard_ps: float = 0.1
    replicated: bool = False
    curves: bool = False

    @property
    def mts(self) -> int:
        """M."""
        return int(self.forces[3:]) if self.forces.startswith("mts") else 1

    def replicas(self, choice: Choice) -> int:
        """How many side by side: what there is of a run that was begun."""
        directory = choice.folder(self.name)
        if resumable.record_of(directory):
            return len(resumable.members(directory))
        return choice.replicas if self.replicated else 1

    def inner_ms(self, ms: Numbers) -> float:
        """Milliseconds of an inner step of one replica."""
        slow, fast = ms[self.system]["slow_ms"], ms[self.system]["fast_ms"]
        if self.forces in ("slow", "fast"):
            return float({"slow": slow, "fast": fast}[self.forces])
        return float(((self.mts - 1) * fast + max(slow, fast)) / self.mts)

    def hours(self, choice: Choice) -> float:
        """What is left to do takes."""
        if choice.small:
            return 0.02
        left_ps = max(self.ps - self.done_ps(choice), 0.0)
        return left_ps * 1e3 / self.step_fs * self.inner_ms(choice.ms or GUESSED_MS) / 3.6e6

    def done_ps(self, choice: Choice) -> float:
        """By now, of all replicas."""
        directory = choice.folder(self.name)
        record = resumable.record_of(directory)
        if not record:
            return 0.0
        outer_fs = record["plan"]["outer_step_fs"]
        return 1e-3 * resumable.steps_done(directory) * outer_fs * self.replicas(choice)

    def command(self, choice: Choice, ps: float) -> list[str] | None:
        """Up to ``ps`` of all replicas together; None if it is there."""
        several = self.replicas(choice)
        forces = ["mts", "--mts", str(self.mts)] if self.forces.startswith("mts") else [self.forces]
        words = ["--timestep-fs", str(self.step_fs), "--forces", *forces, *self.words]
        words += ["--replicas", str(several)] if several > 1 else []
        words += ["--driver-options=--compile"] if choice.compiled else []
        each_ps = SMALL_PS if choice.small else round(ps / several, 3)
        return resumable.command(
            choice.folder(self.name), self.system, words, choice.device, each_ps
        )

    def result(self, choice: Choice) -> Numbers:
        """Its analysis in short, with curves where they are wanted."""
        directory = choice.folder(self.name)
        discard = [] if choice.small else ["--discard-ps", str(self.discard_ps)]
        found = resumable.analysed(directory, discard)
        if self.curves:
            found["curves"] = {
                name: read_curves(directory / "analysis" / f"{name}.csv")
                for name in ("rdf", "vdos")
            }
        return found


@dataclass(frozen=True)
class Call:
    """A command whose results are files.

    Attributes
    ----------
    command : for a choice; writes into the task's folder
    result : what the page takes of its files
    hours : on the machine of the committed times; scaled by the speed of a call here
    needs : modules, or programs on the PATH
    hint : what to do where they aren't
    """

    name: str
    command: Callable[[Choice, Path], list[str]]
    result: Callable[[Path], Numbers]
    hours_there: float
    needs: tuple[str, ...] = ()
    hint: str = ""

    def hours(self, choice: Choice) -> float:
        """An estimate."""
        return 0.02 if choice.small else self.hours_there * slowness(choice.ms)

    def missing(self) -> str:
        """What isn't here, in one line; '' if all is."""
        lacking = [one for one in self.needs if not (_module(one) or shutil.which(one))]
        return f"{', '.join(lacking)} isn't at hand here; {self.hint}" if lacking else ""


Task = Md | Call


def is_done(task: Task, record: Numbers, choice: Choice) -> bool:
    """Whether nothing is left to do: a run that is wanted longer now goes on."""
    if record.get("state") != "done" or record["small"] != choice.small:
        return False
    return choice.small or is_whole(task, record)


def is_whole(task: Task, record: Numbers) -> bool:
    """Whether a result, of whatever machine, is of all that is wanted."""
    found = record.get("result")
    if isinstance(task, Call) or not found:
        return bool(found)
    return (found.get("ps") or 0.0) * (found.get("replicas") or 1) >= NEARLY * task.ps


def _module(name: str) -> bool:
    return name.isidentifier() and importlib.util.find_spec(name) is not None


THERE_MS = 20.0  # of a direct call of the water model on the machine of the committed times


def slowness(ms: Numbers | None) -> float:
    """How many times slower than the machine of the committed times."""
    return ms["water"]["fast_ms"] / THERE_MS if ms else 1.0


def script(name: str, *words: object) -> list[str]:
    """A benchmark."""
    return [sys.executable, str(HERE / name), *map(str, words)]


def module(name: str, *words: object) -> list[str]:
    """A module of this package; its process finds it by PYTHONPATH."""
    return [sys.executable, "-m", f"reproduction.{name}", *map(str, words)]


def ncforce(*words: object) -> list[str]:
    """A command of ours."""
    return [*resumable.NCFORCE, *map(str, words)]


def must(command: Sequence[str]) -> None:
    """Run it; if it fails, end with what it said last."""
    if code := subprocess.run(command, check=False).returncode:
        sys.exit(code)


def load(path: Path) -> Numbers:
    """A JSON file."""
    return dict(json.loads(path.read_text()))


def read_curves(path: Path) -> dict[str, list[float | None]]:
    """Columns of a CSV file of ours in five digits; {} where there is none."""
    if not path.exists():
        return {}
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = [[_number(cell) for cell in line.split(",")] for line in lines[1:]]
    return dict(zip(lines[0].split(","), map(list, zip(*rows, strict=True)), strict=True))


def _number(cell: str) -> float | None:
    return float(f"{float(cell):.5g}") if cell not in ("", "nan") else None


def names(tasks: Sequence[Task]) -> list[str]:
    """Of tasks."""
    return [task.name for task in tasks]
