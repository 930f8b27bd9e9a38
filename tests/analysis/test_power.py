"""Non-conservative power: known slopes, with and without a potential energy."""

import numpy as np
import pytest

from ncforce_ipi.analysis.power import nonconservative_power
from ncforce_ipi.analysis.temperature import temperature

TIME_PS = 0.004 * np.arange(3000)
RNG = np.random.default_rng(1)
CONSERVED_MEV = -50.0 + 2.5 * TIME_PS + 0.1 * RNG.normal(size=3000)
POTENTIAL_MEV = 3.0 * RNG.normal(size=3000) + 0.7 * TIME_PS
TEMPERATURE_K = 300.0 + 5.0 * RNG.normal(size=3000)


def test_slope_of_the_conserved_quantity_in_both_units():
    power = nonconservative_power(TIME_PS, CONSERVED_MEV, TEMPERATURE_K, POTENTIAL_MEV)
    assert power.rate.slope == pytest.approx(2.5, abs=2 * power.rate.ci95)
    # 1 meV/ps = 1.602176634e-22 J / 1e-12 s
    assert power.watts.slope == pytest.approx(power.rate.slope * 1.602176634e-10, rel=1e-12)
    assert power.with_potential
    assert power.stationary


def test_potential_of_other_forces_is_left_out():
    power = nonconservative_power(
        TIME_PS, CONSERVED_MEV, TEMPERATURE_K, POTENTIAL_MEV, without_potential=True
    )
    assert not power.with_potential
    assert power.rate.slope == pytest.approx(2.5 - 0.7, abs=2 * power.rate.ci95)


def test_forces_without_an_energy_are_recognised():
    power = nonconservative_power(TIME_PS, CONSERVED_MEV, TEMPERATURE_K, np.zeros(3000))
    assert not power.with_potential
    assert power.rate.slope == pytest.approx(2.5, abs=2 * power.rate.ci95)


def test_heating_is_not_stationary():
    hotter = TEMPERATURE_K + 8.0 * TIME_PS
    assert not nonconservative_power(TIME_PS, CONSERVED_MEV, hotter).stationary


def test_a_trend_that_nobody_knows_is_not_stationary():
    wandering = 300.0 + np.cumsum(RNG.normal(size=3000))  # it remembers the whole series
    power = nonconservative_power(TIME_PS, CONSERVED_MEV, wandering)
    assert np.isnan(power.temperature.ci95)
    assert not power.stationary


def test_a_driven_thermostatted_particle():
    """Langevin particles in a force along their velocity, a v: power a <v^2> = heat taken out.

    The conserved quantity counts what the thermostat takes (minus what it gives); in a steady
    state its slope is the work done, a v^2 for each degree of freedom.
    """
    rng = np.random.default_rng(2)
    push, friction, step, n_atoms = 0.02, 0.1, 0.05, 500  # reduced units, k_B T = m = 1
    keep, noise = np.exp(-friction * step), np.sqrt(1.0 - np.exp(-2.0 * friction * step))
    velocities, thermostat = rng.normal(size=n_atoms), 0.0
    kinetic, conserved, work = [], [], 0.0
    for _ in range(6000):
        before = 0.5 * velocities @ velocities
        velocities = keep * velocities + noise * rng.normal(size=n_atoms)
        thermostat += before - 0.5 * velocities @ velocities
        before = 0.5 * velocities @ velocities
        velocities = velocities * np.exp(push * step)
        work += 0.5 * velocities @ velocities - before
        kinetic.append(0.5 * velocities @ velocities)
        conserved.append(kinetic[-1] + thermostat)
    settled = slice(1000, None)
    power = nonconservative_power(
        step * np.arange(5000.0),
        np.array(conserved)[settled] / n_atoms,
        temperature(np.array(kinetic)[settled], float(n_atoms)),
    )
    # the stationary variance is friction / (friction - push), 1.25 here
    assert power.rate.slope == pytest.approx(push * 1.25, rel=0.05)
    assert work / n_atoms / (6000 * step) == pytest.approx(power.rate.slope, rel=0.05)
