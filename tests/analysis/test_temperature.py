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
    pooled,
    species_temperatures,
    temperature,
)
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import ATOMIC_MASS_KG, BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV

from .test_longrun import two_part

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
    alike = equipartition(species_temperatures(velocities, SPECIES, MASSES_U), 400.0)
    assert [pair.names for pair in alike] == [("H", "O")]
    assert alike[0].sigmas < 4.0
    assert not alike[0].violated
    velocities[:, SPECIES == "H"] *= np.sqrt(1.1)  # 30 K more; the momentum is no longer zero
    (pair,) = equipartition(species_temperatures(velocities, SPECIES, MASSES_U), 400.0)
    assert pair.difference.value == pytest.approx(30.0, abs=4.0 * pair.difference.error)
    assert pair.sigmas > 10.0
    assert pair.violated


def test_too_few_frames_have_no_verdict():
    velocities = maxwell(2, fixed_com=True)
    (pair,) = equipartition(species_temperatures(velocities, SPECIES, MASSES_U), 400.0)
    assert np.isnan(pair.sigmas)
    assert pair.answer == "open"


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


@pytest.mark.parametrize(("duration_ps", "n_runs"), [(0.5, 500), (5.0, 500), (20.0, 300)])
@pytest.mark.parametrize("memory_ps", [1.0, 2.0])
def test_a_healthy_difference_is_not_called_a_violation(duration_ps, memory_ps, n_runs):
    """4000 runs of each length from 0.25 to 200 ps have less than 1 in 1000; here none or one."""
    rng = np.random.default_rng(21)
    n_frames = round(duration_ps / 0.004)
    found = 0
    for _ in range(n_runs):
        off_K = two_part(rng, n_frames, memory_ps)
        (pair,) = equipartition({"H": 300.0 + off_K, "O": np.full(n_frames, 300.0)}, duration_ps)
        found += pair.violated
    assert found <= 1


@pytest.mark.parametrize(
    ("duration_ps", "off_K", "least"), [(20.0, 30.0, 0.5), (50.0, 30.0, 0.9), (10.0, 80.0, 0.9)]
)
def test_a_violation_is_found(duration_ps, off_K, least):
    """0.64, 0.98 and 0.96 of 4000 runs; 3 binomial sigma of 100 runs are 0.14 and 0.06."""
    rng = np.random.default_rng(22)
    n_frames = round(duration_ps / 0.004)
    other_K = np.full(n_frames, 300.0)
    found = 0
    for _ in range(100):
        hot_K = 300.0 + off_K + two_part(rng, n_frames, 1.0)
        (pair,) = equipartition({"H": hot_K, "O": other_K}, duration_ps)
        found += pair.violated
    assert found / 100 >= least


def test_a_short_run_and_one_without_a_time_reckon_with_a_slow_part():
    rng = np.random.default_rng(23)
    off_K = 25.0 * rng.normal(size=25_000)
    values_K = {"H": 310.0 + off_K, "O": np.full(25_000, 300.0)}
    (long,) = equipartition(values_K, 100.0)
    (short,) = equipartition(values_K, 1.0)
    (timeless,) = equipartition(values_K)
    assert (long.answer, short.answer, timeless.answer) == ("violated", "open", "open")
    # four standard deviations of a third of the variance
    assert short.limit_K == pytest.approx(4.0 * 25.0 / np.sqrt(3.0), rel=0.02)
    assert timeless.limit_K == short.limit_K
    values_K["H"] += 60.0
    assert equipartition(values_K)[0].answer == "violated"


def test_words_say_what_the_run_can_tell():
    def pair(value: float, error: float, limit_K: float, half_K: float) -> Equipartition:
        reason = "" if error > 0.0 else "why"
        return Equipartition(
            ("H", "O"), Mean(value, error, 100.0, 20.0, reason), limit_K, half_K, 300.0
        )

    holds, violated = pair(-0.5, 1.2, 5.0, 2.5), pair(-40.0, 4.5, 20.0, 9.5)
    open_, short = pair(-10.0, 4.5, 20.0, 9.5), pair(7.0, np.nan, 60.0, np.nan)
    assert holds.text == "-0.5 +- 1.2 K, 0.4 sigma: equipartition holds within 3 K"
    assert violated.text.endswith(
        "8.9 sigma: equipartition is violated (chance makes 20 K at most)"
    )
    assert open_.text == "-10.0 +- 4.5 K: open (the run can tell a violation beyond 20 K)"
    assert short.text == (
        "7 K (no error bar: why): open (the run can tell a violation beyond 60 K)"
    )
    assert [one.answer for one in (holds, violated, open_, short)] == [
        "holds",
        "violated",
        "open",
        "open",
    ]


def test_replicas_have_smaller_limits():
    one = Equipartition(("H", "O"), Mean(8.0, 2.0, 100.0, 20.0), 10.0, 5.0, 300.0)
    both = pooled([one, one], [1.0, 1.0], Mean(8.0, 1.4, 200.0, 40.0))
    assert (both.limit_K, both.half_width_K) == (
        pytest.approx(10.0 / np.sqrt(2.0)),
        pytest.approx(5.0 / np.sqrt(2.0)),
    )
    assert (one.answer, both.answer) == ("holds", "violated")
