"""Launchers for tests: inside pytest with a driver that obeys, or as a process of its own."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ncforce_ipi import cli
from ncforce_ipi.launch.processes.stops import SIGNALS

from . import runs

ARGON = """4
Lattice="5.3 0 0 0 5.3 0 0 0 5.3" Properties=species:S:1:pos:R:3 pbc="T T T"
Ar 0 0 0
Ar 0 2.65 2.65
Ar 2.65 0 2.65
Ar 2.65 2.65 0
"""
MODEL = ("--model", "analytic:lennard-jones", "--forces", "slow")
WAIT_S = 120.0  # bounds a test that fails; a busy machine takes a minute to start a run


class Launcher:
    """``ncforce`` as a process of its own, in a directory with ``argon.xyz``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "argon.xyz").write_text(ARGON)

    def words(self, out, *words, python=()):
        """The command of a new run."""
        program = (sys.executable, *python, "-m", "ncforce_ipi", "run")
        return (*program, "--out", out, *MODEL, "--structure", "argon.xyz", *words)

    def begin(self, words, ignored=(), **how):
        """Start it with all signals as in a terminal, but for those that are ignored."""
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | how

        def dispositions():
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

        return subprocess.Popen(
            words, cwd=self.directory, preexec_fn=dispositions, start_new_session=True, **how
        )

    def run(self, words, **how):
        """Start it and wait for its end; code and what it said."""
        with self.begin(words, **how) as process:
            out, err = process.communicate(timeout=WAIT_S)
        return process.returncode, out, err

    def resume(self, out, *words):
        """Go on."""
        program = (sys.executable, "-m", "ncforce_ipi", "run")
        return self.run((*program, "--resume", "--out", out, *words))

    def steps(self, out):
        """Those of the whole rows that are on the disk."""
        path = self.directory / out / "simulation.out"
        text = path.read_text() if path.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [int(float(line.split()[0])) for line in lines if not line.startswith("#")]

    def at(self, out, step):
        """Wait until this step is on the disk."""
        deadline = time.monotonic() + WAIT_S
        while not (self.directory / out / "simulation.out").exists() or (
            max(self.steps(out), default=-1) < step
        ):
            assert time.monotonic() < deadline, f"{out} doesn't come to step {step}"
            time.sleep(0.05)

    def record(self, out):
        """``run.json``."""
        return json.loads((self.directory / out / "run.json").read_text())

    def processes(self, out):
        """Process ids by name."""
        named = self.record(out)["processes"]
        return {name: pid for name, pid in named.items() if name != "host"}

    def all_processes(self, out):
        """Process ids by name, once all have been started."""
        deadline = time.monotonic() + WAIT_S
        path = self.directory / out / "run.json"
        while not path.exists() or "driver" not in self.record(out).get("processes", {}):
            assert time.monotonic() < deadline, f"no driver of {out} is started"
            time.sleep(0.02)
        return self.processes(out)

    def restart_step(self, out):
        """Of i-PI's RESTART."""
        return int(ElementTree.parse(self.directory / out / "RESTART").findtext("step"))


def gone(pids):
    """Whether all these processes end, within a bound."""
    deadline = time.monotonic() + WAIT_S
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def launcher(tmp_path):
    """In a new directory; whatever it started is ended with it."""
    it = Launcher(tmp_path)
    yield it
    for path in tmp_path.glob("*/run.json"):
        for name, pid in json.loads(path.read_text()).get("processes", {}).items():
            if name != "host" and os.getpgid(0) != pid:
                try:
                    os.killpg(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


@pytest.fixture
def ncforce(tmp_path, monkeypatch, capfd):
    """``ncforce("run", ...)`` with the analytic driver on 4 molecules; code and what it said."""
    runs.prepare(tmp_path, monkeypatch)

    def call(verb, *words):
        if "--resume" not in words or verb == "compare":
            words = (*runs.MODEL, *words)
        code = cli.main([verb, *words])
        return code, capfd.readouterr()

    return call


@pytest.fixture
def launch(ncforce):
    """``launch(out, ...)``: a run of 30 outer steps; code, stderr, record."""

    def call(out, *words):
        code, said = ncforce(*runs.mts(out, *words))
        return code, said.err, runs.record(out)

    return call


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """``undisturbed(...)``: the directory of a run with these words, done once; to be copied."""
    made = {}

    def directory(*words):
        if words not in made:
            where = tmp_path_factory.mktemp("undisturbed")
            said = io.StringIO()
            with (
                pytest.MonkeyPatch.context() as patch,
                redirect_stderr(said),
                redirect_stdout(said),
            ):
                runs.prepare(where, patch)
                assert cli.main([*runs.mts("run", *words), *runs.MODEL]) == 0, said.getvalue()
            made[words] = where / "run"
        return made[words]

    return directory


@pytest.fixture
def straight(ncforce, undisturbed):
    """The uninterrupted run, in the directory ``straight``."""
    return runs.copied(undisturbed(), "straight")
