"""The loop of `benchmarks/friction.py`: averages that are known, and the steps of i-PI."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import write

from ncforce_ipi import cli, open_run
from ncforce_ipi.serve.load import load_model
from ncforce_ipi.units import PER_FS_PER_CM, U_A2_PER_FS2_EV

ROOT = Path(__file__).parents[2]
PHASE = 0.4  # omega h
N_STEPS = 10


@pytest.fixture
def friction(script):
    return script("friction")


@pytest.mark.parametrize("kind", ["white", "optimal", "svr"])
def test_a_bath_alone_keeps_the_temperature(friction, kind):
    case = friction.Case(8.0, where="outer", kind=kind, per_ps=50.0)
    bath = friction.Bath(case, 4.0, (8, 1000, 3), seed=1)
    p = 2.0 * np.random.default_rng(2).normal(size=(8, 1000, 3))
    before = 0.5 * (p**2).sum(axis=(1, 2))
    for _ in range(2000 if kind == "optimal" else 200):
        p = bath.act(p)
    assert (p**2).mean() == pytest.approx(1.0, abs=0.03)  # one standard error is 0.009
    assert bath.heat == pytest.approx(0.5 * (p**2).sum(axis=(1, 2)) - before)


def test_a_band_is_damped_and_nothing_else(friction):
    """Friction of d(p, s) = -A (p, s) dt at w: the real part of A_pp - A_ps 1/(A_ss + iw) A_sp."""
    a = friction.drift_matrix(friction.Case(8.0, where="inner", kind="band", per_ps=50.0))
    assert np.linalg.eigvalsh(a + a.T).min() >= 0  # the noise is real

    def per_ps(per_cm):
        omega = 2j * np.pi * per_cm / PER_FS_PER_CM
        return (
            1e3
            * (a[0, 0] - a[0, 1:] @ np.linalg.inv(a[1:, 1:] + omega * np.eye(2)) @ a[1:, 0]).real
        )

    assert per_ps(friction.STRETCH_PER_CM) == pytest.approx(50.0, rel=0.01)
    half = friction.STRETCH_PER_CM + friction.WIDTH_PER_CM
    assert per_ps(half) == pytest.approx(25.0, rel=0.01)
    assert per_ps(0.0) < 0.4


@pytest.mark.parametrize("where", ["outer", "inner"])
def test_wells_have_the_variances_of_their_splitting(friction, where):
    """Positions are right in BAOAB, momenta in OBABO; the other one is off by 1 - (omega h)^2/4."""
    wells = Atoms("H200O100", np.zeros((300, 3)), cell=30.0 * np.eye(3), pbc=True)
    wells.set_masses(np.ones(300))
    k = PHASE**2 * U_A2_PER_FS2_EV / 0.25  # eV/A^2, for steps of 0.5 fs and 1 u
    parameters = json.dumps({"k_eV_per_A2": k, "swirl_eV_per_A2": 0.0})
    x, p = [], []
    with load_model(f"analytic:harmonic --arguments '{parameters}'") as model:
        case = friction.Case(2.0, where=where, per_ps=200.0)
        water = friction.Water(model, [wells] * 10, case, seed=1)
        for step in range(80):
            water.step()
            if step >= 20:
                x.append((water.x**2).mean() * k / water.unit_eV)
                p.append((water.p**2).mean())
    off = 1 - PHASE**2 / 4
    expected = (1.0, off) if where == "inner" else (1 / off, 1.0)
    assert (np.mean(x), np.mean(p)) == pytest.approx(expected, abs=0.015)


@pytest.mark.e2e
@pytest.mark.parametrize("hydrogen_u", [0.0, 4.0])
def test_without_a_thermostat_it_makes_the_steps_of_ipi(
    friction, tmp_path, monkeypatch, hydrogen_u
):
    monkeypatch.chdir(ROOT)
    starts, case = friction.chosen(1), friction.Case(2.0, 0.5, hydrogen_u)
    monkeypatch.chdir(tmp_path)
    with load_model("water") as model:
        water = friction.Water(model, starts, case, seed=1)
        mass = (water.root_m**2)[None]
        water.p -= water.root_m * (water.p * water.root_m).sum(1, keepdims=True) / mass.sum()
        start = Atoms(water.numbers, water.x[0], cell=water.cells[0], pbc=True)
        masses = (water.root_m[:, 0] ** 2) * water.unit_eV / U_A2_PER_FS2_EV
        start.set_masses(masses)
        start.set_velocities(water.p[0] / water.root_m / units.fs)
        write("start.xyz", start)
        for _ in range(N_STEPS):
            water.step()
    words = ["run", "water", "--structure", "start.xyz", "--velocities", "start.xyz", "--mts", "4"]
    more = ["--repartition", "4"] if hydrogen_u else []
    assert cli.main([*words, *more, "--time-ps", "0.02", "--out", "ipi"]) == 0
    there = open_run("ipi").trajectory().read()
    assert there.steps[-1] == N_STEPS
    np.testing.assert_allclose(there.values[-1], water.x[0], atol=1e-6)
