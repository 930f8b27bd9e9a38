"""Diffusion against definitions, walkers of known D, and Langevin particles."""

import numpy as np
import pytest
import tidynamics

from ncforce_ipi.analysis.diffusion import (
    Diffusion,
    displacements,
    einstein,
    finite_size_correction,
    from_spectrum,
    squared_displacement,
)
from ncforce_ipi.analysis.vdos import velocity_spectra
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV


def test_squared_displacement_is_its_definition():
    positions = np.random.default_rng(0).normal(size=(40, 5, 3)).cumsum(axis=0) + 1e3
    expected = [
        np.mean(np.sum((positions[k:] - positions[: 40 - k]) ** 2, axis=-1)) for k in range(20)
    ]
    found = squared_displacement(positions, 20)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_squared_displacement_equals_tidynamics():
    positions = np.random.default_rng(5).normal(size=(200, 4, 3)).cumsum(axis=0)
    theirs = np.mean([tidynamics.msd(positions[:, atom]) for atom in range(4)], axis=0)
    # both by FFT; the last lag has a single pair
    np.testing.assert_allclose(squared_displacement(positions, 200), theirs, rtol=1e-9, atol=1e-9)


def test_crystal_of_oscillators_swings_and_does_not_diffuse():
    """6 <u^2> (1 - cos(omega t)) for each: <u^2> = k_B T / (m omega^2) along an axis."""
    rng = np.random.default_rng(6)
    omega_per_fs, step_fs, n_frames, n_atoms = 0.02, 10.0, 4000, 40
    time_fs = step_fs * np.arange(n_frames)[:, None, None]
    phases = rng.uniform(0.0, 2.0 * np.pi, size=(n_atoms, 3))
    positions = 0.1 * np.sqrt(2.0) * np.cos(omega_per_fs * time_fs + phases)  # <u^2> = 0.01 A^2
    positions += 5.0 * np.arange(n_atoms)[:, None]
    moved = displacements(
        np.split(positions, 4), np.array(["Al"] * n_atoms), time_step_fs=step_fs, n_lags=300
    )
    swing = 6.0 * 0.01 * (1.0 - np.cos(omega_per_fs * 1e3 * moved.lag_ps))
    # periods don't divide the blocks: sin(omega t_block) / (omega t_block) is 5e-3
    np.testing.assert_allclose(moved.squared_A2["Al"], swing, atol=0.01 * swing.max())
    assert abs(einstein(moved, 0.0)["Al"].value) < 1e-3


def test_ratio_of_two_coefficients_has_both_errors():
    ratio = Diffusion(0.05, 0.005).over(Diffusion(0.25, 0.0125))
    assert ratio.value == pytest.approx(0.2)
    assert ratio.error == pytest.approx(0.2 * np.hypot(0.1, 0.05))


def walkers(diffusion, n_frames, n_atoms, time_step_fs, seed):
    """Brownian steps: <x^2> = 2 D t along each axis."""
    sigma = np.sqrt(2 * diffusion * 1e-3 * time_step_fs)
    steps = np.random.default_rng(seed).normal(scale=sigma, size=(n_frames, n_atoms, 3))
    return steps.cumsum(axis=0)


def test_walkers_have_their_diffusion_coefficient():
    fast, slow = walkers(0.5, 4000, 40, 20.0, 1), walkers(0.1, 4000, 20, 20.0, 2)
    positions = np.concatenate([fast, slow], axis=1)
    species = np.array(["H"] * 40 + ["O"] * 20)
    found = einstein(
        displacements(np.split(positions, 8), species, time_step_fs=20.0, n_lags=50), 0.2
    )
    for symbol, truth in (("H", 0.5), ("O", 0.1)):
        assert 0 < found[symbol].error < 0.1 * truth
        assert found[symbol].value == pytest.approx(truth, abs=4 * found[symbol].error)


def test_fewer_than_four_blocks_have_no_error():
    positions, species = walkers(0.5, 600, 5, 20.0, 4), np.array(["H"] * 5)
    for n_blocks in (3, 4):
        moved = displacements(
            np.array_split(positions, n_blocks), species, time_step_fs=20.0, n_lags=50
        )
        assert np.isfinite(einstein(moved, 0.2)["H"].error) == (n_blocks == 4)


def test_langevin_particles_by_both_ways():
    """D = k_B T tau / m from displacements and from the velocities' spectrum at zero."""
    mass_u, tau_fs, step_fs, n_frames, n_atoms = 20.0, 100.0, 5.0, 8000, 100
    rng = np.random.default_rng(3)
    sigma = np.sqrt(BOLTZMANN_EV_PER_K * 300.0 / (mass_u * U_A2_PER_FS2_EV))
    keep = np.exp(-step_fs / tau_fs)
    velocities = np.empty((n_frames, n_atoms, 3))
    velocities[0] = sigma * rng.normal(size=(n_atoms, 3))
    for k in range(1, n_frames):
        kick = sigma * np.sqrt(1 - keep**2) * rng.normal(size=(n_atoms, 3))
        velocities[k] = keep * velocities[k - 1] + kick
    positions = step_fs * np.cumsum(velocities, axis=0)
    truth = 1e3 * sigma**2 * step_fs * (0.5 + keep / (1 - keep))  # of these discrete steps
    assert truth == pytest.approx(1e3 * sigma**2 * tau_fs, rel=1e-3)  # k_B T tau / m
    species, masses_u = np.array(["Ar"] * n_atoms), np.full(n_atoms, mass_u)
    moved = displacements(np.split(positions, 8), species, time_step_fs=step_fs, n_lags=400)
    by_place = einstein(moved, 1.0)["Ar"]
    assert by_place.value == pytest.approx(truth, abs=4 * by_place.error)
    assert by_place.error < 0.1 * truth
    spectrum = velocity_spectra(
        np.split(velocities, 8), species, masses_u,
        time_step_fs=step_fs, n_lags=400, fixed_com=False,
    )  # fmt: skip
    by_velocity = from_spectrum(spectrum, species, masses_u, {"Ar": 3.0 * n_atoms})["Ar"]
    # Hann's window over 20 memories takes 1 % off
    assert by_velocity.value == pytest.approx(truth, abs=4 * by_velocity.error + 0.01 * truth)
    assert by_velocity.error < 0.1 * truth


def test_finite_size_of_water():
    """64 H2O, L = 12.42 A, 0.9 mPa s: 0.56e-5 cm^2/s, a quarter of water's D."""
    k_B_T_J, eta, box_m = 1.380649e-23 * 300.0, 0.9e-3, 12.42e-10
    expected_m2_per_s = 2.837297 * k_B_T_J / (6 * np.pi * eta * box_m)
    found = finite_size_correction(300.0, 12.42, 0.9)
    assert found == pytest.approx(expected_m2_per_s * 1e20 * 1e-12, rel=1e-9)
    assert found == pytest.approx(0.0558, rel=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: finite_size_correction(300.0, 0.0, 1.0), "box must be positive, got 0"),
        (lambda: finite_size_correction(300.0, 10.0, -1.0), "viscosity must be positive"),
        (
            lambda: displacements(
                [np.zeros((5, 1, 3))], np.array(["H"]), time_step_fs=1.0, n_lags=10
            ),
            "no block of 10 frames of positions",
        ),
        (
            lambda: einstein(
                displacements([np.zeros((9, 1, 3))], np.array(["H"]), time_step_fs=1.0, n_lags=9),
                1.0,
            ),
            "lags end at 0.008 ps; expected two or more from 1 ps on",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()
