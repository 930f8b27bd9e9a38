"""A run on its way to its last step: what each of its i-PIs did, and how the run ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.directory import keeping, resume
from ncforce_ipi.launch.jobs import record as records
from ncforce_ipi.launch.jobs.job import Job
from ncforce_ipi.launch.progress.agreement import RECORDED
from ncforce_ipi.launch.progress.ending import Ending
from ncforce_ipi.launch.watching.answers import stranger
from ncforce_ipi.launch.watching.drivers import REFILL_STEPS
from ncforce_ipi.launch.watching.supervise import Watch
from ncforce_ipi.rundir import EXIT_FILE, Record

MAX_RECOVERIES = 3
MAX_AT_THE_START = 1  # before the first row: what is wrong from the beginning doesn't mend itself
PAUSE = Ending("stopped", "stopped so that another replica can go on", recoverable=True)
CUT_SHORT = Ending("stopped", "the launcher came to its end before")


@dataclass(frozen=True)
class Outcome:
    """How a run ended and its record, as it stands in ``run.json``."""

    job: Job
    ending: Ending
    record: Record


@dataclass
class Lane:
    """A run on its way to its last step.

    Attributes
    ----------
    input_file : of its next i-PI
    locks : descriptors that hold its directory, which i-PI inherits
    place : its number in a set of replicas
    recoveries : how often i-PI was started again since it last came a good way on
    first_step : after which its first i-PI was started
    ending : how its last i-PI ended; None before
    """

    job: Job
    record: Record
    input_file: str
    locks: Sequence[int]
    place: int = 0
    recoveries: int = 0
    first_step: int | None = None
    ending: Ending | None = None
    outcome: Outcome | None = None


def finish(lane: Lane, watch: Watch) -> None:
    """Judge what an i-PI did, once it is gone; the run ends with that, or goes on in a new one."""
    (lane.job.directory / EXIT_FILE).unlink(missing_ok=True)
    ending = watch.settled(watch.ending or CUT_SHORT)
    if watch.agreement and (RECORDED in lane.record or watch.agreement.n):
        lane.record[RECORDED] = watch.agreement.record(lane.record.get(RECORDED, {}))
    entry = records.segment(lane.job, watch.follower, watch.notices)
    lane.record["segments"].append(entry)
    lane.ending = _audited(watch, entry, ending)
    lane.first_step = watch.from_step if lane.first_step is None else lane.first_step
    if watch.follower.step - watch.from_step >= REFILL_STEPS:
        lane.recoveries = 0
    if _goes_on(lane, watch):
        try:
            lane.input_file = resume.prepare(lane.job.directory, lane.job.recipe.plan.n_outer)
            return
        except InputError as err:
            lane.ending = Ending("failed", f"{lane.ending.reason}; {err}")
    if lane.ending.out_of_time and watch.follower.step == lane.first_step:
        why = f"no step was done in {watch.request.limit}; give a longer --time-limit"
        lane.ending = Ending("failed", why, out_of_time=True)
    lane.outcome = close(lane.job, lane.record, lane.ending)


def _goes_on(lane: Lane, watch: Watch) -> bool:
    """Whether another i-PI shall take the run on."""
    if lane.ending is None or not lane.ending.recoverable:
        return False
    if lane.ending == PAUSE:
        return True
    lane.recoveries += 1
    began = watch.follower.fresh_step is not None
    return lane.recoveries <= (MAX_RECOVERIES if began else MAX_AT_THE_START)


def _audited(watch: Watch, entry: Record, ending: Ending) -> Ending:
    """The ending, unless somebody else has computed forces; adds who did to the segment."""
    needed = watch.needed()
    answers = watch.answers()
    entry["requests"] = {
        role: {"needed": n, "answered_by_our_drivers": answers[role]} for role, n in needed.items()
    }
    reason = stranger(needed, answers)
    return Ending("failed", reason, foreign=True) if reason and not ending.foreign else ending


def close(job: Job, record: Record, ending: Ending) -> Outcome:
    """Write how it ended; the steps that are done are those on the disk."""
    record.pop("processes", None)
    keeping.settle(job.directory)
    record |= {
        "state": ending.state,
        "reason": ending.reason,
        "unphysical": ending.unphysical,
        "foreign_forces": ending.foreign,
        "steps_done": resume.steps_done(job.directory),
        "timings": records.total_timings(record["segments"], job.recipe.plan.mts),
    }
    records.save(job.directory, record, last=True)
    return Outcome(job, ending, record)
