"""Replicas: independent runs side by side, each in a directory of its own, served by one staff.

Each has its own i-PI.  i-PI has one generator of random numbers for all systems of a simulation,
from which its threads draw in the order in which they are scheduled: systems under a thermostat
could be neither repeated nor continued exactly.  So a replica is an ordinary run, step by step the
one that its seed gives alone, and what fails in one doesn't touch the others.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from os.path import lexists
from pathlib import Path

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import preflight
from ncforce_ipi.inputs.recipe import write_input
from ncforce_ipi.launch import run
from ncforce_ipi.launch.directory import claim, holder
from ncforce_ipi.launch.directory.files import check_name, locked
from ncforce_ipi.launch.jobs import record as records
from ncforce_ipi.launch.jobs.job import Job, from_record, service_of_record, to_record
from ncforce_ipi.launch.jobs.staff import Staff
from ncforce_ipi.launch.processes.timelimit import TimeLimit
from ncforce_ipi.launch.progress.ending import Ending
from ncforce_ipi.launch.run import Checked
from ncforce_ipi.launch.segments import rounds
from ncforce_ipi.launch.segments.lane import Lane, Outcome
from ncforce_ipi.launch.sets import Outcomes, Replicas, new_record
from ncforce_ipi.provenance import command_line
from ncforce_ipi.rundir import INPUT_FILE, Record, read_record, replica_directories

log = logging.getLogger(__name__)


def start(replicas: Replicas, force: bool = False, limit: TimeLimit | None = None) -> Outcomes:
    """Run a set in a new directory, or with ``force`` where an earlier run is moved aside.

    Parameters
    ----------
    limit : of wall time, before whose end it stops
    """
    directory, common = replicas.common.directory, replicas.common
    claim.check(directory, force)
    checked = _checked(replicas)
    record = new_record(replicas)

    def first_files() -> None:
        if there := next(filter(lexists, [job.directory for job in replicas.jobs]), None):
            raise InputError(f"{there} is there already, and no replica of ours; move it away")
        records.save(directory, record)
        for one in checked:
            one.job.directory.mkdir()
            records.save(one.job.directory, one.record)
            write_input(one.job.directory, one.job.recipe, one.atoms)

    with claim.claimed(directory, force, first_files) as lock, ExitStack() as stack:
        _say(replicas)
        lanes = []
        for place, one in enumerate(checked):
            own = stack.enter_context(locked(one.job.directory))
            lanes.append(Lane(one.job, one.record, INPUT_FILE, [own, lock], place))
        return _run(common, record, lanes, {}, limit)


def _checked(replicas: Replicas) -> list[Checked]:
    """All of them; each start is read, and each warning said, once."""
    read = {}
    for job in replicas.jobs:
        if (job.structure, job.velocities) not in read:
            read[job.structure, job.velocities] = run.start_of(job)
    looked = [run.looked_at(job, read[job.structure, job.velocities]) for job in replicas.jobs]
    total_MB = sum(found.disk_MB for _, found in looked)
    warnings = [warning for _, found in looked for warning in found.warnings]
    warnings += preflight.space_warnings(replicas.common.directory, total_MB)
    for warning in dict.fromkeys(warnings):
        log.warning("%s", warning)
    return [checked for checked, _ in looked]


def _say(replicas: Replicas) -> None:
    """What makes them differ."""
    recipes = [job.recipe for job in replicas.jobs]
    start = "all with the velocities of --velocities" if replicas.common.velocities else (
        "random start velocities each"
    )  # fmt: skip
    log.info(
        "%d replicas, seeds %d to %d: %s",
        len(recipes), recipes[0].seed, recipes[-1].seed, start,
    )  # fmt: skip


def go_on(
    directory: Path, time_ps: float | None = None, limit: TimeLimit | None = None
) -> Outcomes:
    """Continue every replica of a set that isn't done, bitwise; done ones if ``time_ps`` is longer.

    Raises
    ------
    InputError
        None can go on.
    """
    read_record(directory)
    check_name(directory)
    with locked(directory) as lock, ExitStack() as stack:
        record = read_record(directory)
        going: list[Lane] = []
        kept: dict[str, Ending] = {}
        for place, path in enumerate(replica_directories(directory)):
            try:
                own = stack.enter_context(locked(path))
                found = _found(path, [own, lock], time_ps)
            except InputError as err:
                kept[path.name] = Ending("failed", str(err))
                continue
            if isinstance(found, Lane):
                going.append(replace(found, place=place))
            else:
                kept[path.name] = found
        going = _ready(going, kept)
        if not going:
            return _nothing_to_do(directory, record, kept)
        common = _common(directory, record, going[0].job)
        record |= {"command": command_line(), "plan": to_record(common)["plan"]}
        return _run(common, record, going, kept, limit)


def _found(path: Path, locks: Sequence[int], time_ps: float | None) -> Lane | Ending:
    """A replica that can go on; else how it ended."""
    record = read_record(path)
    if record.get("unphysical") or record.get("foreign_forces"):
        return _earlier(record)
    found = run.prepared(path, locks, time_ps)
    if isinstance(found, Outcome):
        return found.ending
    steps = record.get("steps_done") or 0
    done = record["state"] == "finished" and steps >= found.job.recipe.plan.n_outer
    return _earlier(record) if done else found


def _earlier(record: Record) -> Ending:
    """How a replica ended, as its record has it."""
    return Ending(
        record.get("state") or "failed",
        record.get("reason") or "",
        unphysical=bool(record.get("unphysical")),
        foreign=bool(record.get("foreign_forces")),
    )


def _ready(going: Sequence[Lane], kept: dict[str, Ending]) -> list[Lane]:
    """Those whose files could be made ready to go on; the others are added to those kept."""
    ready = []
    for lane in going:
        try:
            run.to_go_on(lane)
        except InputError as err:
            kept[lane.job.directory.name] = Ending("failed", str(err))
        else:
            ready.append(lane)
    return ready


def _common(directory: Path, record: Record, job: Job) -> Job:
    """What all have in common."""
    recipe = replace(job.recipe, service=service_of_record(record))
    return replace(job, directory=directory, recipe=recipe)


def _nothing_to_do(directory: Path, record: Record, kept: Mapping[str, Ending]) -> Outcomes:
    """The ends that were found, where they are news; else why nothing can go on."""
    path = next(iter(replica_directories(directory)))
    common = _common(directory, record, from_record(path, read_record(path)))
    if record.get("state") == "finished":
        raise InputError(
            f"all replicas of {directory} have done their steps; give a longer --time-ps to go on"
        )
    outcomes = _outcomes(common, kept)
    _close(record, outcomes)
    return outcomes


def _run(
    common: Job,
    record: Record,
    lanes: Sequence[Lane],
    kept: Mapping[str, Ending],
    limit: TimeLimit | None,
) -> Outcomes:
    """Run those that have steps to do, and write how the set ended."""
    record |= {"state": "running", "reason": "", "processes": holder.of_this_launcher()}
    records.save(common.directory, record)
    try:
        found = rounds.run(lanes, Staff(common, shared=True, record=record), limit)
    except BaseException as err:
        record |= {"state": "failed", "reason": f"{type(err).__name__}: {err}"}
        record.pop("processes", None)
        records.save(common.directory, record, last=True)
        raise
    new = {outcome.job.directory.name: outcome.ending for outcome in found}
    outcomes = _outcomes(common, {**kept, **new})
    _close(record, outcomes)
    return outcomes


def _outcomes(common: Job, endings: Mapping[str, Ending]) -> Outcomes:
    """In the order of the replicas."""
    directory = common.directory
    names = sorted(endings)
    found = {name: _record_of(directory / name) for name in names}
    return Outcomes(directory, common, {name: endings[name] for name in names}, found)


def _record_of(path: Path) -> Record:
    """Of a replica; empty if it can't be read."""
    try:
        return read_record(path)
    except InputError:
        return {}


def _close(record: Record, outcomes: Outcomes) -> None:
    """Write how a set ended."""
    state, reason = "finished", ""
    if outcomes.failed:
        state, reason = "failed", outcomes.complaint()
    elif outcomes.stopped:
        state, reason = "stopped", outcomes.stopped.reason
    record.pop("processes", None)
    record |= {"state": state, "reason": reason}
    records.save(outcomes.directory, record, last=True)
