"""What is said and refused before a run starts."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import graphene

from ncforce_ipi import preflight
from ncforce_ipi.ensembles import Ensemble
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import Recipe, read_structure
from ncforce_ipi.mts import Plan

WATER = read_structure("water")
SHEET = graphene(size=(4, 4, 1), vacuum=7.0)
SHEET.pbc = True


def recipe(mts=8, ensemble=None, step_fs=0.5, n_outer=1000):
    plan = Plan("mts" if mts > 1 else "slow", mts, step_fs, n_outer)
    return Recipe(plan, ensemble or Ensemble(), 300.0, 1)


def test_a_sound_run_has_no_warning():
    found = preflight.check(recipe(), WATER)
    assert found.warnings == ()
    # 1000 outer steps: 200 frames of positions, 1000 of velocities, of 192 atoms
    assert found.disk_MB == pytest.approx(1e-6 * (192 * (200 * 53 + 1000 * 48) + 250e3))


def test_forces_take_disk():
    plain, with_forces = recipe(), replace(recipe(), force_stride=5)
    more_MB = preflight.disk_MB(with_forces, 192) - preflight.disk_MB(plain, 192)
    # 200 frames of two components: 8 letters, 3 numbers of 12 characters, 3 blanks, a newline
    assert more_MB == pytest.approx(1e-6 * 200 * 2 * 192 * 48, rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mts": 12}, "outer step 6 fs: above 5.0 fs multiple time steps resonate"),
        ({"mts": 1, "step_fs": 2.0}, "inner step 2 fs: the fastest vibration"),
        ({"ensemble": Ensemble("langevin", tau_fs=2.0)}, "thermostat of 2 fs: it acts once"),
        ({"n_outer": 2_000_000}, "outputs will take 23.0 GB of disk"),
    ],
)
def test_warnings(settings, words):
    (warning,) = preflight.check(recipe(**settings), WATER).warnings
    assert words in warning


def test_heavy_elements_take_longer_outer_steps():
    metal = Atoms("Al4", positions=np.eye(4, 3) * 3.0, cell=[8, 8, 8], pbc=True)
    assert preflight.check(recipe(mts=16), metal).warnings == ()
    (warning,) = preflight.check(recipe(mts=64), metal).warnings
    assert "resonate with the fastest vibration to expect (700 cm^-1)" in warning


def test_the_vacuum_of_a_sheet_stays():
    np.testing.assert_allclose(preflight.vacuum_A(SHEET)[2], 14.0, atol=1e-9)
    with pytest.raises(
        InputError, match=r"has 14\.0 A of vacuum along c, which barostat isotropic"
    ):
        preflight.check(recipe(ensemble=Ensemble("npt")), SHEET)
    preflight.check(recipe(ensemble=Ensemble("npt", barostat="in-plane")), SHEET)
    preflight.check(recipe(ensemble=Ensemble("npt")), WATER)


def test_vacuum_of_a_triclinic_cell_is_measured_between_planes():
    cell = [[10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [8.0, 0.0, 20.0]]
    atoms = Atoms("Al2", scaled_positions=[[0, 0, 0.0], [0, 0, 0.25]], cell=cell, pbc=True)
    np.testing.assert_allclose(preflight.vacuum_A(atoms)[2], 15.0)
