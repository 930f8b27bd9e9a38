"""Every shipped system, ensemble and choice of forces runs: ``make test-matrix``, 6 minutes."""

import json
from itertools import product

import numpy as np
import pytest

from ncforce_ipi import cli
from ncforce_ipi.inputs.ensembles import ENSEMBLES
from ncforce_ipi.inputs.systems import SYSTEMS

pytestmark = [pytest.mark.slow, pytest.mark.e2e]
FORCES = ("slow", "fast", "mts")
N_OUTER = 20
M = 4


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("system", "ensemble", "forces"), list(product(SYSTEMS, ENSEMBLES, FORCES))
)
def test_it_runs(system, ensemble, forces, tmp_path, capfd):
    outer_fs = 0.5 * (M if forces == "mts" else 1)
    words = ["run", system, "--ensemble", ensemble, "--forces", forces]
    words += ["--mts", str(M)] if forces == "mts" else []
    words += ["--time-ps", str(1e-3 * outer_fs * N_OUTER), "--out", str(tmp_path / "run")]
    assert cli.main(words) == 0, capfd.readouterr().err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["state"], record["steps_done"]) == ("finished", N_OUTER)
    columns = np.loadtxt(tmp_path / "run" / "simulation.out")
    assert columns.shape[0] == N_OUTER + 1
    assert np.isfinite(columns).all()
    temperature_K = columns[:, 3]
    # 112 atoms fluctuate by 300 K * sqrt(2 / 336) = 23 K; start structures are of 300 K
    assert (np.abs(temperature_K - 300) < 120).all()
