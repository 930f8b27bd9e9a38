"""How long a run will take: ns of physical time in a day, and how many jobs of a time limit."""

from __future__ import annotations

import math

from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch.processes.timelimit import TimeLimit, spare_s
from ncforce_ipi.launch.progress.follower import Follower
from ncforce_ipi.rundir import Record

DAY_S = 86400.0
FS_PER_NS = 1e6


def ns_per_day(seconds_of_a_step: float, outer_step_fs: float) -> float:
    """Physical time that a day of wall time gives, ns; NaN where it isn't known."""
    if not seconds_of_a_step > 0:
        return math.nan
    return DAY_S / seconds_of_a_step * outer_step_fs / FS_PER_NS


def more_jobs(to_go_s: float, limit: TimeLimit, start_s: float = 0.0) -> int:
    """How many jobs of this limit must follow the present one.

    Parameters
    ----------
    to_go_s : what the steps that are left take, seconds
    start_s : what a job takes until its first step, seconds
    """
    here_s = max(0.0, limit.left_s - spare_s(limit.seconds))
    later_s = limit.seconds - spare_s(limit.seconds) - start_s
    if to_go_s <= here_s or not math.isfinite(limit.seconds):
        return 0
    return math.ceil((to_go_s - here_s) / later_s) if later_s > 0 else 1


def jobs_text(follower: Follower, to_go_s: float, limit: TimeLimit) -> str:
    """``, 2 more jobs of 24:00:00``; empty if this one will do."""
    n = more_jobs(to_go_s, limit, max(0.0, follower.fresh_s - limit.begun_s))
    return f", {_jobs(n)} of {limit}" if n else ""


def of_what_is_left(record: Record, plan: Plan, limit: TimeLimit) -> str:
    """What is still to be done of a run that stopped: time, and jobs; empty if it isn't known."""
    ms = record["timings"].get("ms_per_inner_step")
    if not ms:
        return ""
    step_s = 1e-3 * ms * plan.mts
    to_go_s = (plan.n_outer - record["steps_done"]) * step_s
    text = f"{ns_per_day(step_s, plan.outer_step_fs):.3g} ns/day, {clock(to_go_s)} to go"
    n = more_jobs(to_go_s, TimeLimit(limit.seconds)) + 1
    return text + (f", about {_jobs(n)} of {limit}" if math.isfinite(limit.seconds) else "")


def jobs_in_all(to_go_s: float, limit: TimeLimit) -> str:
    """How many jobs of a limit a piece of work takes that hasn't begun: ``3 jobs of 04:00:00``."""
    n = more_jobs(to_go_s, TimeLimit(limit.seconds)) + 1
    return f"{n} job{'s' * (n > 1)} of {limit}"


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _jobs(n: int) -> str:
    return f"{n} more job{'s' * (n > 1)}"
