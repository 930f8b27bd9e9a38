"""Means with error bars, errors from blocks, intervals, and how they are written.

Knows nothing of physics; how much a series remembers is found in `longrun`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.longrun import ENOUGH, long_run, long_runs
from ncforce_ipi.errors import InputError

FEWEST_BLOCKS = 32
"""Fewer blocks than this don't show whether they remember each other (`remembering_error`)."""
FEWEST_REPLICAS = 4
"""Fewer runs than this and their spread says less than their own errors."""
CHI_SQUARED = {1: 10.83, 2: 13.82}
"""By degrees of freedom: what chance exceeds in one of 1000 cases."""


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error; both in the unit of the series.

    Attributes
    ----------
    value : the mean
    error : one standard error, corrected for autocorrelation; NaN where the series is too short
    n_independent : number of independent samples that it is the mean of
    dof : degrees of freedom of the error, for Student's t; NaN where nothing says them
    reason : why there is no error; empty where there is one
    """

    value: float
    error: float
    n_independent: float
    dof: float = math.nan
    reason: str = ""

    def half_width(self, probability: float) -> float:
        """Half width of the interval that holds the truth with this probability."""
        return half_width(self.error, self.dof, probability)

    def text(self, unit: str = "") -> str:
        """Value and standard error, or the reason why there is none."""
        return number_text(self.value, self.error, unit, self.reason)


def mean_of(series: NDArray[np.float64]) -> Mean:
    """Mean and its standard error sqrt(Gamma / N); the error of a short series is NaN.

    Short is what doesn't hold about 25 memories (`longrun.long_run`).

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
    spread = long_run(series - average, scale=float(np.abs(series).max()))
    error = math.sqrt(spread.variance / len(series)) if spread.enough else math.nan
    return Mean(average, error, spread.n_independent, spread.dof, spread.reason)


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


def remembering_error(
    blocks: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Standard error of the weighted mean of block averages that may remember each other.

    For blocks whose length has nothing to do with the memory of what is averaged.  The elements
    are series of one system: all errors are NaN if together they don't hold about 25 memories
    (`longrun.long_runs`), and know of the memory if they do.

    Parameters
    ----------
    blocks : ``(n_blocks, ...)``, any unit, in the order of time
    weights : ``(n_blocks,)``, for instance the number of frames in each block

    Returns
    -------
    ``(...)``, unit of the blocks; NaN where there are fewer than 32 blocks
    """
    n_blocks = len(blocks)
    if n_blocks < FEWEST_BLOCKS:
        return np.full(blocks.shape[1:], np.nan)
    share = weights / np.sum(weights)
    off = blocks - np.tensordot(share, blocks, axes=1)
    variances, memories = long_runs(off.reshape(n_blocks, -1))
    if memories < ENOUGH:
        return np.full(blocks.shape[1:], np.nan)
    return np.sqrt(variances * np.sum(share**2)).reshape(blocks.shape[1:])


def combine(means: Sequence[Mean], weights: Sequence[float]) -> Mean:
    """Mean of replicas' means; its error from theirs, or from their spread.

    From the spread with 4 and more, and where they differ by more than their errors allow.
    """
    share = np.array(weights, dtype=float) / np.sum(weights)
    value = float(share @ [mean.value for mean in means])
    error = float(np.sqrt(np.sum((share * [mean.error for mean in means]) ** 2)))
    n_independent = float(sum(mean.n_independent for mean in means))
    dof = float(sum(mean.dof for mean in means))  # equal errors; NaN is passed on
    reason = next((mean.reason for mean in means if mean.reason), "")
    if len(means) >= FEWEST_REPLICAS or _contradict(
        [mean.value for mean in means], [mean.error for mean in means]
    ):
        off = share * (np.array([mean.value for mean in means]) - value)
        error = float(np.sqrt(len(means) / (len(means) - 1) * np.sum(off**2)))
        dof, reason = len(means) - 1.0, ""
    return Mean(value, error, n_independent, dof, reason)


def _contradict(values: Sequence[float], errors: Sequence[float]) -> bool:
    """Whether two or three values differ by more than chance makes of their errors."""
    expected = CHI_SQUARED.get(len(values) - 1)
    sigma = np.array(errors, dtype=float)
    if expected is None or not np.all(sigma > 0.0):
        return False
    weights = 1.0 / sigma**2
    off = np.array(values) - weights @ values / weights.sum()
    return bool(weights @ off**2 > expected)


def error_over_runs(
    blocks: NDArray[np.float64], weights: NDArray[np.float64], blocks_of_runs: Sequence[int]
) -> NDArray[np.float64]:
    """Standard error of the weighted mean, by the spread of runs that know nothing of each other.

    As `block_error` with one block for each run: right however long a run remembers.

    Parameters
    ----------
    blocks : ``(n_blocks, ...)``, any unit, the blocks of one run after those of another
    weights : ``(n_blocks,)``
    blocks_of_runs : how many blocks each run has

    Returns
    -------
    ``(...)``, unit of the blocks; NaN where there are fewer than two runs

    Raises
    ------
    ValueError
        Runs have other than all blocks.
    """
    if sum(blocks_of_runs) != len(blocks):
        raise ValueError(f"{len(blocks)} blocks of runs with {list(blocks_of_runs)}")
    ends = np.cumsum([n for n in blocks_of_runs if n > 0])
    parts = list(zip(np.split(blocks, ends[:-1]), np.split(weights, ends[:-1]), strict=True))
    means = np.array([np.tensordot(w / w.sum(), x, axes=1) for x, w in parts])
    return block_error(means, np.array([w.sum() for _, w in parts]))


def mean_of_slopes(slopes: Sequence[float], ci95: Sequence[float]) -> tuple[float, float]:
    """Mean of replicas' slopes and half width of its 95 % interval.

    By their spread (Student's t) with 4 replicas and more.  Of fewer the spread says less than
    their own intervals, which are put together, unless they differ by more than these allow; NaN if
    one has none.
    """
    mean, by_spread = interval_of_replicas(slopes)
    if len(slopes) >= FEWEST_REPLICAS or _contradict(slopes, [0.5 * one for one in ci95]):
        return mean, by_spread
    return mean, float(np.sqrt(np.sum(np.square(ci95)))) / len(slopes)


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


def number_text(value: float, error: float, unit: str = "", reason: str = "") -> str:
    """A number with its error, or with the reason why it has none.

    ``300.0 +- 7.1 K``, ``300 K (no error bar: the run is shorter than about 25 correlation times)``
    or, of values that are all the same, ``300 K (constant)``.
    """
    if math.isnan(error):
        digits = _digits(value, 3)
        return f"{digits} {unit}".rstrip() + f" (no error bar: {reason or 'too few samples'})"
    if error == 0.0:
        return f"{_digits(value, 4)} {unit}".rstrip() + " (constant)"
    return f"{with_error(value, error)} {unit}".rstrip()


def _digits(value: float, n: int) -> str:
    """So many significant digits, or all before the point: 1003, not 1e+03."""
    return f"{value:.0f}" if 10**n <= abs(value) < 1e6 else f"{value:.{n}g}"


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
