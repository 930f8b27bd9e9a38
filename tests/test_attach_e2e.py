"""Drivers that come, go and are replaced while a real i-PI runs: the trajectory stays bitwise."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi import cli
from ncforce_ipi.launch import job, resume, run
from ncforce_ipi.launch.processes import Child

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent
ANALYTIC = str(HERE / "analytic_driver.py")
WATER = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])
TIMEOUT_S = 120  # of every wait, on a busy machine
N_OUTER = 20
OUTPUTS = ("out.csv", "out.pos_0.xyz", "out.pos_1.xyz")
INPUT = """
<simulation verbosity='medium' floatformat='%.17e' threading='False'>
  <output prefix='out'>
    <properties stride='1' filename='csv' flush='1'>
      [step, conserved{{electronvolt}}, pot_component(0){{electronvolt}}]
    </properties>
    <trajectory filename='pos' stride='1' format='xyz'>positions{{angstrom}}</trajectory>
  </output>
  <total_steps>{n_outer}</total_steps>
  <prng><seed>5</seed></prng>
  <ffsocket name='slow' {slow} <latency>1e-4</latency></ffsocket>
  <ffsocket name='fast' {fast} <latency>1e-4</latency></ffsocket>
  <system>
    <initialize nbeads='{n_beads}'>
      <file mode='ase'>start.extxyz</file>
      <velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces>
      <force forcefield='slow' name='slow'><mts_weights>[1, 0]</mts_weights></force>
      <force forcefield='fast' name='fast'><mts_weights>[-1, 1]</mts_weights></force>
    </forces>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nve'>
        <timestep units='femtosecond'>{outer_step_fs}</timestep><nmts>[1, 4]</nmts>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
SLOWLY = {"NCFORCE_TEST_SLEEP_S": "0.02"}
UNIX = "mode='unix' pbc='false'><address>{}</address>"
INET = "mode='inet' pbc='false'><address>127.0.0.1</address><port>{}</port>"


def molecules():
    """Four water molecules in a cubic cell of 8 A, as lines of extended xyz."""
    lines = ["12", 'Lattice="8 0 0 0 8 0 0 0 8" Properties=species:S:1:pos:R:3 pbc="T T T"']
    for corner in [(0, 0, 0), (4, 0, 0), (0, 4, 0), (0, 0, 4)]:
        places = WATER + corner
        lines += [f"{s} {x} {y} {z}" for s, (x, y, z) in zip("OHH", places, strict=True)]
    return "\n".join(lines) + "\n"


@dataclass
class Host:
    """A directory in which i-PI and drivers are started by hand, as separate programs."""

    directory: Path
    processes: list[subprocess.Popen] = field(default_factory=list)

    def start(self, command, log, **variables):
        with (self.directory / log).open("wb") as sink:
            process = subprocess.Popen(
                command, cwd=self.directory, stdout=sink, stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
            )  # fmt: skip
        self.processes.append(process)
        return process

    def ipi(self, slow=None, fast=None, n_beads=1, structure=None, outer_step_fs=2.0):
        (self.directory / "start.extxyz").write_text(structure or molecules())
        text = INPUT.format(
            slow=slow or UNIX.format("slow"),
            fast=fast or UNIX.format("fast"),
            n_beads=n_beads,
            n_outer=N_OUTER,
            outer_step_fs=outer_step_fs,
        )
        (self.directory / "input.xml").write_text(text)
        program = [sys.executable, str(Path(sys.executable).with_name("i-pi"))]
        return self.start([*program, "-S", f"{self.directory}/", "input.xml"], "ipi.log")

    def driver(self, log, role, *words, **variables):
        """Our analytic driver; ``words`` may give it another address."""
        command = [sys.executable, ANALYTIC, "driver", "analytic", "--role", role]
        command += ["--model", str(HERE / "conftest.py"), "--structure", "start.extxyz"]
        command += ["--report", f"{log}.json"]
        where = words or ("--socket-dir", str(self.directory))
        return self.start([*command, "--wait-s", "60", *where], log, **variables)

    def finish(self, server):
        """Wait for i-PI's end; what it wrote, as bytes of each output."""
        assert server.wait(TIMEOUT_S) == 0, self.text("ipi.log")
        assert "Exception in thread" not in self.text("ipi.log")
        return {
            name: (self.directory / name).read_bytes()
            for name in OUTPUTS
            if (self.directory / name).exists()
        }

    def text(self, log):
        return (self.directory / log).read_text()

    def wait_for(self, words, log):
        for _ in range(20 * TIMEOUT_S):
            if words in self.text(log):
                return
            time.sleep(0.05)
        pytest.fail(f"{log} has no {words!r}: {self.text(log)}")

    def evaluations(self, log, role):
        """How often this driver was asked for this role."""
        return json.loads(self.text(f"{log}.json"))["roles"][role]["evaluations"]

    def table(self):
        """Columns of ``out.csv``: step, conserved energy, slow potential, eV."""
        return np.loadtxt(self.directory / "out.csv")


@contextlib.contextmanager
def host(directory):
    directory.mkdir()
    it = Host(directory)
    try:
        yield it
    finally:
        for process in it.processes:
            process.kill()
            process.wait()


def undisturbed(directory, n_beads=1):
    """What i-PI writes with one driver for each role that stays to the end."""
    with host(directory) as it:
        server = it.ipi(n_beads=n_beads)
        for role in ("slow", "fast"):
            it.driver(f"{role}.log", role)
        outputs = it.finish(server)
        assert len(it.table()) == N_OUTER + 1
        return outputs


def test_a_fast_driver_is_killed_and_another_joins(tmp_path):
    """Two beads, so that both fast drivers work; SIGKILL comes in the middle of an evaluation."""
    expected = undisturbed(tmp_path / "a", n_beads=2)
    with host(tmp_path / "b") as it:
        fault = it.directory / "fault"
        fault.write_text("kill 21")
        server = it.ipi(n_beads=2)
        slow = it.driver("slow.log", "slow")
        stays = it.driver("stays.log", "fast", **SLOWLY)
        killed = it.driver("killed.log", "fast", NCFORCE_TEST_FAULT=str(fault), **SLOWLY)
        assert killed.wait(TIMEOUT_S) == -signal.SIGKILL
        slow.send_signal(signal.SIGSTOP)  # so that the run isn't over before the other is there
        joins = it.driver("joins.log", "fast")
        it.wait_for("connected", "joins.log")
        slow.send_signal(signal.SIGCONT)
        assert it.finish(server) == expected
        for driver, log in ((stays, "stays.log"), (joins, "joins.log")):
            assert driver.wait(TIMEOUT_S) == 0
            assert it.evaluations(log, "fast") > 0


@pytest.fixture
def launch(tmp_path, monkeypatch, capfd):
    """``launch(out, ...)``: ``ncforce run`` with the analytic driver; code, stderr, record."""
    monkeypatch.setattr(job, "PROGRAM", (sys.executable, ANALYTIC))
    monkeypatch.setenv("NCFORCE_TEST_FAULT", str(tmp_path / "fault"))
    monkeypatch.chdir(tmp_path)
    Path("start.xyz").write_text(molecules())
    Path("model.txt").write_text("any file")

    def call(out, *words):
        words = ("--model", "model.txt", "--structure", "start.xyz", *words)
        words += ("--family", "analytic", "--mts", "4", "--time-ps", "0.06", "--out", out)
        code = cli.main(["run", *words])
        return code, capfd.readouterr().err, json.loads(Path(out, "run.json").read_text())

    return call


def trajectory(directory):
    """Bytes of every output of ``ncforce run``."""
    names = ("simulation.out", "simulation.pos_0.extxyz", "simulation.vel_0.xyz")
    return {name: Path(directory, name).read_bytes() for name in names}


def test_one_of_two_drivers_of_a_run_is_killed(launch, monkeypatch):
    """From outside, at any moment: a driver is started again, or i-PI from its last checkpoint."""
    assert launch("straight")[0] == 0
    monkeypatch.setenv("NCFORCE_TEST_SLEEP_S", "0.01")
    children = []

    def start(*arguments, **options):
        children.append(Child(*arguments, **options))
        return children[-1]

    def kill():
        """The first driver, once step 10 is written."""
        for _ in range(20 * TIMEOUT_S):
            if resume.last_step(Path("two", "simulation.out")) >= 10:
                next(child for child in children if child.name == "driver-1").kill()
                return
            time.sleep(0.05)

    monkeypatch.setattr(run, "Child", start)
    thread = threading.Thread(target=kill)
    thread.start()
    code, said, record = launch("two", "--drivers", "2")
    thread.join()
    assert code == 0, said
    assert trajectory("two") == trajectory("straight")
    deaths = [death for part in record["segments"] for death in part.get("driver_deaths", [])]
    assert len(record["segments"]) == 2 or "driver-1 ended with signal SIGKILL" in deaths[0]
    assert record["driver"]["drivers"] == 2
