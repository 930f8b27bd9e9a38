"""Which M to take: the verdict on a scan of multiple-time-step runs.

Resonances are not monotonic in M (a step that is a multiple of half a period of one vibration is
worse than a somewhat longer one), so an M counts only if every smaller one that was tried is good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.comparison import Entry, ratio_to_fast

Answer = Literal["good", "bad", "open"]


@dataclass(frozen=True)
class Verdict:
    """What a scan says of one M.

    Attributes
    ----------
    mts : M
    excess : drift of the conserved quantity less that of the slow-only run, meV/atom/ps
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
        No slow-only run to compare with, or a run too short for a drift.
    """
    slow = next((entry for entry in entries if entry.forces == "slow"), None)
    if slow is None:
        raise InputError("the scan has no slow-only run; expected one to compare the others with")
    several = sorted((e for e in entries if e.forces == "mts"), key=lambda entry: entry.mts)
    return [_verdict(entry, slow, entries, tolerance) for entry in several]


def recommend(found: Sequence[Verdict]) -> int | None:
    """The largest M that is good together with every smaller one; None if the smallest isn't."""
    best = None
    for verdict in found:
        if verdict.answer != "good":
            break
        best = verdict.mts
    return best


def _verdict(entry: Entry, slow: Entry, entries: Sequence[Entry], tolerance: float) -> Verdict:
    if entry.runaway_ps is not None or entry.state != "finished":
        ratio = ratio_to_fast(entry, entries)
        return Verdict(entry.mts, math.inf, 0.0, ratio, "bad")
    drift, reference = entry.drift_conserved, slow.drift_conserved
    if drift is None or reference is None:
        raise InputError(f"{entry.name} or {slow.name} is too short for a drift; run longer")
    excess = drift.slope - reference.slope
    ci95 = math.hypot(drift.ci95, reference.ci95)
    return Verdict(
        entry.mts, excess, ci95, ratio_to_fast(entry, entries), _answer(excess, ci95, tolerance)
    )


def _answer(excess: float, ci95: float, tolerance: float) -> Answer:
    if not math.isfinite(ci95):
        return "bad" if abs(excess) > 10 * tolerance else "open"
    if abs(excess) + ci95 <= tolerance:
        return "good"
    return "bad" if abs(excess) - ci95 > tolerance else "open"
