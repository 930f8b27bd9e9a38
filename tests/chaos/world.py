"""Runs to which faults are done: begun, hurt, resumed, compared with the undisturbed one."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from ncforce_ipi.launch.directory.tails import last_step
from tests.ipi_host import molecules, trajectory

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "tests.chaos.ncforce")
OUTER_FS = 2.0
MTS = 4
CALLS = MTS  # of the model in an outer step: one of them is for both forces
WAIT_S = 600.0  # for what takes seconds on a machine with nothing else to do
TICK_S = 0.01
AT_RESUME = "at `--resume`: the launcher of the run in OUT was killed; looking at what is there"


@dataclass
class Row:
    """What is known of a fault, after it was done some times.

    Attributes
    ----------
    n : how often it was done
    noticed_s : after it, each time
    unnoticed : when it is noticed otherwise, and then ``noticed_s`` is empty
    lost : steps that had been written, and aren't there after ``--resume``
    again : steps that had been written and were computed again, at most
    line : what the user reads
    bitwise : whether all ended as the undisturbed run
    load : of the machine, the mean of a minute when it was measured
    """

    fault: str
    n: int = 0
    noticed_s: list[float] = field(default_factory=list)
    unnoticed: str = "next command"
    lost: int = 0
    again: int = 0
    line: str = ""
    bitwise: bool = True
    load: float = 0.0


@dataclass
class Began:
    """A launcher that runs, or has ended."""

    out: Path
    process: subprocess.Popen[str]
    said: Path

    def end(self) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(WAIT_S)

    def ended_well(self, world: World, row: Row) -> None:
        """Note the end of a run that should have come to it by itself."""
        row.n += 1
        if self.end() != 0:
            row.bitwise, row.line = False, self.line
            return
        row.bitwise &= world.is_undisturbed(self.out)
        said = self.noted
        row.line = "none: the run goes on" + f"; in `run.json`: {said}" * bool(said)

    @property
    def line(self) -> str:
        """The last that it said, without the name of the directory."""
        lines = self.said.read_text().splitlines()
        said = [line for line in lines if line.startswith("ncforce run: ")]
        line = (said or lines or [""])[-1].replace(str(self.out), "OUT")
        return re.sub(r"pid \d+", "pid N", line)

    @property
    def noted(self) -> str:
        """What ``run.json`` says of the last driver that ended, in one line; empty for none."""
        record = json.loads((self.out / "run.json").read_text())
        said = [line for part in record["segments"] for line in part.get("driver_deaths", ())]
        return said[-1].removesuffix(": ncforce: connected") if said else ""

    @property
    def step(self) -> int:
        """Last whole row on the disk."""
        return last_step(self.out / "simulation.out")

    def reach(self, step: int) -> None:
        """Wait until the run has written this step."""
        deadline = time.monotonic() + WAIT_S
        while self.step < step:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise TimeoutError(f"no step {step}: {self.said.read_text()}")
            time.sleep(TICK_S)

    def pids(self) -> dict[str, int]:
        """Of the processes as ``run.json`` names them."""
        record = json.loads((self.out / "run.json").read_text())
        return {name: pid for name, pid in record.get("processes", {}).items() if name != "host"}

    def has_another(self, name: str, pid: int) -> bool:
        """Whether a process of this name isn't this one any more, or all has ended."""
        return self.process.poll() is not None or self.pids().get(name, pid) != pid

    def drivers(self) -> list[int]:
        """Process ids of all drivers that run now."""
        return [pid for name, pid in self.pids().items() if name.startswith("driver")]


@dataclass
class World:
    """A directory with runs of ``n_steps`` outer steps, and the undisturbed one.

    Parameters
    ----------
    seed : of all random moments
    share : of the number of times that the whole program does a fault
    """

    directory: Path
    seed: int
    n_steps: int
    share: float = 1.0
    _n: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        (self.directory / "start.xyz").write_text(molecules())
        (self.directory / "model.txt").write_text("any file")
        it = self.begin()
        if it.end() != 0:
            raise RuntimeError(it.said.read_text())
        self.straight = it.out

    def times(self, n: int) -> int:
        """How often a fault is done here that the whole program does ``n`` times."""
        return max(1, round(self.share * n))

    def moment(self, margin: int = 12) -> int:
        """A step at which something happens: not before the first checkpoint, nor at the end."""
        first = min(margin, self.n_steps // 3)
        return self.rng.randint(first, self.n_steps - min(margin, self.n_steps // 5))

    def begin(self, *words: str, into: Path | None = None, **variables: str) -> Began:
        """Start a run in a new directory."""
        self._n += 1
        out = (into or self.directory) / f"run-{self._n}"
        time_ps = self.n_steps * OUTER_FS / 1000
        words = (
            "--model", "analytic:model.txt", "--structure", "start.xyz", "--mts", str(MTS),
            "--time-ps", str(time_ps), *words,
        )  # fmt: skip
        return self._start(out, words, variables)

    def resume(self, out: Path, **variables: str) -> Began:
        """Go on with a run."""
        return self._start(out, ("--resume",), variables)

    def _start(self, out: Path, words: tuple[str, ...], variables: dict[str, str]) -> Began:
        self._n += 1
        said = self.directory / f"said-{self._n}.txt"
        with said.open("w") as sink:
            process = subprocess.Popen(
                [*PROGRAM, "run", "--out", str(out), *words], cwd=self.directory, text=True,
                stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                env=self.environment() | variables, start_new_session=True,
            )  # fmt: skip
        return Began(out, process, said)

    def environment(self) -> dict[str, str]:
        """In which the programs here are found, from any directory."""
        path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep)
        return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}

    def plan(self, faults: list[str]) -> Path:
        """A directory with these faults (``what n``), which drivers take one by one."""
        self._n += 1
        folder = self.directory / f"plan-{self._n}"
        folder.mkdir()
        for rank, text in enumerate(faults):
            (folder / f"{rank:03d}.fault").write_text(text)
        return folder

    def is_undisturbed(self, out: Path) -> bool:
        """Whether every byte of the outputs, and the last state, are those of the other run."""
        if trajectory(out) != trajectory(self.straight):
            return False
        ours, theirs = (
            [ElementTree.parse(folder / "RESTART").findtext(f"system/beads/{tag}") for tag in "qp"]
            for folder in (out, self.straight)
        )
        return ours == theirs

    def goes_on(self, row: Row, out: Path, written: int) -> None:
        """Resume to the end and note what that says.

        Parameters
        ----------
        written : last step that anybody could have seen before
        """
        it = self.resume(out)
        code = it.end()
        if code != 0:
            row.bitwise, row.line = False, it.line
            row.lost += written
            return
        row.bitwise &= self.is_undisturbed(out)
        row.lost += max(0, written - last_step(out / "simulation.out"))
        segments = json.loads((out / "run.json").read_text())["segments"]
        if segments:  # none where i-PI alone had come to the end
            row.again = max(row.again, written - segments[-1]["from_step"])


def events(path: Path) -> list[tuple[str, float, int]]:
    """What drivers wrote: what, when, who."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(what, float(s), int(pid)) for what, s, pid in map(str.split, lines)]


def until(condition: Callable[[], bool], what: str) -> float:
    """Wait for it; how long that took, seconds."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > WAIT_S:
            raise TimeoutError(what)
        time.sleep(TICK_S)
    return time.monotonic() - start


def is_gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def kill(pid: int) -> None:
    """SIGKILL, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def world(seed: int, n_steps: int, share: float = 1.0) -> Iterator[World]:
    """A world in a directory of its own; all that it started is ended, all files are removed."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        try:
            yield World(Path(name), seed, n_steps, share)
        finally:
            for path in Path(name).glob("*/run.json"):
                record = json.loads(path.read_text() or "{}")
                for who, pid in record.get("processes", {}).items():
                    if who != "host":
                        kill(pid)
