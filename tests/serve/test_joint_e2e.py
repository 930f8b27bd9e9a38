"""Real i-PI: however the forces are served, the trajectory is the same to the last bit."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ncforce_ipi.drivers import ncforce_pes

pytest.importorskip("ipi")
pytest.importorskip("torch")
pytestmark = pytest.mark.e2e

TIMEOUT_S = 120  # a few dozen evaluations of 192 atoms on a busy machine
M, N_OUTER = 4, 4
INPUT = """
<simulation verbosity='medium' floatformat='%.17e' threading='False'>
  <output prefix='out'>
    <properties stride='1' filename='csv'>[step, conserved{{electronvolt}}]</properties>
  </output>
  <total_steps>{n_outer}</total_steps>
  <prng><seed>5</seed></prng>
  {forcefields}
  <system>
    <initialize nbeads='{n_beads}'>
      <file mode='ase'>init.xyz</file>
      <velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces>
      <force forcefield='slow'><mts_weights>[1, 0]</mts_weights></force>
      <force forcefield='fast'><mts_weights>[-1, 1]</mts_weights></force>
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
SOCKET = """<ffsocket name='{role}' mode='{mode}' pbc='False'>
  <address>{role}</address> <latency>1e-4</latency> {more}
</ffsocket>"""
DIRECT = """<ffdirect name='{role}' pbc='False' {threaded}>
  <pes>custom</pes> <pes_path>{path}</pes_path> {more}
  <parameters>{{template: init.xyz, model: {model}, role: {role}, mts: {mts}}}</parameters>
</ffdirect>"""
PYTHON = [sys.executable, "-m", "ncforce_ipi", "driver", "metatomic"]


def commands(layout, model):
    """Driver programs of a layout."""
    common = ["--model", str(model), "--structure", "init.xyz", "--socket-dir", "."]
    scripts = Path(sys.executable).parent
    both = [*PYTHON, *common, "--role", "both", "--report", "report.json"]
    more = {"both": [], "batch": [], "not joint": ["--no-joint"], "shm": ["--shm"]}
    if layout.removesuffix(" batch") in more:
        return [both + more[layout.removesuffix(" batch")]]
    if layout == "two":
        return [[*PYTHON, *common, "--role", role] for role in ("slow", "fast")]
    if layout == "i-pi-driver-py":
        stock = [sys.executable, str(scripts / "i-pi-driver-py"), "-u", "-S", "./", "-m", "custom"]
        options = f"template=init.xyz,model={model},role="
        path = ncforce_pes.__file__
        return [[*stock, "-a", role, "-P", path, "-o", options + role] for role in ("slow", "fast")]
    return []


def forcefields(layout, model, n_beads):
    more = f"<batch_size>{n_beads}</batch_size>" * layout.endswith("batch")
    if layout.startswith("ffdirect"):
        threaded = "threaded='True'" * ("threaded" in layout)
        values = {"path": ncforce_pes.__file__, "model": model, "mts": M, "threaded": threaded}
        return "\n".join(DIRECT.format(role=role, more=more, **values) for role in ("slow", "fast"))
    mode = "shm" if layout.startswith("shm") else "unix"
    return "\n".join(SOCKET.format(role=role, more=more, mode=mode) for role in ("slow", "fast"))


@pytest.fixture
def simulate(tmp_path, water, random_model):
    """Run a layout to its end; give the checkpoint's positions and momenta, and the report."""
    from ase import Atoms
    from ase.io import write

    processes = []

    def call(layout, n_beads=1, mts=M, n_atoms=192):
        directory = tmp_path / f"{layout} {n_beads} {mts} {n_atoms}".replace(" ", "_")
        directory.mkdir()
        chosen = slice(n_atoms)
        atoms = Atoms(water.numbers[chosen], water.positions[chosen], cell=water.cell, pbc=True)
        write(directory / "init.xyz", atoms, format="extxyz")
        model = random_model("float32")
        text = INPUT.format(
            n_outer=N_OUTER,
            forcefields=forcefields(layout, model, n_beads),
            n_beads=n_beads,
            outer_step_fs=0.5 * mts,
            mts=mts,
        )
        (directory / "input.xml").write_text(text)
        ipi = [sys.executable, str(Path(sys.executable).with_name("i-pi")), "-S", "./", "input.xml"]
        started = []
        for k, command in enumerate([ipi, *commands(layout, model)]):
            while k and not ((directory / "slow").exists() and (directory / "fast").exists()):
                with pytest.raises(subprocess.TimeoutExpired):  # i-PI is still there
                    started[0].wait(0.05)
            with (directory / f"log{k}").open("wb") as sink:
                started.append(
                    subprocess.Popen(command, cwd=directory, stdout=sink, stderr=subprocess.STDOUT)
                )
            processes.append(started[-1])
        for k, process in enumerate(started):
            assert process.wait(TIMEOUT_S) == 0, (directory / f"log{k}").read_text()
        beads = ElementTree.parse(directory / "RESTART").find("system/beads")
        report = directory / "report.json"
        return (
            (beads.findtext("q"), beads.findtext("p")),
            json.loads(report.read_text()) if report.exists() else None,
            (directory / "log0").read_text(),
        )

    yield call
    for process in processes:
        process.kill()
        process.wait()


LAYOUTS = ("both", "not joint", "shm", "ffdirect", "ffdirect threaded", "i-pi-driver-py")


def test_every_layout_gives_the_bits_of_two_drivers(simulate):
    expected, _, _ = simulate("two")
    for layout in LAYOUTS:
        state, report, _ = simulate(layout)
        assert state == expected, layout
        if layout == "both":
            # the first cycle is learnt from: its slow request is evaluated alone
            assert report["joint"] == {"hits": N_OUTER, "misses": 1, "wasted": 0, "repeated": 0}
            assert report["calls"] == {"single": N_OUTER * (M - 1) + 2, "joint": N_OUTER}
            assert report["roles"]["slow"]["evaluations"] == N_OUTER + 1
        if layout == "not joint":
            assert report["joint"] is None


def test_beads_on_one_driver(simulate):
    expected, _, _ = simulate("two", n_beads=3, mts=2)
    for layout in ("both", "batch", "shm batch"):
        state, report, _ = simulate(layout, n_beads=3, mts=2)
        assert state == expected, layout
        joint = report["joint"]
        if layout == "both":
            assert joint["repeated"] == 2 * 2  # the beads start at the same positions
            assert joint["hits"] + joint["misses"] == 3 * N_OUTER + 1
        assert joint["hits"] > joint["misses"]


def test_beads_in_one_call(simulate):
    """Small enough for a batch on a CPU, where matrix products of another size round otherwise."""
    n_beads, mts = 4, 2
    expected, _, _ = simulate("two", n_beads, mts, n_atoms=24)
    for layout in ("batch", "shm batch", "ffdirect batch", "ffdirect threaded batch"):
        state, report, _ = simulate(layout, n_beads, mts, n_atoms=24)
        for found, exact in zip(state, expected, strict=True):
            # forces of 0.1 atomic units in float32, nine steps: 7e-9 in momenta of 19
            np.testing.assert_allclose(_numbers(found), _numbers(exact), atol=1e-6, rtol=0)
        if report:
            assert report["joint"]["misses"] <= n_beads  # of the first cycle
            n_calls = sum(report["calls"].values())
            # i-PI may send what it has before all beads are there
            assert mts * N_OUTER + 1 <= n_calls < n_beads * (mts * N_OUTER + 1)


def _numbers(text):
    return np.array([float(word) for word in text.strip(" []\n").split(",")])
