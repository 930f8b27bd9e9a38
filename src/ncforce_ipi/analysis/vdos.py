"""Velocity spectrum c_vv(omega) of each species, streamed over blocks of frames.

Owns the autocorrelation of velocities, its window and its normalisation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.bands import Band, bands_above
from ncforce_ipi.analysis.lagged import FEWEST_BLOCKS, gather
from ncforce_ipi.analysis.peaks import NO_PEAK, Peak, highest_peak
from ncforce_ipi.analysis.plateau import Plateau, plateaus
from ncforce_ipi.analysis.statistics import FEWEST_REPLICAS, block_error, error_over_runs
from ncforce_ipi.analysis.temperature import degrees_of_freedom
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, PER_FS_PER_CM, PER_FS_THZ, U_A2_PER_FS2_EV

HIGHEST_X_H_PER_CM = 3900.0
"""Where stretches of hydrogen end in molecules and liquids, but for HF and H2."""
STRETCH_PER_CM = (3000.0, 4200.0)
BEND_PER_CM = (1400.0, 1900.0)
UNENDED = 0.1
"""Of a species' highest density: with more at the Nyquist frequency its spectrum goes on above."""
LOWEST_PEAK = 0.02
"""A maximum below this share of the whole spectrum's is a ripple of the window, not a band."""
MOST_NAMED = 3
DEFAULT_WINDOW, DEFAULT_PADDING = "hann", 4
WINDOWS = {"hann": 1.0, "blackman": 1.175, "none": 0.605}
"""Windows of the correlation function, and the width at half height, in units of 1 / longest lag,
that each gives to a sharp line; ``none`` has ripples of a fifth of the line, below zero too."""


@dataclass(frozen=True)
class Spectrum:
    """One-sided velocity spectra; the integral of each gives the species' temperature.

    Attributes
    ----------
    wavenumber_per_cm : ``(n_frequencies,)``, 1/cm, from 0 to the Nyquist frequency
    density : ``(n_frequencies,)``, K cm (K per 1/cm), for each species
    error : ``(n_frequencies,)``, K cm, one standard error; NaN with fewer than 4 blocks
    total, total_error : ``(n_frequencies,)``, K cm, of all atoms: the mass-weighted density of
        states, the species' spectra in the ratio of their degrees of freedom
    resolution_per_cm : width at half height, 1/cm, that the window gives to a sharp line
    n_blocks : independent blocks of frames averaged
    at_rest : at zero frequency for each species, of the running integral: diffusion; empty where it
        wasn't wanted
    folded : bands that these species may have above the Nyquist frequency, the highest first
    """

    wavenumber_per_cm: NDArray[np.float64]
    density: dict[str, NDArray[np.float64]]
    error: dict[str, NDArray[np.float64]]
    total: NDArray[np.float64]
    total_error: NDArray[np.float64]
    resolution_per_cm: float
    n_blocks: int
    at_rest: dict[str, Plateau]
    folded: tuple[Band, ...]

    @property
    def nyquist_per_cm(self) -> float:
        """Highest frequency that the frames can show, 1/cm."""
        return float(self.wavenumber_per_cm[-1])

    @property
    def unended(self) -> dict[str, float]:
        """Density at the Nyquist frequency, of the highest, of species where it isn't small.

        What is faster is seen below.  A sharp line from above isn't known by this (`folded`).
        """
        last = self.wavenumber_per_cm >= self.nyquist_per_cm - self.resolution_per_cm
        shares = {name: float(one[last].mean() / one.max()) for name, one in self.density.items()
                  if one.max() > 0.0}  # fmt: skip
        return {name: share for name, share in shares.items() if share > UNENDED}

    @property
    def aliased(self) -> bool:
        """Whether something of these species may lie above and be seen where it isn't."""
        return bool(self.folded or self.unended)

    @property
    def warning(self) -> str:
        """What to say of that; empty where there is nothing to say."""
        named = ", ".join(f"{b.pair} to {b.highest_per_cm:.0f}" for b in self.folded[:MOST_NAMED])
        more = ", ..." if len(self.folded) > MOST_NAMED else ""
        words = f"POSSIBLY ALIASED: stretches above it fold back ({named}{more} cm^-1)"
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.unended.items())
        ends = f"ALIASED: spectra don't end there ({shares} of their highest), the rest folds back"
        return "; ".join([words] * bool(self.folded) + [ends] * bool(shares))

    def folded_onto(self, wavenumber_per_cm: float) -> list[Band]:
        """Bands that may be seen at a wavenumber where they aren't."""
        nyquist = self.nyquist_per_cm
        return [band for band in self.folded if band.folds_onto(wavenumber_per_cm, nyquist)]

    @property
    def frequency_THz(self) -> NDArray[np.float64]:
        """The same axis, ``(n_frequencies,)``, as a frequency nu = omega/2pi in THz."""
        return self.wavenumber_per_cm / PER_FS_PER_CM * PER_FS_THZ


def nyquist_per_cm(time_step_fs: float) -> float:
    """1 / (2 dt) as a wavenumber, 1/cm; ``time_step_fs`` is the time between frames."""
    return PER_FS_PER_CM / (2.0 * time_step_fs)


def velocity_spectra(
    groups: Iterable[tuple[slice, Iterable[NDArray[np.float64]]]],
    species: NDArray[np.str_],
    masses_u: NDArray[np.float64],
    *,
    time_step_fs: float,
    n_lags: int,
    fixed_com: bool = True,
    dof: Mapping[str, float] | None = None,
    window: str = DEFAULT_WINDOW,
    padding: int = DEFAULT_PADDING,
    at_rest: bool = True,
    blocks_of_runs: Sequence[int] = (),
) -> Spectrum:
    """c_vv(nu) of each species, normalised to its temperature.

    S_s(nu) = 2 / (k_B dof_s) integral dt w(t) cos(2 pi nu t) sum_{i in s} m_i <v_i(0) . v_i(t)>
    over -t_max < t < t_max, t_max = n_lags dt, with Hann's window w(t) = cos^2(pi t / (2 t_max)),
    Blackman's 0.42 + 0.5 cos(pi t / t_max) + 0.08 cos(2 pi t / t_max), or none.
    w(0) = 1, so the trapezoidal sum over the axis, from 0 to Nyquist, is exactly
    T_s = 2 <K_s> / (k_B dof_s) of the frames used, for any window.  At zero frequency it is
    12 N_s m_s D_s / (k_B dof_s) with the diffusion coefficient D_s, where the window is 1 as long
    as the velocities remember.  Hann's isn't: ``at_rest`` has a window of its own (`plateau`).
    Hann's window gives a line the width 1 / t_max at half height; zeros appended to the correlation
    function make the axis finer (not the resolution).
    Frequencies above Nyquist fold back: ``folded`` says where bands known for these species do.

    Parameters
    ----------
    groups : of atoms that are followed together: which of them, and their velocities in blocks
        ``(n_frames, n_group, 3)``, A/fs, each of at least ``n_lags`` frames; all groups have the
        same frames, and the result is that of all atoms in one
    species : ``(n_atoms,)``, element symbols
    masses_u : ``(n_atoms,)``, u
    time_step_fs : fs, between frames
    n_lags : lags of the correlation function, at least 2
    fixed_com : as in `temperature.degrees_of_freedom`
    dof : degrees of freedom of each species, where that isn't all
    window : hann, blackman or none
    padding : how many times longer zeros make the correlation function, at least
    at_rest : whether the density at zero frequency is wanted with its error, for diffusion
    blocks_of_runs : how many of the blocks are of each run (`lagged.n_blocks_of`), all of one
        where it isn't said; blocks of a run follow each other.  The error is from the
        spread of four runs or more

    Raises
    ------
    InputError
        No block of ``n_lags`` frames, or no such window or padding.
    """
    if window not in WINDOWS or padding < 1:
        raise InputError(
            f"c_vv: window {window!r} with padding {padding}; expected one of {', '.join(WINDOWS)} "
            "and 1 or more"
        )
    symbols = [str(symbol) for symbol in np.unique(species)]
    weights = np.array([masses_u * (species == symbol) for symbol in symbols])
    found = gather(groups, weights, n_lags, blocks_of_runs, with_series=at_rest)
    n_frames = np.array(found.n_frames)
    if not n_frames.size or n_lags < 2:
        raise InputError(
            f"c_vv: no block of {max(n_lags, 2)} frames of velocities; run longer, "
            "or write velocities more often"
        )
    if dof is None:
        dof = {s: degrees_of_freedom(masses_u, species == s, fixed_com=fixed_com) for s in symbols}
    dofs = np.array([dof[symbol] for symbol in symbols])
    kelvin = U_A2_PER_FS2_EV / (BOLTZMANN_EV_PER_K * dofs)
    correlations = found.correlations * kelvin[:, None]
    lags = correlations * _window(window, n_lags)
    spectra = _cosine_transform(lags, time_step_fs, padding)  # (block, species, frequency)
    total = np.tensordot(dofs / dofs.sum(), spectra, axes=(0, 1))
    average = partial(_average, n_frames=n_frames, blocks_of_runs=blocks_of_runs)
    mean, error = average(spectra)
    total_mean, total_error = average(total)
    series = [one * kelvin[:, None] for one in found.series]
    rest = plateaus(correlations, series, time_step_fs, average) if at_rest else []
    nyquist = nyquist_per_cm(time_step_fs)
    return Spectrum(
        wavenumber_per_cm=np.linspace(0.0, nyquist, mean.shape[1]),
        density=dict(zip(symbols, mean, strict=True)),
        error=dict(zip(symbols, error, strict=True)),
        total=total_mean,
        total_error=total_error,
        resolution_per_cm=WINDOWS[window] * PER_FS_PER_CM / (n_lags * time_step_fs),
        n_blocks=len(spectra),
        at_rest=dict(zip(symbols, rest, strict=bool(rest))),
        folded=bands_above(
            nyquist,
            {symbol: int(np.count_nonzero(species == symbol)) for symbol in symbols},
            {symbol: float(masses_u[species == symbol].mean()) for symbol in symbols},
        ),
    )


def hydrogen_peaks(spectrum: Spectrum) -> dict[str, Peak]:
    """``stretch`` and ``bend`` of hydrogen, 1/cm; empty without hydrogen.

    The highest peaks in 3000-4200 and 1400-1900 1/cm, NaN where there is none of 2 % of the
    spectrum's own maximum.  No stretch where the spectrum is aliased: what is seen there is a
    folded band.
    """
    if "H" not in spectrum.density:
        return {}
    axis, density = spectrum.wavenumber_per_cm, spectrum.density["H"]
    peaks = {
        "stretch": highest_peak(axis, density, *STRETCH_PER_CM),
        "bend": highest_peak(axis, density, *BEND_PER_CM),
    }
    if spectrum.nyquist_per_cm < HIGHEST_X_H_PER_CM:
        peaks["stretch"] = NO_PEAK
    lowest = LOWEST_PEAK * float(density.max())
    return {name: peak if peak.height > lowest else NO_PEAK for name, peak in peaks.items()}


def _average(
    spectra: NDArray, n_frames: NDArray, blocks_of_runs: Sequence[int]
) -> tuple[NDArray, NDArray]:
    """Mean over blocks, the first axis, and its standard error.

    A block is as long as two longest lags where the run allows it, and longer than the memory that
    the lags are to show; of fluctuations slower than a block the error knows nothing, unless it
    is from the spread of replicas.
    """
    mean = np.tensordot(n_frames / n_frames.sum(), spectra, axes=1)
    if len(blocks_of_runs) >= FEWEST_REPLICAS:
        return mean, error_over_runs(spectra, n_frames, blocks_of_runs)
    error = block_error(spectra, n_frames)
    return mean, error if len(spectra) >= FEWEST_BLOCKS else np.full_like(mean, np.nan)


def _window(name: str, n_lags: int) -> NDArray[np.float64]:
    """``(n_lags,)``, 1 at lag 0, down to 0 at lag n_lags."""
    phase = np.pi * np.arange(n_lags) / n_lags
    if name == "hann":
        return 0.5 + 0.5 * np.cos(phase)
    if name == "blackman":
        return 0.42 + 0.5 * np.cos(phase) + 0.08 * np.cos(2.0 * phase)
    return np.ones(n_lags)


def _cosine_transform(
    correlations: NDArray[np.float64], time_step_fs: float, padding: int
) -> NDArray[np.float64]:
    """One-sided spectrum along the last axis (windowed lags), per 1/cm; finer by the padding."""
    n_lags = correlations.shape[-1]
    n_padded = padding * (1 << (2 * n_lags - 1).bit_length())
    even = np.zeros((*correlations.shape[:-1], n_padded))
    even[..., :n_lags] = correlations
    even[..., -n_lags + 1 :] = even[..., n_lags - 1 : 0 : -1]  # C(-k) = C(k)
    two_sided = np.fft.rfft(even, axis=-1).real * time_step_fs  # K fs
    return 2.0 * two_sided / PER_FS_PER_CM  # K cm
