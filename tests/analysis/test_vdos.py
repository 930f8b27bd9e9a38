"""c_vv: an oscillator's line, white noise, the integral that is the temperature."""

import math

import numpy as np
import pytest
from ipi.utils.tools import compute_acf_xyz
from scipy.integrate import trapezoid
from scipy.signal import freqz, lfilter

from ncforce_ipi.analysis.lagged import frames_per_block, velocity_autocorrelation
from ncforce_ipi.analysis.temperature import species_temperatures
from ncforce_ipi.analysis.vdos import (
    UNENDED,
    hydrogen_peaks,
    nyquist_per_cm,
    velocity_spectra,
)
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import (
    ATOMIC_TIME_FS,
    ATOMIC_VELOCITY_A_PER_FS,
    BOLTZMANN_EV_PER_K,
    PER_FS_PER_CM,
    U_A2_PER_FS2_EV,
)

STEP_FS = 4.0
SPECIES = np.array(["O", "H", "H"])
MASSES_U = np.array([15.999, 1.008, 1.008])
MASS_OF = {"H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999}


def oscillators(n_frames: int, wavenumber_per_cm: float, seed: int = 1) -> np.ndarray:
    """Independent harmonic oscillators at 300 K, (n_frames, 3, 3), A/fs."""
    rng = np.random.default_rng(seed)
    omega_per_fs = 2.0 * np.pi * wavenumber_per_cm / PER_FS_PER_CM
    amplitude = np.sqrt(2.0 * BOLTZMANN_EV_PER_K * 300.0 / (U_A2_PER_FS2_EV * MASSES_U))
    phase = rng.uniform(0.0, 2.0 * np.pi, size=(3, 3))
    time_fs = STEP_FS * np.arange(n_frames)
    return amplitude[:, None] * np.cos(omega_per_fs * time_fs[:, None, None] + phase)


def spectra(velocities, *, n_lags=250, block=500, step_fs=STEP_FS, species=SPECIES,
            masses_u=MASSES_U, **options):  # fmt: skip
    blocks = (velocities[i : i + block] for i in range(0, len(velocities), block))
    every = [(slice(None), blocks)]
    return velocity_spectra(
        every, species, masses_u, time_step_fs=step_fs, n_lags=n_lags, fixed_com=False, **options
    )


@pytest.mark.parametrize("wavenumber_per_cm", [1650.0, 3456.7])
def test_oscillator_has_its_peak_at_its_frequency(wavenumber_per_cm):
    spectrum = spectra(oscillators(4000, wavenumber_per_cm))
    name = "bend" if wavenumber_per_cm < 3000 else "stretch"
    # the line is 33 cm^-1 wide, symmetric, and its top is found on an axis of 4 cm^-1
    found = hydrogen_peaks(spectrum)[name].position
    assert found == pytest.approx(wavenumber_per_cm, abs=0.5)


def test_line_has_the_width_that_the_window_gives():
    spectrum = spectra(oscillators(4000, 2000.0))
    density, axis = spectrum.density["H"], spectrum.wavenumber_per_cm
    above = axis[density > 0.5 * density.max()]
    assert spectrum.resolution_per_cm == pytest.approx(PER_FS_PER_CM / 1000.0)
    # the axis' spacing at both sides
    assert np.ptp(above) == pytest.approx(spectrum.resolution_per_cm, abs=2 * axis[1])


def test_integral_is_the_temperature_of_the_frames():
    velocities = oscillators(2000, 1234.0) + 0.001 * np.random.default_rng(2).normal(
        size=(2000, 3, 3)
    )
    spectrum = spectra(velocities)
    temperatures = species_temperatures(velocities, SPECIES, MASSES_U, fixed_com=False)
    for symbol, density in spectrum.density.items():
        integral_K = trapezoid(density, spectrum.wavenumber_per_cm)
        # an identity of the discrete transform: only rounding
        assert integral_K == pytest.approx(temperatures[symbol].mean(), rel=1e-12)


def test_oscillator_integrates_to_its_temperature():
    velocities = oscillators(5000, 1000.0)
    spectrum = spectra(velocities)
    # the mean of cos^2 over 667 periods: 1/2 to a part in a few thousand
    integral_K = trapezoid(spectrum.density["O"], spectrum.wavenumber_per_cm)
    assert integral_K == pytest.approx(300.0, rel=2e-3)


def test_white_noise_is_flat():
    rng = np.random.default_rng(3)
    scale = np.sqrt(BOLTZMANN_EV_PER_K * 300.0 / (U_A2_PER_FS2_EV * MASSES_U))
    velocities = rng.normal(size=(50_000, 3, 3)) * scale[:, None]
    spectrum = spectra(velocities, n_lags=20, block=1000)
    level = 300.0 / spectrum.nyquist_per_cm
    for symbol, density in spectrum.density.items():
        # five errors of the block averages: about 80 independent points times two species
        assert np.all(np.abs(density - level) < 5.0 * spectrum.error[symbol])
        assert spectrum.error[symbol].max() < 0.1 * level


def test_autocorrelation_is_the_direct_sum():
    rng = np.random.default_rng(4)
    velocities, weights = rng.normal(size=(41, 5, 3)), rng.uniform(1.0, 2.0, size=5)
    direct = [
        np.einsum("fac,fac,a->", velocities[: 41 - k], velocities[k:], weights) / (41 - k)
        for k in range(41)
    ]
    found = velocity_autocorrelation(velocities, weights, 41)
    np.testing.assert_allclose(found, direct, atol=1e-12)  # rounding of the FFT


@pytest.mark.parametrize(("window", "width"), [("hann", 2.0), ("blackman", 2.35), ("none", 1.21)])
def test_windows_give_their_widths_and_keep_the_integral(window, width):
    """Widths at half height in units of 1 / (2 t_max): 6 dB widths of Harris, Proc. IEEE 66, 51."""
    velocities = oscillators(4000, 2000.0)
    spectrum = spectra(velocities, window=window, padding=16)
    density, axis = spectrum.density["H"], spectrum.wavenumber_per_cm
    above = np.ptp(axis[density > 0.5 * density.max()])
    assert above == pytest.approx(width * PER_FS_PER_CM / 2000.0, rel=0.05)
    assert spectrum.resolution_per_cm == pytest.approx(above, rel=0.05)
    temperatures = species_temperatures(velocities, SPECIES, MASSES_U, fixed_com=False)
    integral_K = trapezoid(density, axis)
    assert integral_K == pytest.approx(temperatures["H"].mean(), rel=1e-12)


def test_padding_makes_the_axis_finer_and_nothing_else():
    velocities = oscillators(1000, 2000.0)
    coarse, fine = (spectra(velocities, padding=n) for n in (1, 8))
    np.testing.assert_allclose(fine.density["H"][::8], coarse.density["H"], atol=1e-9)


def test_total_integrates_to_the_temperature_of_all():
    velocities = oscillators(2000, 1234.0)
    velocities[:, 0] *= 1.5  # another temperature of oxygen
    spectrum = spectra(velocities)
    temperatures = species_temperatures(velocities, SPECIES, MASSES_U, fixed_com=False)
    expected_K = (3 * temperatures["O"] + 6 * temperatures["H"]).mean() / 9
    integral_K = trapezoid(spectrum.total, spectrum.wavenumber_per_cm)
    assert integral_K == pytest.approx(expected_K, rel=1e-12)


def langevin(n_frames: int, tau_fs: float, seed: int = 5) -> np.ndarray:
    """Free particles at 300 K, (n_frames, 3, 3), A/fs."""
    rng = np.random.default_rng(seed)
    sigma = np.sqrt(BOLTZMANN_EV_PER_K * 300.0 / (U_A2_PER_FS2_EV * MASSES_U))[:, None]
    keep = np.exp(-STEP_FS / tau_fs)
    kicks = np.sqrt(1.0 - keep**2) * rng.normal(size=(n_frames + 500, 3, 3))
    return sigma * lfilter([1.0], [1.0, -keep], kicks, axis=0)[500:]


def test_free_langevin_particle_has_its_lorentzian():
    """S(nu) = 4 T tau / (1 + (2 pi nu tau)^2), folded at the Nyquist frequency."""
    tau_fs = 60.0
    spectrum = spectra(langevin(200_000, tau_fs), n_lags=400, block=5000)
    nu_per_fs = spectrum.wavenumber_per_cm / PER_FS_PER_CM
    images = nu_per_fs[:, None] + np.arange(-40, 41) / STEP_FS
    lorentzian = 4.0 * 300.0 * tau_fs / (1.0 + (2.0 * np.pi * images * tau_fs) ** 2)
    expected = lorentzian.sum(axis=1) / PER_FS_PER_CM
    for symbol, density in spectrum.density.items():
        # Hann's window over 27 memories takes 1 % off the top
        allowed = 5.0 * spectrum.error[symbol] + 0.015 * expected.max()
        assert np.all(np.abs(density - expected) < allowed)
        assert spectrum.error[symbol][0] < 0.1 * expected[0]


def write_atomic_units(path, velocities):
    """i-PI's xyz of velocities in atomic units with all digits, as i-pi-getacf wants it."""
    with path.open("w") as file:
        for step, frame in enumerate(velocities / ATOMIC_VELOCITY_A_PER_FS):
            file.write(f"{len(frame)}\n# CELL(abcABC): 9 9 9 90 90 90 Step: {step} Bead: 0 ")
            file.write("velocities{atomic_unit} cell{atomic_unit}\n")
            file.writelines(f"{s} {x:.17e} {y:.17e} {z:.17e}\n"
                            for s, (x, y, z) in zip(SPECIES, frame, strict=True))  # fmt: skip


def test_agrees_with_ipi_getacf_but_for_its_wrapping_around(tmp_path):
    """i-pi-getacf doesn't pad: its C(k) is ((n - k) C(k) + k C(n - k)) / n of a block of n frames.

    That goes for both; where the velocities have forgotten themselves after n - k frames it is
    a bias of -k/n C(k) and noise.  It also leaves out the frames after the last whole block,
    multiplies C with dt / 2 pi, and averages over atoms without masses.
    """
    n_lags, n = 100, 202
    velocities = langevin(1000, 60.0)
    write_atomic_units(tmp_path / "vel.xyz", velocities)
    _, theirs, _, omega, their_spectrum, _ = compute_acf_xyz(
        str(tmp_path / "vel.xyz"), n_lags, block_length=n, labels=["H"], timestep=STEP_FS,
        time_units="femtosecond", spectral_windowing="cosine-hanning",
    )  # fmt: skip
    hydrogen = velocities[:, SPECIES == "H"] / ATOMIC_VELOCITY_A_PER_FS
    lags = np.arange(n_lags + 1)
    wrapped = []
    for block in np.split(hydrogen[: 1000 // n * n], 1000 // n):
        ours = np.append(velocity_autocorrelation(block, np.ones(2) / 2, n), 0.0)
        wrapped.append(((n - lags) * ours[lags] + lags * ours[n - lags]) / n)
    step_atomic = STEP_FS / ATOMIC_TIME_FS
    expected = np.mean(wrapped, axis=0) * step_atomic / (2.0 * np.pi)
    np.testing.assert_allclose(theirs, expected, rtol=1e-7, atol=1e-9 * expected[0])
    # the same lags, windowed by Hann, make the same spectrum at their 2 n_lags frequencies
    window = np.cos(0.5 * np.pi * lags / n_lags) ** 2
    cosines = np.cos(np.pi * np.outer(np.arange(n_lags), lags) / n_lags)
    summed = 2.0 * cosines @ (expected * window) - expected[0]
    np.testing.assert_allclose(their_spectrum[:n_lags], summed, atol=1e-9 * summed.max())
    assert omega[1] == pytest.approx(2.0 * np.pi / (2 * n_lags * step_atomic), rel=1e-6)


def test_nyquist_frequencies_of_the_outer_steps():
    # STYLE's figures: 4169 cm^-1 at 4 fs, 2085 at 8 fs
    assert nyquist_per_cm(4.0) == pytest.approx(4169.5, abs=0.1)
    assert nyquist_per_cm(8.0) == pytest.approx(2084.8, abs=0.1)
    spectrum = spectra(oscillators(1000, 500.0))
    assert spectrum.nyquist_per_cm == pytest.approx(4169.5, abs=0.1)
    assert spectrum.frequency_THz[-1] == pytest.approx(125.0, rel=1e-12)  # 1 / (2 x 4 fs)


def test_spectrum_that_folds_the_stretch_says_so():
    assert not spectra(oscillators(1000, 500.0)).aliased
    folded = spectra(oscillators(1000, 500.0), step_fs=5.0)
    assert folded.aliased  # 3336 cm^-1 < 3900
    assert folded.warning == ("POSSIBLY ALIASED: stretches above it fold back (H-O to 3940 cm^-1)")
    assert math.isnan(hydrogen_peaks(folded)["stretch"].position)
    metal = spectra(oscillators(1000, 500.0), step_fs=5.0, species=np.array(["Al"] * 3))
    assert not metal.aliased
    assert hydrogen_peaks(metal) == {}


NOISY_PER_CM, DAMPING_FS = 60.0, 500.0
POLE = np.exp(-0.5 * STEP_FS / DAMPING_FS + 2j * np.pi * NOISY_PER_CM / PER_FS_PER_CM * STEP_FS)
FILTER = [1.0, -1.0], [1.0, -2.0 * POLE.real, abs(POLE) ** 2]


def driven(n_frames, every):
    """Damped oscillators that noise drives, 11 cm^-1 wide; each ``every``-th step of 4 fs."""
    noise = np.random.default_rng(3).normal(size=(n_frames * every, 9))
    return 1e-3 * lfilter(*FILTER, noise, axis=0)[::every].reshape(-1, 3, 3)


def share_at_nyquist(nyquist, resolution):
    """Exact for these: what the filter lets through, folded, over its highest."""

    def folded(nu):
        images = nu[:, None] + 2.0 * nyquist * np.arange(-200, 200)
        images = images[:, np.abs(images).max(axis=0) < PER_FS_PER_CM / (2.0 * STEP_FS)]
        return (abs(freqz(*FILTER, 2.0 * np.pi * images / PER_FS_PER_CM * STEP_FS)[1]) ** 2).sum(1)

    last = folded(np.linspace(nyquist - resolution, nyquist, 100))
    return last.mean() / folded(np.linspace(0.0, nyquist, 1000)).max()


@pytest.mark.parametrize(
    ("every", "goes_on"),
    [
        (20, False),  # a frame each 80 fs: to 208 cm^-1
        (50, True),  # to 83
        (100, True),  # to 42, within the band, which is seen at its mirror, 24
        (200, True),  # to 21
    ],
)
def test_spectrum_that_does_not_end_at_its_nyquist_frequency_says_so(every, goes_on):
    """Argon, which has no bond in the table."""
    found = spectra(
        driven(12_000, every), n_lags=100, block=1000, step_fs=STEP_FS * every,
        species=np.array(["Ar"] * 3), masses_u=np.full(3, 39.948),
    )  # fmt: skip
    assert found.folded == ()
    exact = share_at_nyquist(found.nyquist_per_cm, found.resolution_per_cm)
    assert (exact > UNENDED) == goes_on == found.aliased
    if not goes_on:
        assert found.warning == ""
        return
    # 12 blocks of 10 lags and 9 coordinates: 3 % of noise; the window lowers the top by as much
    assert found.unended["Ar"] == pytest.approx(exact, rel=0.15)
    share = f"{found.unended['Ar']:.0%}"
    said = f"ALIASED: spectra don't end there (Ar {share} of their highest), the rest folds back"
    assert found.warning == said


@pytest.mark.parametrize(
    ("symbols", "step_fs", "bands"),
    [
        ("CCC", 10.0, ()),  # Nyquist 1668 cm^-1
        ("CCC", 12.0, ("C-C",)),  # 1390
        ("COO", 10.0, ("C-O",)),
        ("NNN", 10.0, ("N-N",)),
        ("HHH", 4.0, ("H-H",)),
    ],
)
def test_bands_of_other_elements_fold_as_well(symbols, step_fs, bands):
    species = np.array(list(symbols))
    masses_u = np.array([MASS_OF[symbol] for symbol in symbols])
    found = spectra(oscillators(1000, 500.0), step_fs=step_fs, species=species, masses_u=masses_u)
    assert tuple(band.pair for band in found.folded) == bands


@pytest.mark.parametrize(
    ("n_frames", "n_lags", "block"),
    [(1000, 100, 200), (1050, 100, 210), (400, 100, 100), (399, 100, 133), (150, 100, 150)],
)
def test_blocks_are_two_lags_or_four_of_a_short_run(n_frames, n_lags, block):
    assert frames_per_block(n_frames, n_lags) == block


def test_four_short_blocks_have_an_error():
    n_lags = 100
    velocities = langevin(450, 20.0)
    found = spectra(velocities, n_lags=n_lags, block=frames_per_block(450, n_lags))
    assert found.n_blocks == 4
    assert np.isfinite(found.error["H"]).all()


def test_ripple_of_a_window_is_no_band():
    peaks = hydrogen_peaks(spectra(oscillators(1000, 3600.0), n_lags=50, block=100))
    assert math.isnan(peaks["bend"].position)
    assert peaks["stretch"].position == pytest.approx(3600.0, abs=20.0)  # a line of 167 cm^-1


def test_few_blocks_have_no_error_and_the_remainder_is_left_out():
    spectrum = spectra(oscillators(1200, 800.0))
    assert spectrum.n_blocks == 2
    assert np.isnan(spectrum.error["H"]).all()


def test_unknown_window_is_refused():
    with pytest.raises(InputError, match="window 'kaiser' with padding 4; expected one of hann"):
        spectra(oscillators(1000, 500.0), window="kaiser")
    with pytest.raises(InputError, match="with padding 0"):
        spectra(oscillators(1000, 500.0), padding=0)


def test_too_few_frames_are_refused():
    with pytest.raises(InputError, match="no block of 250 frames"):
        spectra(oscillators(100, 500.0))
