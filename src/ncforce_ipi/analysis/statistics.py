"""Error bars of correlated samples.  Owns the autocorrelation; knows nothing of physics.

One number does all: the long-run variance Gamma = sum over all lags k of the autocovariance
C(k).  Of N samples the mean has variance Gamma / N, a fitted slope Gamma / sum (t - <t>)^2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError

SOKAL_WINDOW = 5.0
"""The lags summed reach five autocorrelation times: for an exponential, e^-5 = 0.7 % is lost."""
N_BLOCKS = 150
"""Averages of a series over so many blocks are looked at too."""
NOISE = 2.0
"""Standard errors by which the variance from blocks must be the larger to count."""
FEWEST_INDEPENDENT = 5.0
"""Fewer independent samples than this and no interval is given: it would be a guess."""
FEWEST_REPLICAS = 4
"""Fewer runs than this and their spread says less than their own errors."""


@dataclass(frozen=True)
class LongRun:
    """Fluctuation of a stationary series, seen over times much longer than its memory.

    Attributes
    ----------
    variance : Gamma, the sum over all lags of the autocovariance; unit of the series squared
    inefficiency : g = Gamma / C(0) = 1 + 2 sum_k rho(k), samples per independent one, >= 1
    n_independent : N / g less what the fit has used up; 0 where g can't be told from N
    """

    variance: float
    inefficiency: float
    n_independent: float


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error; both in the unit of the series.

    Attributes
    ----------
    value : the mean
    error : one standard error, corrected for autocorrelation; NaN where the series is too short
    n_independent : number of independent samples that the error rests on
    """

    value: float
    error: float
    n_independent: float


def autocovariance(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """C(k) = 1/N sum_t x(t) x(t + k) of a series with its mean (or trend) already removed.

    By the Wiener-Khinchin theorem, zero-padded so that no lag wraps around.  The divisor is N at
    every lag (biased, but of positive spectrum, and the smaller error at large lags).

    Parameters
    ----------
    series : ``(n_samples,)``, any unit

    Returns
    -------
    ``(n_samples,)``, unit of the series squared
    """
    n_samples = len(series)
    n_padded = 1 << (2 * n_samples - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(series, n_padded)) ** 2
    return np.fft.irfft(spectrum, n_padded)[:n_samples] / n_samples


def long_run(residuals: NDArray[np.float64], n_fitted: int = 1) -> LongRun:
    """Long-run variance of residuals that are left after a fit of ``n_fitted`` parameters.

    The window below ends where the fast part of a series is forgotten, and misses a slow part of
    small amplitude (the temperature of one species under a global thermostat: vibrations of 10 fs,
    exchange of energy with others over picoseconds).  Averages over blocks have less of the fast
    part: the same is done with those of 150 blocks, and their Gamma is taken if it is the larger by
    more than twice its error, Gamma sqrt(2 (2W + 1) / 150).

    Parameters
    ----------
    residuals : ``(n_samples,)``, any unit
    n_fitted : parameters that the fit had: 1 for a mean, 2 for a line
    """
    found, _ = _windowed(residuals, n_fitted)
    n_samples = len(residuals)
    size = n_samples // N_BLOCKS
    if size < 2:
        return found
    n_blocks = n_samples // size
    blocks = residuals[: n_blocks * size].reshape(n_blocks, size).mean(axis=1)
    coarse, error = _windowed(blocks, n_fitted)
    variance = size * coarse.variance
    if not variance > found.variance * (1.0 + NOISE * error) > 0.0:
        return found
    inefficiency = found.inefficiency * variance / found.variance
    return LongRun(variance, inefficiency, max(n_samples / inefficiency - n_fitted + 1, 0.0))


def _windowed(residuals: NDArray[np.float64], n_fitted: int) -> tuple[LongRun, float]:
    """The same of one length of blocks, and the relative error of its variance.

    Lags are summed up to the first W with W >= 5 tau(W), tau(W) = g(W)/2 (Sokal's automatic
    window, Sokal in *Functional Integration*, NATO ASI B361, 1997).  A fit of p parameters takes
    p Gamma / N out of every lag's autocovariance, which is given back by dividing the sum by
    1 - p (2W + 1) / N (Wolff, Comput. Phys. Commun. 156, 143, 2004, for p = 1).  g is kept >= 1:
    anticorrelated samples are counted as independent, so that the error is not too small.

    Without the correction this is ``emcee.autocorr.integrated_time`` with c = 2.5 (tested to
    rounding), which doesn't say its W and knows no p.  For a line through 50 memories of noise the
    interval then holds the slope in 90 % of 1000 repeats, with emcee's own c = 5 in 88 %; with the
    correction in 93 %.
    """
    covariance = autocovariance(residuals)
    n_samples = len(residuals)
    if covariance[0] <= np.finfo(float).tiny:  # a constant
        return LongRun(0.0, 1.0, float(n_samples - n_fitted)), 0.0
    running = 2.0 * np.cumsum(covariance / covariance[0]) - 1.0  # 1 + 2 sum_{k=1..W} rho(k)
    lags = np.arange(n_samples)
    window = int(np.argmax(lags >= SOKAL_WINDOW * 0.5 * running))
    kept = 1.0 - n_fitted * (2 * window + 1) / n_samples
    if kept <= 0.0:  # the memory is as long as the series
        return LongRun(math.nan, float(running.max()), 0.0), math.nan
    inefficiency = max(float(running[window]) / kept, 1.0)
    variance = inefficiency * float(covariance[0]) * n_samples / (n_samples - n_fitted)
    n_independent = max(n_samples / inefficiency - n_fitted + 1, 0.0)
    error = math.sqrt(2.0 * (2 * window + 1) / n_samples)
    return LongRun(variance, inefficiency, n_independent), error


def mean_of(series: NDArray[np.float64]) -> Mean:
    """Mean and its standard error sqrt(Gamma / N); the error of a short series is NaN.

    Parameters
    ----------
    series : ``(n_samples,)``, any unit

    Raises
    ------
    InputError
        No samples, or a value that isn't finite.
    """
    require_finite(series, "series")
    average = float(np.mean(series))
    spread = long_run(series - average)
    enough = spread.n_independent >= FEWEST_INDEPENDENT
    error = math.sqrt(spread.variance / len(series)) if enough else math.nan
    return Mean(average, error, spread.n_independent)


def block_error(blocks: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of the weighted mean of block averages, element by element.

    error^2 = n/(n - 1) sum_b w_b^2 (x_b - <x>)^2 with sum w_b = 1, which is the usual
    sum (x_b - <x>)^2 / (n (n - 1)) for equal weights.  Right where a block is much longer than
    the correlation time, too small otherwise.

    Parameters
    ----------
    blocks : ``(n_blocks, ...)``, any unit
    weights : ``(n_blocks,)``, for instance the number of frames in each block

    Returns
    -------
    ``(...)``, unit of the blocks; NaN where there are fewer than two blocks
    """
    n_blocks = len(blocks)
    if n_blocks < 2:
        return np.full(blocks.shape[1:], np.nan)
    share = weights / np.sum(weights)
    average = np.tensordot(share, blocks, axes=1)
    deviation = np.tensordot(share**2, (blocks - average) ** 2, axes=1)
    return np.sqrt(n_blocks / (n_blocks - 1) * deviation)


def combine(means: Sequence[Mean], weights: Sequence[float]) -> Mean:
    """Mean of replicas' means; its error from theirs, or from their spread with 4 and more."""
    share = np.array(weights, dtype=float) / np.sum(weights)
    value = float(share @ [mean.value for mean in means])
    error = float(np.sqrt(np.sum((share * [mean.error for mean in means]) ** 2)))
    if len(means) >= FEWEST_REPLICAS:
        off = share * (np.array([mean.value for mean in means]) - value)
        error = float(np.sqrt(len(means) / (len(means) - 1) * np.sum(off**2)))
    return Mean(value, error, float(sum(mean.n_independent for mean in means)))


def interval_of_replicas(slopes: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % interval, from the replicas alone (Student's t)."""
    spread = float(np.std(slopes, ddof=1)) / math.sqrt(len(slopes)) if len(slopes) > 1 else math.nan
    return float(np.mean(slopes)), half_width_95(spread, len(slopes) - 1)


def half_width_95(standard_error: float, degrees_of_freedom: float) -> float:
    """Half width of a 95 % confidence interval by Student's t; NaN without degrees of freedom."""
    return half_width(standard_error, degrees_of_freedom, 0.95)


def half_width(standard_error: float, degrees_of_freedom: float, probability: float) -> float:
    """Half width of the interval that holds the truth with this probability, by Student's t."""
    if not degrees_of_freedom > 0:
        return math.nan
    from scipy.special import stdtrit  # it takes as long to import as 50 MB to analyse

    return float(stdtrit(degrees_of_freedom, 0.5 + 0.5 * probability)) * standard_error


def with_error(value: float, error: float) -> str:
    """``value +- error``, both to two digits of the error: ``0.123 +- 0.045``.

    Tiny numbers with a power of ten: ``3.33e-11 +- 4.5e-12``.
    """
    if 0.0 < max(abs(value), abs(error)) < 1e-4:
        return f"{value:.3g} +- {error:.2g}"
    if not (math.isfinite(error) and error > 0.0):
        return f"{value:.4g} +- {error:.2g}"
    digits = 1 - math.floor(math.log10(error))
    shown = max(digits, 0)
    return f"{round(value, digits):.{shown}f} +- {round(error, digits):.{shown}f}"


def require_finite(series: NDArray[np.float64], name: str) -> None:
    """Refuse an empty series or one with a value that isn't finite.

    Raises
    ------
    InputError
        With the index of the first bad value.
    """
    if series.ndim != 1 or len(series) == 0:
        raise InputError(
            f"{name} has shape {series.shape}; expected at least one sample in one dimension"
        )
    bad = np.flatnonzero(~np.isfinite(series))
    if len(bad):
        raise InputError(
            f"{name} is {series[bad[0]]} at sample {bad[0]} of {len(series)}; "
            "expected finite numbers: leave out what follows a blow-up"
        )
