"""Velocity spectra at zero frequency, where diffusion is, and how far they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.longrun import TOO_SHORT
from ncforce_ipi.analysis.statistics import combine, mean_of
from ncforce_ipi.units import PER_FS_PER_CM

SOONER = (0.8, 0.9)
"""Shares of the lags that should give the same as all of them."""


@dataclass(frozen=True)
class Plateau:
    """One species' spectrum at zero frequency: the running integral where the memory is over.

    Attributes
    ----------
    density, error : K cm, and its standard error, by the series of what each frame adds to the
        integral; NaN where a run doesn't hold about 25 memories of it
    reason : why there is no error; empty where there is one
    at_nyquist : K cm, likewise at the highest frequency that the frames show; motion that is
        faster than that shows up there, and at zero frequency
    unsettled : K cm, by how much the density changes where the lags end at 0.8 or 0.9 of the
        longest: little where the memory is over by then
    """

    density: float
    error: float
    at_nyquist: float
    unsettled: float
    reason: str


def plateaus(
    correlations: NDArray[np.float64],
    series: Sequence[NDArray[np.float64]],
    time_step_fs: float,
    average: Callable[[NDArray], tuple[NDArray, NDArray]],
) -> list[Plateau]:
    """Of each species: the mean of the running integral over the later half of the lags.

    That is the integral in a window that is 1 up to half of the longest lag and falls from there as
    cos^2 (Tukey's).  Hann's, which the spectrum has, makes water's D half as large again with lags
    up to 1 ps, for the back-scattering of the cage after 0.3 ps then counts for less than the
    motion before it.

    Parameters
    ----------
    correlations : ``(n_blocks, n_species, n_lags)``, K: of velocities, in units of temperature
    series : of each run ``(n_species, n_origins)``, K frames (`lagged.Gathered`)
    time_step_fs : fs, between frames
    average : mean and standard error over the blocks, the first axis
    """
    n_lags = correlations.shape[-1]
    signs = np.where(np.arange(n_lags) % 2, -1.0, 1.0)  # cos(pi k)
    whole = correlations * _window(n_lags)
    density, _ = average(_at_zero(whole, time_step_fs))
    at_nyquist, _ = average(_at_zero(whole * signs, time_step_fs))
    unsettled = np.zeros_like(density)
    for share in SOONER:
        some = correlations[..., : max(round(share * n_lags), 2)]
        sooner, _ = average(_at_zero(some * _window(some.shape[-1]), time_step_fs))
        unsettled = np.maximum(unsettled, abs(sooner - density))
    factor = 4.0 * time_step_fs / PER_FS_PER_CM
    found = []
    for number, row in enumerate(zip(density, at_nyquist, unsettled, strict=True)):
        value, fast, change = map(float, row)
        runs = [factor * one[number] for one in series if one.shape[1]]
        error, reason = _error(runs)
        found.append(Plateau(value, error, fast, change, reason))
    return found


def _error(runs: Sequence[NDArray[np.float64]]) -> tuple[float, str]:
    """Of the mean of the series, and why there is none."""
    if not runs:
        return math.nan, TOO_SHORT
    found = combine([mean_of(one) for one in runs], [float(len(one)) for one in runs])
    return found.error, found.reason


def _window(n_lags: int) -> NDArray[np.float64]:
    """``(n_lags,)``, 1 up to half of them, then down to 0 as cos^2."""
    phase = np.pi * np.arange(n_lags) / n_lags
    return np.where(phase <= 0.5 * np.pi, 1.0, np.sin(phase) ** 2)


def _at_zero(correlations: NDArray[np.float64], time_step_fs: float) -> NDArray[np.float64]:
    """Twice the integral over all times, K cm."""
    two_sided = correlations[..., 0] + 2.0 * correlations[..., 1:].sum(-1)
    return np.asarray(2.0 * two_sided * time_step_fs / PER_FS_PER_CM)
