"""Diffusion against definitions, walkers of known D, and Langevin particles."""

import numpy as np
import pytest
import tidynamics

from ncforce_ipi.analysis.diffusion import (
    Diffusion,
    einstein,
    finite_size_correction,
    from_spectrum,
)
from ncforce_ipi.analysis.displacement import displacements, squared_displacement
from ncforce_ipi.analysis.msdline import MOST_IN_SERIES, line_weights
from ncforce_ipi.analysis.statistics import mean_of
from ncforce_ipi.analysis.vdos import velocity_spectra
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV


def one_group(blocks):
    """All atoms followed together."""
    return [(slice(None), blocks)]


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
        one_group([np.split(positions, 4)]), np.array(["Al"] * n_atoms),
        time_step_fs=step_fs, n_lags=300, from_ps=0.0,
    )  # fmt: skip
    swing = 6.0 * 0.01 * (1.0 - np.cos(omega_per_fs * 1e3 * moved.lag_ps))
    # periods don't divide the run: sin(omega t) / (omega t) is 1e-3
    np.testing.assert_allclose(moved.squared_A2["Al"], swing, atol=0.01 * swing.max())
    # Hann's windows of 2.1 periods leave 2 % of a cosine of 0.06 A^2 in a slope over 0.3 ps
    assert abs(einstein(moved)["Al"].value) < 0.02 * 0.06 / 0.3 / 6.0


def swinging(n_frames, n_atoms, step_fs, period_fs, rms_A, seed):
    """Positions, A, and velocities, A/fs, of atoms on springs."""
    rng = np.random.default_rng(seed)
    omega = 2.0 * np.pi / period_fs
    phases = omega * step_fs * np.arange(n_frames)[:, None, None]
    phases = phases + rng.uniform(0.0, 2.0 * np.pi, size=(n_atoms, 3))
    amplitude = rms_A * np.sqrt(2.0)
    return amplitude * np.cos(phases), -amplitude * omega * np.sin(phases)


@pytest.mark.parametrize(
    ("rms_A", "free", "resolved"), [(0.1, 0.0, False), (0.2, 0.4, False), (0.02, 0.4, True)]
)
def test_slow_vibrations_about_a_place_are_no_diffusion(rms_A, free, resolved):
    """Periods of 0.9 ps, as a sheet of graphene has, lines from 1 to 2.5 ps, memories of 1 ps.

    With diffusion on top, A^2/ps, they count where they are a large part of what the atoms do.
    """
    step_fs, n_frames, n_atoms, mass_u = 16.0, 2500, 60, 12.0
    places, velocities = swinging(n_frames, n_atoms, step_fs, 900.0, rms_A, 3)
    tau_fs = 40.0
    sigma = np.sqrt(1e-3 * free / tau_fs)  # D = sigma^2 tau, A^2/fs
    moving = sigma * forgetful(n_frames, n_atoms, step_fs, tau_fs, np.random.default_rng(4))
    species, masses_u = np.array(["C"] * n_atoms), np.full(n_atoms, mass_u)
    moved = displacements(
        one_group([[places + step_fs * np.cumsum(moving, axis=0)]]), species,
        time_step_fs=step_fs, n_lags=156, from_ps=1.0,
    )  # fmt: skip
    spectrum = velocity_spectra(
        one_group(np.split(velocities + moving, 20)), species, masses_u,
        time_step_fs=step_fs, n_lags=62, fixed_com=False,
    )  # fmt: skip
    by_place = einstein(moved)["C"]
    by_velocity = from_spectrum(spectrum, species, masses_u, {"C": 3.0 * n_atoms})["C"]
    for found in (by_place, by_velocity):
        assert found.is_resolved == resolved
        off = abs(found.value - free) / found.error
        assert (off < 4.0) if resolved else (off > 5.0), "an error of statistics doesn't show it"


def wandering(n_frames, n_atoms, frame_ps, tau_ps, rms_A, seed):
    """Places in an overdamped cage: they forget within tau, and stay within rms."""
    rng, keep = np.random.default_rng(seed), np.exp(-frame_ps / tau_ps)
    places = np.empty((n_frames, n_atoms, 3))
    places[0] = rng.normal(size=(n_atoms, 3))
    for k in range(1, n_frames):
        places[k] = keep * places[k - 1] + np.sqrt(1 - keep**2) * rng.normal(size=(n_atoms, 3))
    return rms_A * places


@pytest.mark.parametrize(("tau_ps", "rms_A"), [(10.0, 0.5), (20.0, 0.8)])
def test_what_relaxes_slowly_is_no_diffusion(tau_ps, rms_A):
    """D = 0; a line from 1 to 5 ps has 0.02 to 0.03 A^2/ps, 30 of its errors and more."""
    places = wandering(2000, 64, 0.05, tau_ps, rms_A, 1)
    species = np.array(["H"] * 64)
    words = {"time_step_fs": 50.0, "n_lags": 101, "from_ps": 1.0}
    near = einstein(displacements(one_group([np.split(places, 8)]), species, **words))["H"]
    assert near.value > 30.0 * near.error
    moved = displacements(one_group([np.split(places, 8)]), species, **words, n_beyond=250)
    found = einstein(moved)["H"]
    assert found.value == pytest.approx(near.value, rel=1e-9)
    assert len(moved.lag_ps) == 101
    assert not found.is_resolved


def test_a_second_line_leaves_walkers_alone():
    resolved = 0
    for seed in range(60):
        moved = displacements(
            one_group([[walkers(0.1, 1000, 30, 100.0, seed)]]), np.array(["Ar"] * 30),
            time_step_fs=100.0, n_lags=51, from_ps=1.0, n_beyond=125,
        )  # fmt: skip
        resolved += einstein(moved)["Ar"].is_resolved
    assert resolved >= 58


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
    moved = displacements(
        one_group([np.split(positions, 8)]), species, time_step_fs=20.0, n_lags=50, from_ps=0.2
    )
    found = einstein(moved)
    for symbol, truth in (("H", 0.5), ("O", 0.1)):
        assert 0 < found[symbol].error < 0.1 * truth
        assert found[symbol].value == pytest.approx(truth, abs=4 * found[symbol].error)


def test_all_origins_of_a_run_count_whatever_the_blocks():
    positions, species = walkers(0.5, 300, 5, 20.0, 4), np.array(["H", "H", "O", "O", "O"])
    whole = squared_displacement(positions[:, :2], 40)
    every = []
    for cuts in ([], [150], [39, 41, 299], list(range(7, 300, 7))):
        moved = displacements(
            one_group([np.split(positions, cuts)]),
            species,
            time_step_fs=20.0,
            n_lags=40,
            from_ps=0.2,
        )
        np.testing.assert_allclose(moved.squared_A2["H"], whole, rtol=1e-9, atol=1e-12)
        assert moved.weights.sum(axis=0)[39] == 300 - 39
        every.append(moved)
    for moved in every:  # of the same series whatever the blocks, from the first with all lags on
        np.testing.assert_allclose(moved.slopes["O"][0], every[0].slopes["O"][0], rtol=1e-9)
        assert len(moved.slopes["O"][0]) == 300 - 39
    lags, weights = line_weights(40, 0.02, 0.2, MOST_IN_SERIES)
    series = [
        weights
        @ [np.mean(np.sum((positions[t, 2:] - positions[t - k, 2:]) ** 2, -1)) for k in lags]
        for t in (39, 120, 299)
    ]
    np.testing.assert_allclose(every[0].slopes["O"][0][[0, 81, 260]], series, rtol=1e-9)


def test_replicas_are_averaged_over_their_pairs():
    runs = [walkers(0.5, n_frames, 5, 20.0, seed) for seed, n_frames in ((1, 300), (2, 100))]
    species = np.array(["H"] * 5)
    moved = displacements(
        one_group([[run] for run in runs]), species, time_step_fs=20.0, n_lags=40, from_ps=0.2
    )
    one, other = (squared_displacement(run, 40)[39] for run in runs)
    expected = (261 * one + 61 * other) / 322
    assert moved.squared_A2["H"][39] == pytest.approx(expected, rel=1e-9)


def test_weights_of_the_line():
    """They take out an offset and give D of a line, whatever the lags."""
    for n_lags, from_ps in ((51, 1.0), (9, 0.1), (400, 0.35)):
        lags, weights = line_weights(n_lags, 0.1, from_ps)
        assert lags[0] == round(10 * from_ps + 1e-9) or lags[0] == np.ceil(10 * from_ps)
        assert lags[-1] == n_lags - 1
        assert weights.sum() == pytest.approx(0.0, abs=1e-9)
        assert weights @ (7.0 + 6.0 * 0.25 * 0.1 * lags) == pytest.approx(0.25, rel=1e-6)


def test_intervals_of_walkers_hold_the_truth():
    """95 % intervals of 120 runs; 10 or fewer miss with a probability of 0.94, 14 of 0.999."""
    missed, unresolved, errors, values = 0, 0, [], []
    for seed in range(120):
        moved = displacements(
            one_group([[walkers(0.1, 600, 8, 100.0, seed)]]), np.array(["Ar"] * 8),
            time_step_fs=100.0, n_lags=31, from_ps=0.5,
        )  # fmt: skip
        found, series = einstein(moved)["Ar"], mean_of(moved.slopes["Ar"][0])
        missed += abs(found.value - 0.1) > series.half_width(0.95)
        unresolved += not found.is_resolved
        errors.append(found.error)
        values.append(found.value)
    assert missed <= 14
    assert unresolved <= 2, "a straight line is taken for one"
    # of 120 runs the standard deviation is known to 6.5 %; 4 of these, and a tenth for runs of
    # about 25 memories, whose errors are made wider; some of these have none
    assert np.nanmean(errors) == pytest.approx(np.std(values), rel=0.36)
    assert np.mean(np.isnan(errors)) < 0.2
    assert np.mean(values) == pytest.approx(0.1, abs=4 * np.std(values) / np.sqrt(120))


@pytest.mark.parametrize(("n_frames", "enough"), [(150, False), (4000, True)])
def test_short_runs_have_no_error(n_frames, enough):
    positions, species = walkers(0.5, n_frames, 5, 20.0, 4), np.array(["H"] * 5)
    moved = displacements(
        one_group([[positions]]), species, time_step_fs=20.0, n_lags=50, from_ps=0.2
    )
    found = einstein(moved)["H"]
    assert np.isfinite(found.error) == enough
    assert ("shorter than about 25 correlation times" in found.text()) != enough


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
    moved = displacements(
        one_group([np.split(positions, 8)]), species, time_step_fs=step_fs, n_lags=400, from_ps=1.0
    )
    by_place = einstein(moved)["Ar"]
    assert by_place.value == pytest.approx(truth, abs=4 * by_place.error)
    assert by_place.error < 0.1 * truth
    spectrum = velocity_spectra(
        one_group(np.split(velocities, 8)), species, masses_u,
        time_step_fs=step_fs, n_lags=400, fixed_com=False,
    )  # fmt: skip
    by_velocity = from_spectrum(spectrum, species, masses_u, {"Ar": 3.0 * n_atoms})["Ar"]
    assert by_velocity.value == pytest.approx(truth, abs=4 * by_velocity.error)
    assert by_velocity.error < 0.1 * truth


def caged(n_frames, n_atoms, step_fs, rng):
    """Velocities of a spring in a viscous bath, k = m w^2, made exactly: an atom in a cage."""
    omega, friction = 2.0 * np.pi / 800.0, 1.0 / 60.0  # 1/fs; forgets within 0.5 ps
    drift = np.array([[0.0, 1.0], [-(omega**2), -friction]])
    values, vectors = np.linalg.eig(drift)
    propagator = ((vectors * np.exp(values * step_fs)) @ np.linalg.inv(vectors)).real
    stationary = np.diag([1.0 / omega**2, 1.0])  # <v^2> = 1
    noise = np.linalg.cholesky(stationary - propagator @ stationary @ propagator.T)
    state = np.linalg.cholesky(stationary) @ rng.normal(size=(2, n_atoms * 3))
    velocities = np.empty((n_frames, n_atoms * 3))
    for k in range(n_frames):
        velocities[k] = state[1]
        state = propagator @ state + noise @ rng.normal(size=state.shape)
    return velocities.reshape(n_frames, n_atoms, 3)


def test_the_back_scattering_of_a_cage_counts_in_full():
    """An atom on a spring goes nowhere, D = 0; with slow free motion on top D is that of it."""
    step_fs, n_frames, n_atoms, tau_fs, share = 4.0, 12000, 60, 60.0, 0.3
    rng = np.random.default_rng(11)
    keep = np.exp(-step_fs / tau_fs)
    free = np.empty((n_frames, n_atoms, 3))
    free[0] = rng.normal(size=(n_atoms, 3))
    for k in range(1, n_frames):
        free[k] = keep * free[k - 1] + np.sqrt(1 - keep**2) * rng.normal(size=(n_atoms, 3))
    mass_u = 18.0
    sigma = np.sqrt(BOLTZMANN_EV_PER_K * 300.0 / (mass_u * U_A2_PER_FS2_EV))
    velocities = sigma * (
        np.sqrt(1 - share) * caged(n_frames, n_atoms, step_fs, rng) + np.sqrt(share) * free
    )
    truth = 1e3 * share * sigma**2 * step_fs * (0.5 + keep / (1 - keep))
    species, masses_u = np.array(["O"] * n_atoms), np.full(n_atoms, mass_u)
    spectrum = velocity_spectra(
        one_group(np.split(velocities, 24)), species, masses_u,
        time_step_fs=step_fs, n_lags=250, fixed_com=False,
    )  # fmt: skip
    found = from_spectrum(spectrum, species, masses_u, {"O": 3.0 * n_atoms})["O"]
    assert found.error < 0.05 * truth
    assert found.value == pytest.approx(truth, abs=4 * found.error)
    by_hann = found.value * spectrum.density["O"][0] / spectrum.at_rest["O"].density
    assert by_hann > truth + 10 * found.error, "which the spectrum's own window doesn't give"


def test_intervals_by_velocities_hold_the_truth():
    """Short runs of 10 atoms in cages that move on slowly, 9.6 ps each."""
    step_fs, n_atoms, share, n_runs = 4.0, 10, 0.5, 80
    rng, off, errors = np.random.default_rng(8), [], []
    species, masses_u = np.array(["O"] * n_atoms), np.full(n_atoms, 18.0)
    for _ in range(n_runs):
        free = forgetful(2400, n_atoms, step_fs, 60.0, rng)
        velocities = np.sqrt(1 - share) * caged(2400, n_atoms, step_fs, rng) + np.sqrt(share) * free
        spectrum = velocity_spectra(
            one_group(np.split(velocities, 8)), species, masses_u,
            time_step_fs=step_fs, n_lags=250, fixed_com=False,
        )  # fmt: skip
        one = from_spectrum(spectrum, species, masses_u, {"O": 3.0 * n_atoms})["O"]
        keep = np.exp(-step_fs / 60.0)
        off.append(one.value - 1e3 * share * step_fs * (0.5 + keep / (1 - keep)))
        errors.append(one.error)
    assert np.isfinite(errors).all()
    # of 80 runs the scatter is known to 8 %
    assert np.mean(errors) == pytest.approx(np.std(off), rel=0.3)
    # a few, as 12 of 80 would with probability 5e-4, are beyond two errors
    assert np.sum(np.abs(off) > 2.0 * np.array(errors)) < 12
    assert np.std(errors) < 0.35 * np.mean(errors), "which errors from a few blocks aren't"


def forgetful(n_frames, n_atoms, step_fs, tau_fs, rng):
    """Velocities of one Langevin particle each, exactly, <v^2> = 1 a component."""
    keep = np.exp(-step_fs / tau_fs)
    found = np.empty((n_frames, n_atoms, 3))
    found[0] = rng.normal(size=(n_atoms, 3))
    for k in range(1, n_frames):
        found[k] = keep * found[k - 1] + np.sqrt(1 - keep**2) * rng.normal(size=(n_atoms, 3))
    return found


@pytest.mark.parametrize(("tau_fs", "resolved"), [(20.0, True), (1.0, False), (0.5, False)])
def test_motion_faster_than_the_frames(tau_fs, resolved):
    """D is k_B T tau / m, however short tau is, and the sum over frames of 4 fs is 2 fs at least.

    What is too much is a third of the spectrum at Nyquist, h / 6 tanh(h / 2 tau) k_B T / m, as long
    as frames see the decay, and three times that for noise.
    """
    step_fs, n_frames, n_atoms = 4.0, 12000, 40
    sigma = np.sqrt(BOLTZMANN_EV_PER_K * 300.0 / (1.008 * U_A2_PER_FS2_EV))
    velocities = sigma * forgetful(n_frames, n_atoms, step_fs, tau_fs, np.random.default_rng(5))
    species, masses_u = np.array(["H"] * n_atoms), np.full(n_atoms, 1.008)
    spectrum = velocity_spectra(
        one_group(np.split(velocities, 20)), species, masses_u,
        time_step_fs=step_fs, n_lags=300, fixed_com=False,
    )  # fmt: skip
    one = from_spectrum(spectrum, species, masses_u, {"H": 3.0 * n_atoms})["H"]
    half = 1e3 * sigma**2 * step_fs / 2
    assert one.value == pytest.approx(half / np.tanh(step_fs / 2 / tau_fs), abs=4 * one.error)
    assert one.excess == pytest.approx(half / 3 * np.tanh(step_fs / 2 / tau_fs), rel=0.05)
    beyond = one.value - 1e3 * sigma**2 * tau_fs
    assert one.excess - 4 * one.error < beyond < 3 * one.excess + 4 * one.error
    assert one.is_resolved == resolved


@pytest.mark.parametrize(
    ("value", "error", "resolved"),
    [(1.0, 0.01, False), (1.6, 0.01, True), (1.0, 0.08, True), (1.0, np.nan, False),
     (1.6, np.nan, True), (-1.0, 0.01, False)],
)  # fmt: skip
def test_an_excess_counts_beside_the_error_and_the_value(value, error, resolved):
    assert Diffusion(value, error, excess=0.15).is_resolved == resolved


def test_finite_size_of_water():
    """64 H2O, L = 12.42 A, 0.9 mPa s: 0.56e-5 cm^2/s, a quarter of water's D."""
    k_B_T_J, eta, box_m = 1.380649e-23 * 300.0, 0.9e-3, 12.42e-10
    expected_m2_per_s = 2.837297 * k_B_T_J / (6 * np.pi * eta * box_m)
    found = finite_size_correction(300.0, 12.42, 0.9)
    assert found == pytest.approx(expected_m2_per_s * 1e20 * 1e-12, rel=1e-9)
    assert found == pytest.approx(0.0558, rel=0.01)


def still(n_frames, n_lags, from_ps=0.0):
    return displacements(
        one_group([[np.zeros((n_frames, 1, 3))]]), np.array(["H"]),
        time_step_fs=1.0, n_lags=n_lags, from_ps=from_ps,
    )  # fmt: skip


def test_what_stays_has_no_diffusion_and_no_error():
    found = einstein(still(100, n_lags=10))["H"]
    assert (found.value, found.error) == (0.0, 0.0)
    assert found.text("A^2/ps") == "0 A^2/ps (constant)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: finite_size_correction(300.0, 0.0, 1.0), "box must be positive, got 0"),
        (lambda: finite_size_correction(300.0, 10.0, -1.0), "viscosity must be positive"),
        (lambda: still(5, n_lags=10), "no run of 10 frames of positions"),
        (lambda: still(0, n_lags=10), "no run of 10 frames of positions"),
        (
            lambda: still(9, n_lags=9, from_ps=1.0),
            "lags end at 0.008 ps; expected two or more from 1 ps on",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()
