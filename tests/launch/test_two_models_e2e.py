"""SevenNet-0 as slow force, the direct head of the shipped water model as fast one, in real i-PI.

Two libraries that know nothing of each other, a process each.  ``NCFORCE_TEST_FAST_PYTHON`` names
the Python of another environment for the second; without it both are of this one.
"""

import json
import os
import sys

import numpy as np
import pytest

from ncforce_ipi.serve.families import installed
from tests.ipi_host import TIMEOUT_S, host

pytest.importorskip("ipi")
FAST_PYTHON = os.environ.get("NCFORCE_TEST_FAST_PYTHON", sys.executable)
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(installed("sevennet") is None, reason="needs sevenn"),
    pytest.mark.skipif(
        sys.executable == FAST_PYTHON and not installed("metatomic"),
        reason="needs metatomic-torch, here or in the environment of NCFORCE_TEST_FAST_PYTHON",
    ),
]
M, N_OUTER, N_MOLECULES, SIDE_A = 4, 4, 8, 10.0


def droplet(water):
    """Molecules of the water start that lie wholly in a cube, in a cell with room around it."""
    positions = water.positions.reshape(-1, 3, 3)
    inside = ((positions > 0) & (positions < 8.0)).all(axis=(1, 2))
    positions = positions[inside][:N_MOLECULES].reshape(-1, 3)
    lines = [str(len(positions)), f'Lattice="{SIDE_A} 0 0 0 {SIDE_A} 0 0 0 {SIDE_A}" pbc="T T T"']
    symbols = "OHH" * N_MOLECULES
    lines += [f"{s} {x} {y} {z}" for s, (x, y, z) in zip(symbols, positions, strict=True)]
    return "\n".join(lines) + "\n"


def test_sevennet_with_the_fast_force_of_the_water_model(tmp_path, water):
    with host(tmp_path / "run") as it:
        server = it.ipi(structure=droplet(water), n_outer=N_OUTER, mts=M, outer_step_fs=2.0)
        drivers = []
        for role, words in {
            "slow": [sys.executable, "sevennet", "--model", "7net-0"],
            "fast": [FAST_PYTHON, "metatomic", "--model", "water", "--mts", str(M)],
        }.items():
            python, *options = words
            command = [python, "-m", "ncforce_ipi", "driver", *options, "--role", role]
            command += ["--structure", "start.extxyz", "--socket-dir", str(it.directory)]
            drivers.append(it.start([*command, "--report", f"{role}.json"], f"{role}.log"))
        it.finish(server)
        assert [driver.wait(TIMEOUT_S) for driver in drivers] == [0, 0]
        slow, fast = (json.loads(it.text(f"{role}.json")) for role in ("slow", "fast"))
        table = it.table()
    assert slow["roles"]["slow"]["evaluations"] == 1 + N_OUTER
    assert fast["roles"]["fast"]["evaluations"] == 1 + M * N_OUTER
    assert slow["model"].startswith("7net-0 (SevenNet")
    assert fast["model"].startswith("water.pt (metatomic")
    assert len({slow["model_sha256"], fast["model_sha256"]} - {None}) == 2
    # measured: 0.27 and 0.02 eV, though the two models differ: the slow one corrects the fast one
    swing, drift = np.ptp(table[:, 2]), np.ptp(table[:, 1])
    assert drift < 0.2 * swing
