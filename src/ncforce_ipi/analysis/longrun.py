"""Fluctuation of a series over times much longer than its memory, and how much it remembers.

One number gives all error bars: the long-run variance Gamma = sum over all lags of the
autocovariance C(k), which is the power spectrum at zero frequency.  Of N samples the mean has
variance Gamma / N, a fitted slope Gamma / sum (t - <t>)^2.  Knows nothing of physics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ENOUGH = 20.0
"""Memories that a series must seem to hold for an interval, a sigma or a verdict.

A memory is g samples (`LongRun.inefficiency`), two correlation times of an exponential.  The
estimate scatters by a quarter: of series that hold 50 memories all get an interval, of 25 two in
three, of 12 one in forty, of 6 and fewer one in a thousand."""
TOO_SHORT = "the run is shorter than about 25 correlation times"
FEWEST_SAMPLES = 16
"""Fewer samples than this have no spectrum to speak of."""
N_BLOCKS, N_POWERS = 1024, 256
FEWEST_POWERS = 8
MEMORIES_A_POWER = 3.0
"""A third of the memories, so many powers are averaged: there a Lorentzian has kept 88 % of its
height on average, which is divided out."""
WIDER = 0.5
"""Relative widening of the error where a series just seems to hold enough; its cube falls off with
the memories.  Series that get in by chance look quieter than they are."""
ROUNDING = 8.0 * np.finfo(float).eps
_SLOWEST, _MOST = 0.5, 1000.0
_SECOND = 0.3
_BACKGROUNDS = np.geomspace(0.003, 0.3, 4)
_FAST = (100.0, 200.0, 400.0, math.inf)


@dataclass(frozen=True)
class LongRun:
    """Fluctuation of a stationary series.

    Attributes
    ----------
    variance : Gamma, unit of the series squared; NaN of fewer than 16 samples.  Where ``enough`` is
        False it is a rough number, good for the size of an error, never for an interval
    inefficiency : g = Gamma / C(0) = 1 + 2 sum_k rho(k), samples per independent one, >= 1
    n_independent : N / g
    memories : how many times its slowest part that matters has been forgotten; infinite for a
        constant
    dof : degrees of freedom of the variance, for Student's t
    """

    variance: float
    inefficiency: float
    n_independent: float
    memories: float
    dof: float

    @property
    def enough(self) -> bool:
        """Whether the series is long enough for an interval."""
        return self.memories >= ENOUGH

    @property
    def reason(self) -> str:
        """Why there is no interval; empty where there is one."""
        return "" if self.enough else TOO_SHORT


def long_run(residuals: NDArray[np.float64], n_fitted: int = 1, *, scale: float = 0.0) -> LongRun:
    """Long-run variance of residuals that are left after a fit of ``n_fitted`` parameters.

    The residuals' cosine transform X_k (k half periods in the run) has the power X_k^2 = Gamma at
    low k, chi-squared with one degree of freedom each, and independent of the mean and of the line
    (the line is the cosine of k = 1 to 1 %, which is left out).  So Gamma is the mean of the lowest
    B powers, and an interval from it is Student's t with B degrees of freedom: "equal-weighted
    cosines" (Lazarus, Lewis, Stock, Watson, J. Bus. Econ. Stat. 36, 541, 2018).  B is a third of
    the memories, at least 8; the powers are divided by the shape that the memory gives them.

    The memory comes from a fit to the lowest 256 powers (Whittle's likelihood, the height
    integrated out by its maximum, the median over a grid): a Lorentzian, the spectrum of an
    exponential memory, alone or on a flat or fast background that holds a third of it at most.  The
    second is what T of one species shows: vibrations of 10 fs, exchange of energy with others over
    picoseconds.  A part that is slower than the run and weak within it is seen by nothing.

    With AR(1) noise around a mean or a line, runs of each length in memories that get an interval,
    and how many of these intervals hold the truth (4000 runs each; sampling error 1 % or less from
    25 on, 4 % at 12)::

        memories             3     6      12     25     50     200
        with an interval     0 %   0.3 %  3 %    65 %   99 %   99 %
        of those, right      -     -      83 %   95 %   95 %   95 %

    Below 25, the answer is "open"; what slips through at 12 is wrong in 1 run of 200.

    Parameters
    ----------
    residuals : ``(n_samples,)``, any unit
    n_fitted : parameters that the fit had: 1 for a mean, 2 for a line
    scale : largest size of the values before the fit: what is below its rounding is a constant
    """
    n_samples = len(residuals)
    free = n_samples - n_fitted
    variance = float(residuals @ residuals) / max(free, 1)  # C(0)
    if free > 0 and variance <= max((ROUNDING * scale) ** 2, np.finfo(float).tiny):
        return LongRun(0.0, 1.0, float(n_samples), math.inf, float(free))
    if n_samples < FEWEST_SAMPLES:
        return LongRun(math.nan, math.nan, math.nan, 0.0, 0.0)
    powers = _powers(residuals, n_fitted)
    memories, shape = _memories(powers, n_samples, n_fitted)
    n_averaged = min(max(int(memories / MEMORIES_A_POWER), FEWEST_POWERS), len(powers))
    gamma = float(powers[:n_averaged].mean() / shape[:n_averaged].mean())
    gamma *= (1.0 + WIDER * (ENOUGH / max(memories, ENOUGH)) ** 3) ** 2
    gamma = max(gamma, variance)  # anticorrelated samples count as independent
    inefficiency = gamma / variance
    return LongRun(gamma, inefficiency, n_samples / inefficiency, memories, float(n_averaged))


def long_runs(series: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Long-run variances of many series of one system, and the memories that they hold.

    The memory is that of the mean of their spectra, each in units of its variance; the rest as in
    `long_run` for means.

    Parameters
    ----------
    series : ``(n_samples, n_series)``, any unit, at least 16 samples, less their means

    Returns
    -------
    ``(n_series,)``, unit of the series squared; and a number
    """
    spreads = np.mean(series**2, axis=0)
    moving = spreads > np.finfo(float).tiny
    if not moving.any():
        return spreads, math.inf
    powers = _powers(series, 1)
    together = (powers[:, moving] / spreads[moving]).mean(axis=1)
    memories, shape = _memories(together, len(series), 1)
    n_averaged = min(max(int(memories / MEMORIES_A_POWER), FEWEST_POWERS), len(powers))
    gammas = powers[:n_averaged].mean(axis=0) / float(shape[:n_averaged].mean())
    return gammas, memories


def _powers(residuals: NDArray[np.float64], n_fitted: int) -> NDArray[np.float64]:
    """X_k^2 from k = ``n_fitted`` on, of averages over blocks so that there are 513 to 1024.

    Along the first axis.
    """
    size = -(-len(residuals) // N_BLOCKS)
    n_blocks = len(residuals) // size
    shape = (n_blocks, size, *residuals.shape[1:])
    blocks = residuals[: n_blocks * size].reshape(shape).mean(axis=1)
    # the cosine transform of second kind, as a Fourier transform of twice the length
    phases = np.exp(-0.5j * np.pi * np.arange(n_blocks) / n_blocks)
    transform = np.fft.rfft(blocks, 2 * n_blocks, axis=0)[:n_blocks]
    cosines = (phases * transform.T).real.T
    chosen = slice(n_fitted, min(n_fitted + N_POWERS, n_blocks))
    return size * 2.0 / n_blocks * cosines[chosen] ** 2


def _memories(
    powers: NDArray[np.float64], n_samples: int, n_fitted: int
) -> tuple[float, NDArray[np.float64]]:
    """Memories in the series, the posterior median; and the likeliest shape of the powers."""
    memories, shapes, prior = _candidates(n_samples, len(powers), n_fitted)
    heights = (1.0 / shapes) @ powers / len(powers)
    chances = prior - 0.5 * len(powers) * np.log(np.maximum(heights, np.finfo(float).tiny))
    weights = np.cumsum(np.exp(chances - chances.max()))
    median = int(np.searchsorted(weights, 0.5 * weights[-1]))
    return float(memories[median]), shapes[int(np.argmax(chances))]


@lru_cache(maxsize=4)
def _candidates(
    n_samples: int, n_powers: int, n_fitted: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Memories, shapes ``(n_candidates, n_powers)`` and logarithms of their prior less that of the
    determinant, in the order of the memories.

    A slow part on a background has a third of the chance of a simple exponential before the data
    are seen, and two memories or more: less can't be told from a trend.
    """
    order = np.arange(n_fitted, n_fitted + n_powers)
    memories = np.geomspace(_SLOWEST, min(_MOST, float(n_samples)), 32)
    slow = _lorentzians(memories, order, n_samples)
    found = [(memories, slow, 1.0)]
    for fast in _FAST:
        background = _lorentzians(np.array([min(fast, n_samples)]), order, n_samples)
        seen = (memories >= 2.0) & (memories < 0.25 * min(fast, float(memories[-1])))
        share = _SECOND / (len(_FAST) * len(_BACKGROUNDS))
        for height in _BACKGROUNDS:
            shapes = (slow[seen] + height * background) / (1.0 + height)
            found.append((memories[seen], shapes, share))
    every = np.concatenate([times for times, _, _ in found])
    shapes = np.concatenate([of_those for _, of_those, _ in found])
    prior = np.concatenate([np.full(len(times), math.log(share)) for times, _, share in found])
    prior -= 0.5 * np.log(shapes).sum(axis=1)
    ranks = np.argsort(every, kind="stable")
    return every[ranks], shapes[ranks], prior[ranks]


def _lorentzians(
    memories: NDArray[np.float64], order: NDArray[np.int64], n_samples: int
) -> NDArray[np.float64]:
    """``(n_memories, n_orders)``: 1 / (1 + 4a/(1 - a)^2 sin^2(pi k / 2N)), the spectrum of AR(1)
    with the coefficient a = (g - 1)/(g + 1), g = N / memories, in units of Gamma.
    """
    samples = np.maximum(n_samples / memories, 1.0)  # g
    steepness = samples**2 - 1.0  # 4a / (1 - a)^2
    return 1.0 / (1.0 + steepness[:, None] * np.sin(0.5 * np.pi * order / n_samples) ** 2)
