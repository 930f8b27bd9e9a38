"""Each thermostat of a generated input holds its temperature: harmonic wells, real i-PI."""

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from ncforce_ipi import cli
from ncforce_ipi.analysis.statistics import mean_of
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

pytestmark = [pytest.mark.slow, pytest.mark.e2e]
TARGET_K = 250.0
KINETIC = 6  # column of simulation.out
SHORT_PS, LONG_PS = 40.0, 200.0  # 25 memories of the thermostat and more


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("words", "time_ps"),
    [
        ("langevin --tau-fs 10", SHORT_PS),
        ("langevin --tau-fs 100", SHORT_PS),
        ("langevin --tau-fs 1000", LONG_PS),
        ("svr --tau-fs 10", SHORT_PS),
        ("gle --gle optimal", SHORT_PS),
        ("gle --gle smart", LONG_PS),
    ],
)
@pytest.mark.parametrize("forces", ["slow", "mts"])
def test_mean_temperature(words, time_ps, forces, tmp_path, capfd):
    atoms = bulk("Ar", "fcc", a=5.4, cubic=True) * (3, 3, 3)
    write(tmp_path / "argon.xyz", atoms)
    # a period of 0.4 ps; without its swirl the direct force is the conservative one
    model = {"model": "harmonic", "swirl_eV_per_A2": 0.0, "sites_A": atoms.positions.tolist()}
    (tmp_path / "wells.json").write_text(json.dumps(model))
    command = ["run", "--model", f"analytic:{tmp_path / 'wells.json'}"]
    command += ["--structure", str(tmp_path / "argon.xyz"), "--ensemble", *words.split()]
    command += ["--temperature-K", str(TARGET_K), "--timestep-fs", "5"]
    command += ["--time-ps", str(time_ps), "--forces", forces, "--out", str(tmp_path / "run")]
    command += ["--mts", "2"] if forces == "mts" else []
    assert cli.main(command) == 0, capfd.readouterr().err
    rows = np.loadtxt(tmp_path / "run" / "simulation.out")
    degrees = 3 * len(atoms) - 3
    # the wells start empty, so that half of the kinetic energy goes into them first
    found = mean_of(2 * rows[len(rows) // 4 :, KINETIC] / (BOLTZMANN_EV_PER_K * degrees))
    assert found.error < 0.03 * TARGET_K
    # 4 sigma; and (omega dt)^2 / 4 = 0.15 %, at most, by the discrete inner steps, twice that
    assert abs(found.value - TARGET_K) < 4 * found.error + 0.003 * TARGET_K
