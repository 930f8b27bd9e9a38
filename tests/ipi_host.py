"""i-PI and drivers, started by hand in a directory of their own as a user would start them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

HERE = Path(__file__).parent
ANALYTIC = str(HERE / "analytic_driver.py")
BOHR_A = 0.529177210903  # CODATA 2018
TIMEOUT_S = 120  # of every wait, on a busy machine
LAST_S = 10  # some clients end with an error when i-PI tells them to leave, a little before it ends
N_OUTER = 20
INPUT = """
<simulation verbosity='medium' floatformat='%.17e' threading='False'>
  <output prefix='out'>
    <properties stride='1' filename='csv' flush='1'>
      [step, conserved{{electronvolt}}, pot_component(0){{electronvolt}}]
    </properties>
    <trajectory filename='slow' format='xyz'>forces_component_raw(0){{ev/ang}}</trajectory>
    <trajectory filename='fast' format='xyz'>forces_component_raw(1){{ev/ang}}</trajectory>
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
        <timestep units='femtosecond'>{outer_step_fs}</timestep><nmts>[1, {mts}]</nmts>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
UNIX = "mode='unix' pbc='false'><address>{}</address>"
INET = "mode='inet' pbc='false'><address>127.0.0.1</address><port>{}</port>"


def molecules() -> str:
    """Four water molecules in a cubic cell of 8 A, as extended xyz."""
    water = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])
    lines = ["12", 'Lattice="8 0 0 0 8 0 0 0 8" Properties=species:S:1:pos:R:3 pbc="T T T"']
    for corner in [(0, 0, 0), (4, 0, 0), (0, 4, 0), (0, 0, 4)]:
        lines += [f"{s} {x} {y} {z}" for s, (x, y, z) in zip("OHH", water + corner, strict=True)]
    return "\n".join(lines) + "\n"


@dataclass
class Host:
    """A directory in which programs are started; all of them are killed when it is left."""

    directory: Path
    processes: list[subprocess.Popen] = field(default_factory=list)

    def start(self, command: list[str], log: str, **variables: str) -> subprocess.Popen:
        with (self.directory / log).open("wb") as sink:
            process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL,
                stdout=sink, stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
            )  # fmt: skip
        self.processes.append(process)
        return process

    def ipi(self, structure: str | None = None, **changes: object) -> subprocess.Popen:
        """i-PI with a slow and a fast component; changes of what INPUT leaves open."""
        values = {
            "slow": UNIX.format("slow"),
            "fast": UNIX.format("fast"),
            "n_beads": 1,
            "n_outer": N_OUTER,
            "outer_step_fs": 2.0,
            "mts": 4,
        }
        (self.directory / "start.extxyz").write_text(structure or molecules())
        (self.directory / "input.xml").write_text(INPUT.format(**(values | changes)))
        program = [sys.executable, str(Path(sys.executable).with_name("i-pi"))]
        return self.start([*program, "-S", f"{self.directory}/", "input.xml"], "ipi.log")

    def driver(self, log: str, role: str, *words: str, **variables: str) -> subprocess.Popen:
        """Our driver with the analytic model; ``words`` may give it another address."""
        command = [sys.executable, ANALYTIC, "driver", "analytic", "--role", role]
        command += ["--model", str(HERE / "conftest.py"), "--structure", "start.extxyz"]
        where = words or ("--socket-dir", str(self.directory))
        command += ["--report", f"{log}.json", "--wait-s", str(TIMEOUT_S), *where]
        return self.start(command, log, **variables)

    def finish(self, server: subprocess.Popen) -> dict[str, str]:
        """Wait for i-PI's end; every number that it leaves: outputs, and its last state."""
        for _ in range(20 * TIMEOUT_S):
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(0.05)
                break
            if any((process.poll() or 0) > 0 for process in self.processes):
                # a program that gave up; a killed one has a code below 0
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(LAST_S)
                break
        logs = [path.read_text() for path in self.directory.glob("*.log") if path.name != "ipi.log"]
        assert server.poll() == 0, "\n".join(logs)
        assert "Exception in thread" not in self.text("ipi.log")
        found = {path.name: path.read_text() for path in self.directory.glob("out.*")}
        beads = ElementTree.parse(self.directory / "RESTART").find("system/beads")
        return found | {tag: beads.findtext(tag) for tag in ("q", "p")}

    def text(self, log: str) -> str:
        return (self.directory / log).read_text()

    def wait_for(self, words: str, log: str) -> None:
        for _ in range(20 * TIMEOUT_S):
            if words in self.text(log):
                return
            time.sleep(0.05)
        pytest.fail(f"{log} has no {words!r}: {self.text(log)}")

    def evaluations(self, log: str, role: str) -> int:
        """How often this driver was asked for this role."""
        return json.loads(self.text(f"{log}.json"))["roles"][role]["evaluations"]

    def table(self) -> np.ndarray:
        """Columns of ``out.csv``: step, conserved energy, slow potential, eV."""
        return np.loadtxt(self.directory / "out.csv")

    def last_positions(self) -> np.ndarray:
        """Positions of the last step, all digits, ``(n_atoms, 3)``, A."""
        text = ElementTree.parse(self.directory / "RESTART").findtext("system/beads/q")
        return np.array(text.strip(" []\n").split(","), float).reshape(-1, 3) * BOHR_A

    def last_forces(self, role: str) -> np.ndarray:
        """Forces of a component at the last step, six digits, ``(n_atoms, 3)``, eV/A."""
        lines = self.text(f"out.{role}.xyz").splitlines()
        return np.array([line.split()[1:] for line in lines[-int(lines[0]) :]], float)


def trajectory(directory: Path | str) -> dict[str, bytes]:
    """Bytes of every output of ``ncforce run``."""
    names = ("simulation.out", "simulation.pos_0.extxyz", "simulation.vel_0.xyz")
    return {name: Path(directory, name).read_bytes() for name in names}


def free_port() -> int:
    """A TCP port of the loopback address on which nobody listened a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def two_free_ports() -> int:
    """A port like that of `free_port` whose successor is free too: one for each component."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError, OverflowError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + 1))
            return port


@contextlib.contextmanager
def host(directory: Path) -> Iterator[Host]:
    directory.mkdir()
    it = Host(directory)
    try:
        yield it
    finally:
        for process in it.processes:
            process.kill()
            process.wait()
