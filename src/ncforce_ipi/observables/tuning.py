"""Which M to take: the verdict on a scan of multiple-time-step runs.

Resonances are not monotonic in M (a step that is a multiple of half a period of one vibration is
worse than a somewhat longer one), so an M counts only if every smaller one that was tried is good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ncforce_ipi.analysis.drift import FEWEST_SAMPLES
from ncforce_ipi.analysis.verdicts import Answer as Kept
from ncforce_ipi.analysis.verdicts import verdict
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.observables.comparison import Entry, ratio_to_fast
from ncforce_ipi.observables.options import Options, discarded

Answer = Literal["good", "bad", "open"]
WORDS: dict[Kept, Answer] = {"passes": "good", "fails": "bad", "open": "open"}


@dataclass(frozen=True)
class Verdict:
    """What a scan says of one M.

    Attributes
    ----------
    mts : M
    excess : drift of the conserved quantity less that of the slow-only run, meV/atom/ps; infinite
        for a run that was stopped or ran away, NaN where one of the two is too short for a drift
    ci95 : half width of its 95 % interval, the two runs' together, meV/atom/ps
    ratio_to_fast : wall time of an inner step over that of the fast-only run; None without one
    answer : "good" if all of the interval is within the tolerance, "bad" if none of it is, "open"
        if a longer run must tell
    """

    mts: int
    excess: float
    ci95: float
    ratio_to_fast: float | None
    answer: Answer


def verdicts(entries: Sequence[Entry], tolerance: float) -> list[Verdict]:
    """One for each M of the scan, ascending; ``tolerance`` meV/atom/ps.

    Raises
    ------
    InputError
        No slow-only run to compare with.
    """
    slow = next((entry for entry in entries if entry.forces == "slow"), None)
    if slow is None:
        raise InputError("the scan has no slow-only run; expected one to compare the others with")
    several = sorted((e for e in entries if e.forces == "mts"), key=lambda entry: entry.mts)
    return [_verdict(entry, slow, entries, tolerance) for entry in several]


def check_lengths(plans: Sequence[Plan]) -> None:
    """Refuse a scan with a run too short for a drift, before any of it runs.

    Raises
    ------
    InputError
        Says which, and for how long they would have to run.
    """
    short = [plan for plan in plans if n_measured(plan) < FEWEST_SAMPLES]
    if not short:
        return
    names = ", ".join(f"M = {plan.mts}" if plan.forces == "mts" else plan.forces for plan in short)
    longest = max(short, key=lambda plan: plan.outer_step_fs)
    raise InputError(
        f"{longest.time_ps:g} ps is too short for a drift with {names}: {n_measured(longest)} "
        f"outer steps of {longest.outer_step_fs:g} fs after the discarded start, expected "
        f"{FEWEST_SAMPLES} or more; give --time-ps {long_enough_ps(longest):g}"
    )


def n_measured(plan: Plan) -> int:
    """Rows of i-PI's properties, one an outer step, after the start that `drift` leaves out."""
    discard_ps = discarded(Options(), plan.time_ps)
    return plan.n_outer + 1 - math.ceil(1e3 * discard_ps / plan.outer_step_fs - 1e-6)


def long_enough_ps(plan: Plan) -> float:
    """Shortest time with this plan's steps that a drift can be had of, ps."""
    longer = plan
    while n_measured(longer) < FEWEST_SAMPLES:
        longer = replace(longer, n_outer=longer.n_outer + 1)
    return longer.time_ps


def recommend(found: Sequence[Verdict]) -> int | None:
    """The largest M that is good together with every smaller one; None if the smallest isn't."""
    best = None
    for one in found:
        if one.answer != "good":
            break
        best = one.mts
    return best


def _verdict(entry: Entry, slow: Entry, entries: Sequence[Entry], tolerance: float) -> Verdict:
    if entry.runaway_ps is not None or entry.state != "finished":
        ratio = ratio_to_fast(entry, entries)
        return Verdict(entry.mts, math.inf, 0.0, ratio, "bad")
    drift, reference = entry.drift_conserved, slow.drift_conserved
    if drift is None or reference is None or entry.series.leaks:
        return Verdict(entry.mts, math.nan, math.nan, ratio_to_fast(entry, entries), answer="open")
    excess = drift.slope - reference.slope
    ci95 = math.hypot(drift.ci95, reference.ci95)
    return Verdict(
        entry.mts,
        excess,
        ci95,
        ratio_to_fast(entry, entries),
        WORDS[verdict(excess, ci95, tolerance)],
    )
