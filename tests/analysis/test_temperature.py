"""Temperatures per species: Maxwell's velocities with the centre of mass at rest."""

import numpy as np
import pytest

from ncforce_ipi.analysis.statistics import Mean
from ncforce_ipi.analysis.temperature import (
    Equipartition,
    atom_masses,
    degrees_of_freedom,
    equipartition,
    from_ipi,
    ipi_temperature,
    kinetic_energy,
    species_temperatures,
    temperature,
)
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.temperature import equipartition_line
from ncforce_ipi.units import ATOMIC_MASS_KG, BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV

SPECIES = np.array(["O", "H", "H"] * 2)
MASSES_U = np.array([15.999, 1.008, 1.008] * 2)
TEMPERATURE_K = 300.0


def maxwell(n_frames: int, *, fixed_com: bool) -> np.ndarray:
    rng = np.random.default_rng(7)
    variance = BOLTZMANN_EV_PER_K * TEMPERATURE_K / (U_A2_PER_FS2_EV * MASSES_U)
    velocities = rng.normal(size=(n_frames, 6, 3)) * np.sqrt(variance)[:, None]
    if fixed_com:
        velocities -= np.einsum("a,fac->fc", MASSES_U / MASSES_U.sum(), velocities)[:, None]
    return velocities


def test_kinetic_energy_of_one_atom_in_si_units():
    # 1000 m/s = 0.01 A/fs; m v^2 / 2 in J over the elementary charge
    velocities = np.array([[[0.01, 0.0, 0.0]]])
    expected = 0.5 * 15.999 * ATOMIC_MASS_KG * 1000.0**2 / 1.602176634e-19
    assert kinetic_energy(velocities, np.array([15.999]))[0] == pytest.approx(expected, rel=1e-12)


def test_temperature_of_a_known_energy():
    kinetic_eV = np.array([0.5 * BOLTZMANN_EV_PER_K * 300.0 * 573.0])
    assert temperature(kinetic_eV, 573.0)[0] == pytest.approx(300.0, rel=1e-12)


@pytest.mark.parametrize("fixed_com", [True, False])
def test_every_species_has_the_temperature_of_the_velocities(fixed_com):
    velocities = maxwell(40_000, fixed_com=fixed_com)
    found = species_temperatures(velocities, SPECIES, MASSES_U, fixed_com=fixed_com)
    assert list(found) == ["H", "O"]
    for values in found.values():
        # independent frames: 4 standard errors (about 1 K, 0.6 K)
        tolerance = 4.0 * values.std() / np.sqrt(len(values))
        assert values.mean() == pytest.approx(TEMPERATURE_K, abs=tolerance)


def test_oxygen_would_be_cold_if_the_fixed_centre_were_forgotten():
    values = species_temperatures(
        maxwell(40_000, fixed_com=True), SPECIES, MASSES_U, fixed_com=False
    )["O"]
    share = 15.999 / 18.015  # of the three lost degrees of freedom, in six of two oxygens
    assert values.mean() == pytest.approx(TEMPERATURE_K * (1.0 - share / 2.0), rel=0.015)


def test_ipis_formula_is_ours_at_the_temperature_of_the_ensemble_only():
    """192 atoms at 1000 K in an ensemble of 300 K: i-PI reads 700 / 192 = 3.6 K low."""
    masses_u, everyone = np.array([15.999, 1.008, 1.008] * 64), np.ones(192, dtype=bool)
    kinetic_eV = np.array([0.5 * BOLTZMANN_EV_PER_K * 1000.0 * 573.0])
    assert temperature(kinetic_eV, 573.0)[0] == pytest.approx(1000.0)
    theirs = ipi_temperature(kinetic_eV, masses_u, everyone, 300.0)
    assert theirs[0] == pytest.approx(1000.0 - 700.0 / 192, rel=1e-12)
    assert ipi_temperature(kinetic_eV, masses_u, everyone, 1000.0)[0] == pytest.approx(1000.0)
    free = ipi_temperature(kinetic_eV, masses_u, everyone, 300.0, fixed_com=False)
    assert free[0] == pytest.approx(1000.0 * 573.0 / 576.0)


def test_two_species_at_two_temperatures_are_told_apart():
    velocities = maxwell(20_000, fixed_com=True)
    alike = equipartition(species_temperatures(velocities, SPECIES, MASSES_U))
    assert [pair.names for pair in alike] == [("H", "O")]
    assert alike[0].sigmas < 4.0
    assert not alike[0].violated
    velocities[:, SPECIES == "H"] *= np.sqrt(1.1)  # 30 K more; the momentum is no longer zero
    (pair,) = equipartition(species_temperatures(velocities, SPECIES, MASSES_U))
    assert pair.difference.value == pytest.approx(30.0, abs=4.0 * pair.difference.error)
    assert pair.sigmas > 10.0
    assert pair.violated


def test_too_few_frames_have_no_verdict():
    velocities = maxwell(2, fixed_com=True)
    (pair,) = equipartition(species_temperatures(velocities, SPECIES, MASSES_U))
    assert np.isnan(pair.sigmas)


def test_shares_of_the_fixed_centre_add_up_to_three():
    parts = [degrees_of_freedom(MASSES_U, name == SPECIES) for name in ("H", "O")]
    assert sum(parts) == pytest.approx(3 * 6 - 3, rel=1e-14)
    assert degrees_of_freedom(MASSES_U, SPECIES == "O", fixed_com=False) == 6.0


def test_masses_come_from_the_run():
    assert atom_masses(SPECIES, {"H": 1.0, "O": 16.0}).tolist() == [16.0, 1.0, 1.0] * 2
    with pytest.raises(InputError, match=r"mass of O: got None; expected .*run\.json"):
        atom_masses(SPECIES, {"H": 1.0})
    with pytest.raises(InputError, match=r"mass of H: got 0\.0"):
        atom_masses(SPECIES, {"H": 0.0, "O": 16.0})


def test_ours_is_got_back_from_ipis():
    species = np.array(["O", "H", "H"] * 5)
    masses_u = np.where(species == "O", 15.999, 1.008)
    kinetic_eV = np.array([0.1, 0.5, 2.0])
    for fixed_com in (True, False):
        for members in (species == "H", species == "O", species != "X"):
            dof = degrees_of_freedom(masses_u, members, fixed_com=fixed_com)
            theirs = ipi_temperature(kinetic_eV, masses_u, members, 300.0, fixed_com=fixed_com)
            ours = from_ipi(theirs, masses_u, members, 300.0, fixed_com=fixed_com)
            np.testing.assert_allclose(ours, temperature(kinetic_eV, dof), rtol=1e-13)


@pytest.mark.parametrize(("n_independent", "limit"), [(1e6, 4.003), (5.0, 17.51)])
def test_few_samples_need_a_larger_difference(n_independent, limit):
    """Two-sided quantiles of Student's t at 1 / 16000: normal, and four degrees of freedom."""
    for factor in (0.98, 1.02):
        pair = Equipartition(("H", "O"), Mean(factor * limit, 1.0, n_independent))
        assert pair.violated == (factor > 1.0)
    assert not Equipartition(("H", "O"), Mean(1e3, np.nan, 2.0)).violated


def test_a_large_difference_of_few_samples_is_neither_agreement_nor_a_violation():
    few = equipartition_line(Equipartition(("H", "O"), Mean(-17.4, 4.5, 7.0)))[1]
    assert few.endswith("too short a run to tell of equipartition")
    mild = equipartition_line(Equipartition(("H", "O"), Mean(-1.0, 4.5, 1000.0)))[1]
    assert mild.endswith("equipartition holds")
    violated = equipartition_line(Equipartition(("H", "O"), Mean(-40.0, 4.5, 1000.0)))[1]
    assert violated.endswith("equipartition is violated")
