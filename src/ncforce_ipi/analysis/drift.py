"""Drift: the slope of a time series, with an interval that knows of autocorrelation.

Owns the fit and the rule that ends it before a runaway.  Knows no file and no plot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.statistics import (
    FEWEST_INDEPENDENT,
    half_width_95,
    long_run,
    require_finite,
)
from ncforce_ipi.errors import InputError

RUNAWAY_FACTOR = 1.5
FEWEST_SAMPLES = 10
GIGAKELVIN_PER_S_PER_K_PER_PS = 1e12 / 1e9
"""1 K/ps in 1e9 K/s, the "billion degrees per second" of Bigi, Langer, Ceriotti (2025)."""
LAMBENCH_MEV_PER_ATOM_PER_PS = 0.5
"""Drift that LAMBench tolerates, 5e-4 eV/atom/ps."""


@dataclass(frozen=True)
class Drift:
    """A straight line through a time series.

    Attributes
    ----------
    slope : unit of the series per ps
    ci95 : half width of the 95 % confidence interval of the slope, same unit; NaN where the
        residuals remember more than a fifth of the series, or the line doesn't describe it
    start : the line's value at the first fitted time, unit of the series
    start_ps, end_ps : first and last fitted time, ps
    n_samples : samples fitted
    n_independent : samples that are independent of each other, after ``n_samples / g``
    """

    slope: float
    ci95: float
    start: float
    start_ps: float
    end_ps: float
    n_samples: int
    n_independent: float

    def at(self, time_ps: NDArray[np.float64]) -> NDArray[np.float64]:
        """The line at the times ``(n_samples,)``, ps; unit of the series."""
        return self.start + self.slope * (time_ps - self.start_ps)

    def scaled(self, factor: float) -> Drift:
        """The same drift in another unit: ``factor`` new units for one old unit."""
        return Drift(
            self.slope * factor,
            self.ci95 * abs(factor),
            self.start * factor,
            self.start_ps,
            self.end_ps,
            self.n_samples,
            self.n_independent,
        )

    @property
    def significant(self) -> bool:
        """Whether zero lies outside the confidence interval; False where there is none."""
        return abs(self.slope) > self.ci95


def fit_drift(
    time_ps: NDArray[np.float64],
    value: NDArray[np.float64],
    *,
    up_to: NDArray[np.bool_] | None = None,
) -> Drift:
    """Least-squares slope of ``value`` over ``time_ps`` and its 95 % confidence interval.

    slope = sum (t - <t>)(x - <x>) / S_tt with S_tt = sum (t - <t>)^2.  Its variance is
    Gamma / S_tt: white residuals would give C(0) in the place of the long-run variance Gamma
    (`statistics.long_run`), which is right for any stationary residuals as long as the series is
    much longer than their memory.  The half width is Student's t at n_independent - 1 degrees of
    freedom (two parameters fitted) times the standard error.

    Parameters
    ----------
    time_ps : ``(n_samples,)``, ps, evenly spaced and rising
    value : ``(n_samples,)``, any unit
    up_to : ``(n_samples,)``, optional; only samples where it is True are fitted (`before_runaway`)

    Raises
    ------
    InputError
        Lengths differ, fewer than 10 samples, times that don't rise evenly, a value that isn't
        finite.
    """
    if len(time_ps) != len(value):
        raise InputError(f"{len(value)} values for {len(time_ps)} times; expected one for each")
    if up_to is not None:
        time_ps, value = time_ps[up_to], value[up_to]
    _require_series(time_ps, value)
    centred_ps = time_ps - np.mean(time_ps)
    average = float(np.mean(value))
    s_tt = float(centred_ps @ centred_ps)
    slope = float(centred_ps @ (value - average)) / s_tt
    residuals = value - average - slope * centred_ps
    spread = long_run(residuals, n_fitted=2)
    error = math.sqrt(spread.variance / s_tt) if spread.variance >= 0.0 else math.nan
    enough = spread.n_independent >= FEWEST_INDEPENDENT
    return Drift(
        slope=slope,
        ci95=half_width_95(error, spread.n_independent - 1) if enough else math.nan,
        start=average + slope * float(centred_ps[0]),
        start_ps=float(time_ps[0]),
        end_ps=float(time_ps[-1]),
        n_samples=len(value),
        n_independent=spread.n_independent,
    )


def before_runaway(
    temperature_K: NDArray[np.float64],
    start_K: float,
    factor: float = RUNAWAY_FACTOR,
) -> NDArray[np.bool_]:
    """Samples before the temperature first passes ``factor`` times the start temperature.

    The temperature of 192 atoms fluctuates by 6 % (sqrt(2 / 3N), canonical), so 1.5 times the
    start is far outside what equilibrium shows.  A value that isn't finite counts as passed.

    Parameters
    ----------
    temperature_K : ``(n_samples,)``, K
    start_K : K
    factor : dimensionless

    Returns
    -------
    ``(n_samples,)``, True up to the first sample beyond, False from there on
    """
    calm = temperature_K <= factor * start_K  # NaN compares False
    return np.logical_and.accumulate(calm)


def _require_series(time_ps: NDArray[np.float64], value: NDArray[np.float64]) -> None:
    if len(time_ps) < FEWEST_SAMPLES:
        raise InputError(
            f"{len(time_ps)} samples; expected at least {FEWEST_SAMPLES} for a drift: "
            "run longer or write output more often"
        )
    require_finite(time_ps, "time")
    require_finite(value, "value")
    steps = np.diff(time_ps)
    if not (steps.min() > 0 and np.ptp(steps) < 1e-3 * steps.mean()):
        raise InputError(
            f"time steps between {steps.min():g} and {steps.max():g} ps; expected rising and even"
        )
