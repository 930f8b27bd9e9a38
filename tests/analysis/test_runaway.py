"""When a run's physics is gone: both too hot and heated by something that the energy shows."""

import numpy as np
import pytest

from ncforce_ipi.analysis.runaway import before_runaway, hottest, kinetic_meV
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

REFERENCE_K = 300.0
TIME_PS = 0.01 * np.arange(401)
RNG = np.random.default_rng(3)
NOISE_K = 18.0 * RNG.normal(size=len(TIME_PS))  # 6 %: 192 atoms
NOISE_MEV = 0.1 * RNG.normal(size=len(TIME_PS))
OSCILLATORS_MEV_PER_K = 3e3 * BOLTZMANN_EV_PER_K
"""As much potential as kinetic energy: what heats by 1 K takes 3 k_B an atom."""
EQUILIBRIUM_K = REFERENCE_K + NOISE_K
TWICE_K = EQUILIBRIUM_K + 300.0 * np.minimum(TIME_PS / 2.0, 1.0)
HEATED_K = EQUILIBRIUM_K + 600.0 * TIME_PS


def first_lost(temperature_K, conserved_meV):
    """Index of the first sample of the runaway; None without one."""
    calm = before_runaway(temperature_K, conserved_meV, REFERENCE_K)
    assert not np.any(np.diff(calm.astype(int)) > 0), "a runaway never comes back"
    return None if calm.all() else int(np.argmin(calm))


def spoilt(values, index):
    """The same with a NaN."""
    return np.where(np.arange(len(values)) == index, np.nan, values)


@pytest.mark.parametrize(
    ("temperature_K", "conserved_meV"),
    [
        pytest.param(EQUILIBRIUM_K, NOISE_MEV, id="equilibrated"),
        pytest.param(TWICE_K, NOISE_MEV, id="a start out of equilibrium: C is flat"),
        # the heat goes into the thermostat, whose energy C counts: 2 eV an atom of it
        pytest.param(EQUILIBRIUM_K, 500.0 * TIME_PS, id="thermostat with power"),
        pytest.param(EQUILIBRIUM_K, -500.0 * TIME_PS, id="thermostat with negative power"),
        pytest.param(EQUILIBRIUM_K, None, id="equilibrated, no conserved column"),
        pytest.param(EQUILIBRIUM_K, np.array([]), id="equilibrated, empty conserved column"),
    ],
)
def test_what_is_no_runaway(temperature_K, conserved_meV):
    assert first_lost(temperature_K, conserved_meV) is None


def test_heating_by_direct_forces_is_lost_where_it_passes_half_as_hot_again():
    conserved_meV = OSCILLATORS_MEV_PER_K * (HEATED_K - EQUILIBRIUM_K) + NOISE_MEV
    lost = first_lost(HEATED_K, conserved_meV)
    assert lost == int(np.argmax(HEATED_K > 450.0))  # C has moved by twice the limit long before
    # 150 K at 600 K/ps, less what noise of 18 K may do
    assert TIME_PS[lost] == pytest.approx(0.25, abs=0.08)


def test_a_loss_of_energy_counts_as_much_as_a_gain():
    conserved_meV = OSCILLATORS_MEV_PER_K * (HEATED_K - EQUILIBRIUM_K)
    assert first_lost(HEATED_K, -conserved_meV) == first_lost(HEATED_K, conserved_meV)


def test_an_explosion_is_lost_at_its_first_sample():
    bang = TIME_PS >= 1.5
    temperature_K = np.where(bang, 1e9, EQUILIBRIUM_K)
    assert first_lost(temperature_K, np.where(bang, 1e6, NOISE_MEV)) == 150


def test_without_a_conserved_quantity_heat_alone_decides():
    for conserved_meV in (None, np.array([])):
        assert first_lost(TWICE_K, conserved_meV) == int(np.argmax(TWICE_K > 450.0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("of", ["temperature", "conserved"])
def test_what_is_not_finite_is_lost(value, of):
    series = {"temperature": EQUILIBRIUM_K.copy(), "conserved": NOISE_MEV.copy()}
    series[of][7] = value
    assert first_lost(series["temperature"], series["conserved"]) == 7


def test_what_is_not_finite_is_lost_without_a_conserved_quantity_too():
    assert first_lost(spoilt(EQUILIBRIUM_K, 9), None) == 9


def test_both_limits_are_exact_and_belong_to_the_calm():
    """T = 1.5 T_ref and |C - C(0)| = 0.5 x 3/2 k_B T_ref aren't beyond; both must be."""
    moved_meV = 0.5 * kinetic_meV(REFERENCE_K)
    cases = {
        (450.0, 2.0 * moved_meV): True,
        (450.1, moved_meV): True,
        (450.1, 1.001 * moved_meV): False,
        (450.0, 1.001 * moved_meV): True,
    }
    for (kelvin, meV), calm in cases.items():
        found = before_runaway(np.array([300.0, kelvin]), np.array([0.0, meV]), REFERENCE_K)
        assert found.tolist() == [True, calm]


def test_the_conserved_quantity_is_measured_from_its_start():
    calm = before_runaway(HEATED_K, -7000.0 + NOISE_MEV, REFERENCE_K)
    assert calm.all()


def test_a_runaway_never_comes_back():
    conserved_meV = np.array([0.0, 0.0, 50.0, 0.0, 0.0])
    calm = before_runaway(np.array([300.0, 440.0, 460.0, 300.0, 300.0]), conserved_meV, 300.0)
    assert calm.tolist() == [True, True, False, False, False]


def test_kinetic_energy_of_an_atom():
    # 3/2 k_B x 300 K = 6.2129205e-21 J over the elementary charge
    assert kinetic_meV(300.0) == pytest.approx(6.2129205e-21 / 1.602176634e-19 * 1e3, rel=1e-9)


@pytest.mark.parametrize("dof", [3, 9, 45, 573])
def test_fluctuations_of_few_atoms_are_no_runaway(dof):
    """A canonical T without a conserved quantity; 1e4 samples, beyond the limit one in 2e5."""
    kelvin = 300.0 * np.random.default_rng(dof).chisquare(dof, size=10_000) / dof
    assert before_runaway(kelvin, None, 300.0, hottest(dof)).all()
    kelvin[-1] = 300.0 * 20.0
    assert not before_runaway(kelvin, None, 300.0, hottest(dof))[-1]
