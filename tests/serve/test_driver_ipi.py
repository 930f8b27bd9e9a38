"""Real i-PI: a driver may leave in the middle of a run, and the next one goes on with it."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e

TIMEOUT_S = 120  # for a few dozen steps on a busy machine
INPUT = """
<simulation verbosity='medium' floatformat='%.17e'>
  <output prefix='out'>
    <properties stride='1' filename='csv' flush='1'>[step, potential{electronvolt}]</properties>
  </output>
  <total_steps>80</total_steps>
  <ffsocket name='slow' mode='unix' pbc='false'>
    <address>slow</address> <latency>1e-3</latency>
  </ffsocket>
  <system>
    <initialize nbeads='1'>
      <file mode='ase'>start.extxyz</file>
      <velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='slow'/></forces>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nve'><timestep units='femtosecond'>0.5</timestep></dynamics>
    </motion>
  </system>
</simulation>
"""


@pytest.fixture
def run(tmp_path, water, random_model):
    """Start i-PI; give a function that starts a driver and one that ends all this."""
    from ase import Atoms
    from ase.io import write

    atoms = Atoms(water.numbers, water.positions, cell=water.cell, pbc=True)
    write(tmp_path / "start.extxyz", atoms)
    (tmp_path / "input.xml").write_text(INPUT)
    processes = []

    def start(command, log):
        with (tmp_path / log).open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=tmp_path, stdout=sink, stderr=subprocess.STDOUT
            )
        processes.append(process)
        return process

    def driver(name):
        options = ["--model", str(random_model("float64")), "--structure", "start.extxyz"]
        options += ["--role", "slow", "--socket-dir", str(tmp_path)]
        return start(["-m", "ncforce_ipi", "driver", "metatomic", *options], name)

    server = start(
        [Path(sys.executable).with_name("i-pi"), "-S", f"{tmp_path}/", "input.xml"], "ipi"
    )
    yield tmp_path, server, driver
    for process in processes:
        process.kill()
        process.wait()


def steps(directory: Path) -> np.ndarray:
    """Step and potential energy as far as i-PI has come; a half-written last line is left out."""
    path = directory / "out.csv"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    rows = [line.split() for line in lines if line.endswith("\n") and not line.startswith("#")]
    return np.array(rows, float).reshape(-1, 2)


def wait_for_step(directory, step, *processes):
    for _ in range(TIMEOUT_S * 20):
        if len(steps(directory)) > step:
            return
        for process in processes:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
    pytest.fail(f"i-PI did not reach step {step} in {TIMEOUT_S} s")


def test_the_next_driver_goes_on(run):
    """SIGTERM; that a request is read to its end before the model is called is a client's test."""
    directory, server, driver = run
    first = driver("first")
    wait_for_step(directory, 5, server, first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(TIMEOUT_S) == 0
    second = driver("second")
    assert server.wait(TIMEOUT_S) == 0
    assert second.wait(TIMEOUT_S) == 0
    assert "EXIT from the server" in (directory / "second").read_text()
    assert "Exception in thread" not in (directory / "ipi").read_text()
    table = steps(directory)
    np.testing.assert_array_equal(table[:, 0], np.arange(81))
    assert np.isfinite(table).all()
    assert 0.0 < np.abs(np.diff(table[:, 1])).max() < 1.0  # moving, and no jump at the change: eV
