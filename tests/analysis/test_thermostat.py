"""Efficiency of thermostats: closed forms for white noise, the published matrices, a simulation."""

import math

import numpy as np
import pytest
from scipy.linalg import expm

from ncforce_ipi.analysis.thermostat import (
    free_diffusion,
    harmonic_drift,
    sampling,
    slowed_diffusion,
)
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.ensembles import gle_matrix
from ncforce_ipi.units import PER_FS_PER_CM

GRID_PER_CM = np.array([0.5, 5.0, 50.0, 500.0, 4000.0])


@pytest.mark.parametrize("tau_fs", [10.0, 1000.0])
def test_white_noise_has_its_closed_form(tau_fs):
    """tau_V = 1/(2 gamma) + gamma/(2 omega^2), tau_H = 1/gamma + gamma/(4 omega^2).

    Source: Ceriotti, Bussi, Parrinello (2010).
    """
    found = sampling(np.array([[1.0 / tau_fs]]), GRID_PER_CM)
    omega, gamma = 2 * math.pi * GRID_PER_CM / PER_FS_PER_CM, 1.0 / tau_fs
    tau_v = 1 / (2 * gamma) + gamma / (2 * omega**2)
    tau_h = 1 / gamma + gamma / (4 * omega**2)
    assert found.potential == pytest.approx(1 / (omega * tau_v), rel=1e-8)
    assert found.total == pytest.approx(1 / (omega * tau_h), rel=1e-8)


def test_correlation_time_is_the_integral_of_the_squared_correlation():
    """A GLE at 100 cm^-1 against the integral over time, summed."""
    matrix, omega = gle_matrix("optimal"), 2 * math.pi * 100.0 / PER_FS_PER_CM
    drift = harmonic_drift(matrix, omega)
    step_fs = 0.25
    propagator = expm(-drift * step_fs)
    state, total = np.eye(len(drift))[0], 0.0
    for _ in range(40_000):
        nxt = propagator @ state
        total += 0.5 * step_fs * (state[0] ** 2 + nxt[0] ** 2)
        state = nxt
    assert abs(state[0]) < 1e-3  # what is left out is of its square
    expected = 1 / (omega * total)
    assert sampling(matrix, np.array([100.0])).potential[0] == pytest.approx(expected, rel=1e-4)


def test_optimal_sampling_is_flat_over_its_four_decades():
    """The point of the published matrix: no frequency of 0.4 to 4000 cm^-1 is badly sampled.

    White noise tuned to 40 cm^-1 has kappa 0.02 at both ends.
    """
    grid = np.geomspace(0.4, 4000.0, 60)
    found = sampling(gle_matrix("optimal"), grid).potential
    assert found.min() > 0.15
    tuned = 2 * math.pi * 40.0 / PER_FS_PER_CM
    assert sampling(np.array([[tuned]]), grid).potential.min() < 0.03


def test_smart_sampling_serves_the_slow_modes():
    """Near 1 / (10 ps) it is as good as tuned white noise, and never far off up to the stretch."""
    slowest = PER_FS_PER_CM / 1e4
    found = sampling(gle_matrix("smart"), np.array([slowest, 10 * slowest, 3300.0])).potential
    assert found[0] > 0.5
    assert found.min() > 0.01


def test_free_particle():
    """k_B T tau / m: 0.02585 eV over 18.015 u, 10 fs."""
    free = free_diffusion(np.array([[0.1]]), 18.015, 300.0)
    assert free == pytest.approx(0.0258520 / (18.015 * 103.6427) * 10.0 * 1e3, rel=1e-4)
    assert slowed_diffusion(0.23, free) == pytest.approx(1 / (1 / 0.23 + 1 / free))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((2, 3)), r"is square, got the shape \(2, 3\)"),
        (np.array([[-1.0]]), "expected none below 0"),
    ],
)
def test_refusals(matrix, message):
    with pytest.raises(InputError, match=message):
        sampling(matrix, GRID_PER_CM)
