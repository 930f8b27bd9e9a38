"""A model in Python against its own driver, and what it says of itself."""

import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import ncforce_ipi as nc
from ncforce_ipi.errors import InputError, NcforceError

LENNARD_JONES = "analytic:lennard-jones"


@pytest.fixture
def argon() -> Atoms:
    """A cubic cell of 4 atoms, displaced."""
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
    atoms.rattle(0.1, seed=3)
    return atoms


def test_importing_the_package_imports_nothing_else():
    code = (
        "import sys, ncforce_ipi; print(sorted({'numpy', 'ase', 'torch', 'ipi'} & {*sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_every_public_name_is_there():
    assert set(nc.__all__) <= set(dir(nc))
    for name in nc.__all__:
        assert getattr(nc, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nc.nothing  # noqa: B018


def test_forces_are_minus_the_slope_of_the_energy_and_stress_that_of_a_strain(argon):
    with nc.load(LENNARD_JONES) as model:
        found = model.evaluate(argon)
        assert found.kind == "conservative"
        step = 1e-5  # central differences of an analytic formula: errors of step^2 and 1e-16 / step
        for atom, axis in ((0, 0), (3, 2)):
            energies = []
            for sign in (1, -1):
                moved = argon.copy()
                moved.positions[atom, axis] += sign * step
                energies.append(model.evaluate(moved).energy)
            slope = (energies[0] - energies[1]) / (2 * step)
            assert found.forces[atom, axis] == pytest.approx(-slope, abs=1e-8)
        energies = []
        for sign in (1, -1):
            strained = argon.copy()
            strain = np.eye(3)
            strain[0, 0] += sign * step
            strained.set_cell(argon.cell.array @ strain, scale_atoms=True)
            energies.append(model.evaluate(strained).energy)
        slope = (energies[0] - energies[1]) / (2 * step * argon.get_volume())
        assert found.stress[0, 0] == pytest.approx(slope, abs=1e-8)


def test_direct_forces_have_no_mean_unless_it_is_kept(argon):
    with nc.load(LENNARD_JONES) as model:
        without = model.evaluate(argon, "direct")
        kept = model.evaluate(argon, "direct", keep_net_force=True)
        np.testing.assert_allclose(
            without.forces.sum(axis=0), 0.0, atol=1e-12
        )  # rounding of 4 atoms
        np.testing.assert_allclose(
            without.forces, kept.forces - kept.forces.mean(axis=0), atol=1e-15
        )


def test_the_kind_that_is_loaded_is_the_one_that_is_given(argon):
    with nc.load(LENNARD_JONES) as both, nc.load(LENNARD_JONES, kind="direct") as model:
        found = model.evaluate(argon)
        assert found.kind == "direct"
        np.testing.assert_array_equal(found.forces, both.evaluate(argon, "direct").forces)
        assert np.abs(found.forces - both.evaluate(argon).forces).max() > 1e-4  # the swirl
        assert model.evaluate(argon, "conservative").kind == "conservative"
    only = "ase:ase.calculators.lj:LennardJones"
    with nc.load(only, kind="direct") as model, pytest.raises(InputError, match="no direct forces"):
        model.evaluate(argon)


def test_a_molecule_has_no_stress():
    with nc.load(LENNARD_JONES) as model:
        dimer = Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 4.0]])
        assert model.evaluate(dimer).stress is None


def test_the_shipped_model_knows_its_species_and_both_kinds(water):
    with nc.load("water") as model:
        assert model.species == ("H", "O")
        assert model.kinds == {"conservative", "direct"}
        assert "water" in repr(model)
        found = {kind: model.evaluate(water, kind) for kind in ("conservative", "direct")}
        difference = found["direct"].forces - found["conservative"].forces
        # the model's card: they differ by some 20 of 700 meV/A
        assert 0.001 < np.sqrt(np.mean(difference**2)) < 0.05
        with pytest.raises(NcforceError, match="doesn't know atomic number 6"):
            model.evaluate(molecule("CH4"))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="neither a file nor a shipped model"):
        nc.load("nothing.pt")
    with nc.load(LENNARD_JONES) as model, pytest.raises(InputError, match="has no odd forces"):
        model.evaluate(Atoms("Ar"), "odd")
