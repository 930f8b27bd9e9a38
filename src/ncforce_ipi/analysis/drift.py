"""Drift: the slope of a time series, with an interval that knows of autocorrelation.

Owns the fit.  Knows no file and no plot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.longrun import ROUNDING, long_run
from ncforce_ipi.analysis.statistics import (
    half_width_95,
    interval_of_replicas,
    number_text,
    require_finite,
)
from ncforce_ipi.analysis.verdicts import Answer, verdict
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import U_A2_PER_FS2_EV

FEWEST_SAMPLES = 10
GIGAKELVIN_PER_S_PER_K_PER_PS = 1e12 / 1e9
"""1 K/ps in 1e9 K/s, the "billion degrees per second" of Bigi, Langer, Ceriotti (2025)."""
LAMBENCH_MEV_PER_ATOM_PER_PS = 0.5
"""Drift that LAMBench's paper tolerates, 5e-4 eV/atom/ps with a ps of 1000 fs; what is meant here
by LAMBench where nothing else is said."""
ASE_TIME_FS = math.sqrt(U_A2_PER_FS2_EV)
"""ASE's unit of time, A sqrt(u/eV), in fs: 1 / ``ase.units.fs`` = 10.18."""
LAMBENCH_CODE_MEV_PER_ATOM_PER_PS = LAMBENCH_MEV_PER_ATOM_PER_PS / ASE_TIME_FS
"""What LAMBench's code amounts to with the same 5e-4.  Its task for NVE takes the slope over
``steps * timestep * ase.units.fs``, a time in units of 10.18 fs, and multiplies by 1000: what it
calls eV/atom/ps is eV/atom in 10.18 ps.  0.049 meV/atom/ps, ten times stricter."""
MLIPAUDIT_PS = 50.0
"""Length of mlipaudit's runs.  Its ratio of a drift to a fluctuation grows with the length."""
PARTS = (5, 6, 7)
"""A short run is cut into so many parts; several numbers, for a period may fit into one."""
FEWEST_IN_A_PART = 4
EVEN = 1e-3
DIGITS = 2e-8
"""Times are even to a thousandth of a step, or to the 8 digits with which i-PI writes them."""


@dataclass(frozen=True)
class Drift:
    """A straight line through a time series.

    Attributes
    ----------
    slope : unit of the series per ps
    ci95 : half width of the 95 % confidence interval of the slope, same unit; where the residuals
        don't hold about 25 of their memories NaN, or a generous one
    start : the line's value at the first fitted time, unit of the series
    start_ps, end_ps : first and last fitted time, ps
    n_samples : samples fitted
    n_independent : samples that are independent of each other, ``n_samples / g``
    reason : why there is no interval; empty where there is one
    """

    slope: float
    ci95: float
    start: float
    start_ps: float
    end_ps: float
    n_samples: int
    n_independent: float
    reason: str = ""

    def at(self, time_ps: NDArray[np.float64]) -> NDArray[np.float64]:
        """The line at the times ``(n_samples,)``, ps; unit of the series."""
        return self.start + self.slope * (time_ps - self.start_ps)

    def scaled(self, factor: float) -> Drift:
        """The same drift in another unit: ``factor`` new units for one old unit."""
        return replace(
            self,
            slope=self.slope * factor,
            ci95=self.ci95 * abs(factor),
            start=self.start * factor,
        )

    def text(self, unit: str) -> str:
        """Slope and 95 % interval, or the reason why there is none."""
        return number_text(self.slope, self.ci95, unit, self.reason)

    def verdict(self, limit: float) -> Answer:
        """Whether the slope keeps a limit, in its unit per ps."""
        return verdict(self.slope, self.ci95, limit)

    @property
    def significant(self) -> bool:
        """Whether zero lies outside the confidence interval; False where there is none."""
        return abs(self.slope) > self.ci95


def fit_drift(
    time_ps: NDArray[np.float64],
    value: NDArray[np.float64],
    *,
    up_to: NDArray[np.bool_] | None = None,
    always: bool = False,
) -> Drift:
    """Least-squares slope of ``value`` over ``time_ps`` and its 95 % confidence interval.

    slope = sum (t - <t>)(x - <x>) / S_tt with S_tt = sum (t - <t>)^2.  Its variance is
    Gamma / S_tt: white residuals would give C(0) in the place of the long-run variance Gamma
    (`longrun.long_run`), which is right for any stationary residuals as long as the series is
    much longer than their memory.  The half width is Student's t times the standard error.  With
    fewer than about 25 memories there is none, or, if one is asked for, a generous one from the
    slopes of parts of the series (`_of_parts`).  A series without fluctuations, but for rounding,
    has an interval of 0.

    Parameters
    ----------
    time_ps : ``(n_samples,)``, ps, evenly spaced and rising
    value : ``(n_samples,)``, any unit
    up_to : ``(n_samples,)``, optional; only samples where it is True are fitted
    always : give short series an interval too.  It is for comparing with a tolerance: that it holds
        0 doesn't show a series to be stationary

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
    scale = float(np.abs(value).max())
    if abs(slope) * float(np.ptp(centred_ps)) <= ROUNDING * scale:
        slope = 0.0  # of a constant
    spread = long_run(residuals, n_fitted=2, scale=scale)
    ci95 = math.nan
    if spread.enough:
        ci95 = half_width_95(math.sqrt(spread.variance / s_tt), spread.dof)
    elif always:
        ci95 = _of_parts(centred_ps, value)
    return Drift(
        slope=slope,
        ci95=ci95,
        start=average + slope * float(centred_ps[0]),
        start_ps=float(time_ps[0]),
        end_ps=float(time_ps[-1]),
        n_samples=len(value),
        n_independent=spread.n_independent,
        reason=spread.reason if math.isnan(ci95) else "",
    )


def _of_parts(time_ps: NDArray[np.float64], value: NDArray[np.float64]) -> float:
    """Half width of the 95 % interval of the slope, from the slopes of equal parts.

    Student's t of five, six and seven parts, the widest.  It needs no memory to be known: where the
    series is a random walk (heating that is independent from step to step) the parts' slopes are
    independent; where it returns to the line, what one part overshoots the next takes back, and
    the interval is too wide.  Coverage with noise of memory tau in a run of length T::

        tau / T          0.004  0.04   0.1    0.2    0.5     1       random walk
        right            100 %  100 %  100 %  100 %  99.7 %  99.6 %  98.8 %
        width / needed   8.9    6.5    4.2    2.9    2.0     1.8     1.5

    (3000 series of 700 samples each.)  A swing with less than two thirds of a period in the run
    looks like a drift to anybody.
    """
    if len(value) < max(PARTS) * FEWEST_IN_A_PART:
        return math.nan
    widths = []
    for n_parts in PARTS:
        length = len(value) // n_parts
        times = time_ps[: n_parts * length].reshape(n_parts, length)
        values = value[: n_parts * length].reshape(n_parts, length)
        centred = times - times.mean(axis=1, keepdims=True)
        off = values - values.mean(axis=1, keepdims=True)
        slopes = (centred * off).sum(axis=1) / (centred**2).sum(axis=1)
        widths.append(interval_of_replicas(slopes.tolist())[1])
    return max(widths)


@dataclass(frozen=True)
class Tolerances:
    """What two benchmarks of the field say of a drift of the conserved quantity.

    Attributes
    ----------
    lambench, lambench_code : LAMBench's tolerance as its paper states it, and as its code has it
    ratio : |drift over the run| / standard deviation of the kinetic energy; NaN if that is 0
    ratio_50_ps, mlipaudit : the same over 50 ps as in mlipaudit, which asks for 1 at most
    run_ps : length of the run, ps
    """

    lambench: Answer
    lambench_code: Answer
    ratio: float
    ratio_50_ps: float
    mlipaudit: Answer
    run_ps: float

    def numbers(self) -> dict[str, float | str]:
        """For files."""
        return {
            "lambench": self.lambench,
            "lambench_as_coded": self.lambench_code,
            "drift_over_sigma_kinetic": self.ratio,
            "drift_over_sigma_kinetic_in_50_ps": self.ratio_50_ps,
            "mlipaudit": self.mlipaudit,
        }

    def lines(self) -> list[str]:
        """For people."""
        ratios = "the kinetic energy is constant, and there is no ratio to its fluctuation"
        if math.isfinite(self.ratio):
            ratios = (
                f"|drift in {MLIPAUDIT_PS:g} ps| / sigma(K) = {self.ratio_50_ps:.2g}, at most 1; "
                f"{self.ratio:.2g} over this run's {self.run_ps:.4g} ps"
            )
        return [
            f"LAMBench: {self.lambench} (tolerance {LAMBENCH_MEV_PER_ATOM_PER_PS:g} meV/atom/ps; "
            f"with the {LAMBENCH_CODE_MEV_PER_ATOM_PER_PS:.2g} that its code amounts to: "
            f"{self.lambench_code})",
            f"mlipaudit: {self.mlipaudit} ({ratios})",
        ]


def tolerances(energy: Drift, sigma_kinetic_meV: float) -> Tolerances:
    """Compare a drift with the tolerances of LAMBench and of mlipaudit (and ml-peg).

    Parameters
    ----------
    energy : of the conserved quantity, meV/atom/ps
    sigma_kinetic_meV : standard deviation of the kinetic energy, meV/atom
    """
    run_ps = energy.end_ps - energy.start_ps
    per_ps = 1.0 / sigma_kinetic_meV if sigma_kinetic_meV > 0.0 else math.nan
    over_50 = energy.scaled(MLIPAUDIT_PS * per_ps)
    return Tolerances(
        lambench=energy.verdict(LAMBENCH_MEV_PER_ATOM_PER_PS),
        lambench_code=energy.verdict(LAMBENCH_CODE_MEV_PER_ATOM_PER_PS),
        ratio=abs(energy.slope) * run_ps * per_ps,
        ratio_50_ps=abs(over_50.slope),
        mlipaudit=over_50.verdict(1.0),
        run_ps=run_ps,
    )


def _require_series(time_ps: NDArray[np.float64], value: NDArray[np.float64]) -> None:
    if len(time_ps) < FEWEST_SAMPLES:
        raise InputError(
            f"{len(time_ps)} samples; expected at least {FEWEST_SAMPLES} for a drift: "
            "run longer or write output more often"
        )
    require_finite(time_ps, "time")
    require_finite(value, "value")
    steps = np.diff(time_ps)
    step_ps = float(time_ps[-1] - time_ps[0]) / len(steps)
    off_ps = np.abs(time_ps - time_ps[0] - step_ps * np.arange(len(time_ps))).max()
    allowed_ps = max(EVEN * step_ps, DIGITS * float(np.abs(time_ps).max()))
    if not (steps.min() > 0 and off_ps <= min(allowed_ps, 0.1 * step_ps)):
        raise InputError(
            f"time steps between {steps.min():g} and {steps.max():g} ps; expected rising and even"
        )
