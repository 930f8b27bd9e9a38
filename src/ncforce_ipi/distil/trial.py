"""The test of a pair: a multiple-time-step run beside slow forces alone, from one start.

Owns what is compared and when a pair passes.  Each answer is "passes", "fails" or "open"; a
question is open where a run is too short to tell.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.analysis.verdicts import Answer
from ncforce_ipi.distil.points import outer_points
from ncforce_ipi.distil.state import plain
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import rdf, temperature
from ncforce_ipi.observables.comparison import Entry, entry_of
from ncforce_ipi.observables.dataset import Dataset, open_dataset
from ncforce_ipi.observables.tuning import verdicts

log = logging.getLogger(__name__)
BIN_A = 0.05
LIKE, UNLIKE = 1.5, 2.5  # RMS over bins of (difference of g) / (its standard error)
SIGMAS = 3.0  # of a difference of temperatures
OF_DRIFT: dict[str, Answer] = {"good": "passes", "bad": "fails", "open": "open"}


@dataclass(frozen=True)
class Trial:
    """One multiple-time-step run beside the reference; units in the names, NaN where unknown.

    Attributes
    ----------
    mts : M
    ended : why the run was stopped; empty if it came to its end
    drift_meV_per_atom_per_ps, drift_ci95_meV_per_atom_per_ps : of the conserved quantity
    excess_meV_per_atom_per_ps, excess_ci95_meV_per_atom_per_ps : beyond that of slow forces alone;
        the interval is wide where their run is short, so that a drift passes by its own as well
    bound_meV_per_atom_per_ps : what the conserved quantities of both runs changed at most in their
        time, over that time: no drift in them was larger, however short the runs
    answers : by question: drift, g(r) of each pair, T of each species
    temperatures_K, reference_temperatures_K : means by species
    rdf_sigmas : by pair: RMS over bins of the difference over its standard error
    ms_per_inner_step : wall time
    reference_ms_per_inner_step : of slow forces alone: a slow call in this same run, since another
        run may have shared the machine with others; where it isn't known, the reference's wall time
    rms_eV_per_A : slow - fast at outer points: of all, and the largest of one frame
    time_ps : of the run
    by_bound : whether the drift passes by the bound alone: the interval is too wide to tell
    telling_ps : where the drift is open, how long a run would tell; NaN where that isn't known
    """

    mts: int
    ended: str
    drift_meV_per_atom_per_ps: float
    drift_ci95_meV_per_atom_per_ps: float
    excess_meV_per_atom_per_ps: float
    excess_ci95_meV_per_atom_per_ps: float
    bound_meV_per_atom_per_ps: float
    answers: Mapping[str, Answer]
    temperatures_K: Mapping[str, float]
    reference_temperatures_K: Mapping[str, float]
    rdf_sigmas: Mapping[str, float]
    ms_per_inner_step: float
    reference_ms_per_inner_step: float
    rms_eV_per_A: float
    largest_rms_eV_per_A: float
    time_ps: float
    by_bound: bool = False
    telling_ps: float = math.nan

    @property
    def passes(self) -> bool:
        """Whether the drift is shown to be small and nothing else is shown to differ."""
        return self.answers["drift"] == "passes" and "fails" not in self.answers.values()

    @property
    def fails(self) -> bool:
        """Whether something is shown to be wrong."""
        return "fails" in self.answers.values()

    @property
    def speed_up(self) -> float:
        """Of the run against slow forces alone, measured."""
        return self.reference_ms_per_inner_step / self.ms_per_inner_step

    @property
    def reasons(self) -> list[str]:
        """Why it doesn't pass."""
        if self.ended:
            return [self.ended]
        return [
            f"{name} differs" if name != "drift" else f"drift {self._drift()}"
            for name, answer in self.answers.items()
            if answer == "fails"
        ] + [f"drift {self._drift()}: open{self._telling()}"] * (self.answers["drift"] == "open")

    def _telling(self) -> str:
        known = math.isfinite(self.telling_ps)
        return f", a run of about {self.telling_ps:.2g} ps would tell" if known else ""

    def _drift(self) -> str:
        size = f"{self.excess_meV_per_atom_per_ps:.2g} meV/atom/ps beyond slow only"
        if math.isfinite(self.excess_ci95_meV_per_atom_per_ps):
            return f"{size} (+- {self.excess_ci95_meV_per_atom_per_ps:.2g})"
        return f"{size} (at most {self.bound_meV_per_atom_per_ps:.2g})"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = plain(vars(self))
        return found

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Trial:
        """What `to_dict` gave."""
        return cls(**{key: _number(value) for key, value in record.items()})


def _number(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _number(one) for key, one in value.items()}
    return math.nan if value is None else value


def judge(directory: Path, reference: Path, tolerance: float) -> Trial:
    """Compare the run in a directory with the one of slow forces alone.

    Parameters
    ----------
    tolerance : of the drift beyond that of slow forces alone, meV/atom/ps
    """
    data, base = open_dataset([directory]), open_dataset([reference])
    entry, slow = entry_of(data), entry_of(base)
    ran = entry.state == "finished" and entry.runaway_ps is None
    (drift,) = verdicts([slow, entry], tolerance)
    bound = _bound(entry) + _bound(slow)
    own = entry.drift_conserved
    largest = abs(own.slope) + own.ci95 if own else math.nan
    of_drift, by_bound = of_drift_or(OF_DRIFT[drift.answer], largest, bound, tolerance)
    answers: dict[str, Answer] = {"drift": of_drift}
    sigmas: dict[str, float] = {}
    means: dict[str, float] = {}
    base_means: dict[str, float] = {}
    if ran:
        sigmas, of_rdf = _rdfs(data, base)
        means, base_means, of_temperature = _temperatures(data, base)
        of_means = of_rdf | of_temperature
        if not (_stationary(entry) and _stationary(slow)):
            of_means = {k: "open" if v == "fails" else v for k, v in of_means.items()}
        answers |= of_means
    points = outer_points(directory)
    return Trial(
        mts=entry.mts,
        ended="" if ran else entry.reason or "it ran away",
        drift_meV_per_atom_per_ps=own.slope if own else math.nan,
        drift_ci95_meV_per_atom_per_ps=own.ci95 if own else math.nan,
        excess_meV_per_atom_per_ps=drift.excess,
        excess_ci95_meV_per_atom_per_ps=drift.ci95,
        bound_meV_per_atom_per_ps=bound,
        answers=answers,
        temperatures_K=means,
        reference_temperatures_K=base_means,
        rdf_sigmas=sigmas,
        ms_per_inner_step=entry.ms_per_inner_step or math.nan,
        reference_ms_per_inner_step=_slow_ms(entry) or slow.ms_per_inner_step or math.nan,
        rms_eV_per_A=float(np.sqrt(np.mean(points.rms**2))),
        largest_rms_eV_per_A=float(points.rms.max()),
        time_ps=float(entry.time_ps[-1]),
        by_bound=by_bound,
        telling_ps=telling_ps(float(entry.time_ps[-1]), own.ci95, tolerance)
        if own and of_drift == "open"
        else math.nan,
    )


def of_drift_or(
    answer: Answer, largest: float, bound: float, tolerance: float
) -> tuple[Answer, bool]:
    """The answer about a drift, and whether it is known from the bound alone.

    Parameters
    ----------
    answer : of the drift beyond that of slow forces alone, whose run may be too short to tell
    largest : end of the interval of the run's own drift, meV/atom/ps; NaN without one
    bound : of what the conserved quantities changed by, meV/atom/ps
    """
    if answer != "open" or largest <= tolerance:
        return ("passes" if answer == "open" else answer), False
    return ("passes", True) if bound <= tolerance else ("open", False)


def telling_ps(time_ps: float, ci95: float, tolerance: float) -> float:
    """How long a run is whose drift has an interval as narrow as the tolerance, ps.

    Work that the errors of direct forces do adds up at random, so that an interval shrinks with the
    square root of the time.  NaN where it is that narrow already: the drift is near the tolerance,
    and no time can be promised.

    Parameters
    ----------
    time_ps, ci95 : of a run, and half the width of its interval, meV/atom/ps
    tolerance : meV/atom/ps
    """
    return time_ps * (ci95 / tolerance) ** 2 if ci95 > tolerance else math.nan


def _bound(entry: Entry) -> float:
    """Range of the conserved quantity over the time, meV/atom/ps; NaN without one."""
    if entry.drift is None or entry.series.leaks:
        return math.nan
    part = entry.drift.part
    if part.conserved_meV is None:
        return math.nan
    return float(np.ptp(part.conserved_meV) / np.ptp(part.time_ps))


def _slow_ms(entry: Entry) -> float | None:
    """Model time of a slow call in a run, ms; None where its drivers left no report."""
    model_s = (entry.record.get("timings") or {}).get("model_s") or {}
    calls = int(entry.record.get("steps_done") or 0) + 1
    return 1e3 * float(model_s["slow"]) / calls if model_s.get("slow") and calls > 1 else None


def _stationary(entry: Entry) -> bool:
    """Whether the temperature has no trend; else means over different times differ anyway."""
    return entry.drift_temperature is None or not entry.drift_temperature.significant


def _rdfs(data: Dataset, base: Dataset) -> tuple[dict[str, float], dict[str, Answer]]:
    """How far each g(r) is from the reference's, in standard errors; open without errors."""
    try:
        r_max = min(rdf.measure(one).r_max_A for one in (data, base))
        n_bins = max(10, int(r_max / BIN_A))
        found, other = (rdf.measure(one, r_max_A=r_max, n_bins=n_bins) for one in (data, base))
    except InputError as err:
        log.info("g(r) isn't compared: %s", err)
        return {}, {"g(r)": "open"}
    sigmas: dict[str, float] = {}
    answers: dict[str, Answer] = {}
    for pair in found:
        one, two = found[pair], other[pair]
        error = np.hypot(one.error, two.error)
        counted = error > 0.0
        name = f"g({'-'.join(pair)})"
        off = (one.g - two.g)[counted] / error[counted]
        known = len(off) > 0 and bool(np.isfinite(off).all())
        sigmas[name] = float(np.sqrt(np.mean(off**2))) if known else math.nan
        answers[name] = _of_sigmas(sigmas[name])
    return sigmas, answers


def _of_sigmas(value: float) -> Answer:
    if not math.isfinite(value) or LIKE < value <= UNLIKE:
        return "open"
    return "passes" if value <= LIKE else "fails"


def _temperatures(
    data: Dataset, base: Dataset
) -> tuple[dict[str, float], dict[str, float], dict[str, Answer]]:
    """Means of both runs by species, and whether they differ by more than their errors."""
    try:
        one, two = temperature.measure(data).means, temperature.measure(base).means
    except InputError as err:
        log.info("temperatures aren't compared: %s", err)
        return {}, {}, {"T": "open"}
    answers: dict[str, Answer] = {}
    for name in one.keys() & two.keys():
        error = math.hypot(one[name].error, two[name].error)
        off = abs(one[name].value - two[name].value)
        known = math.isfinite(error)
        answers[f"T({name})"] = (
            ("passes" if off <= SIGMAS * error else "fails") if known else "open"
        )
    return (
        {name: mean.value for name, mean in one.items()},
        {name: mean.value for name, mean in two.items()},
        dict(sorted(answers.items())),
    )
