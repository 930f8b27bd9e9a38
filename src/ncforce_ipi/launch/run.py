"""One run from its job to its end: directory, checks, record, going on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import preflight
from ncforce_ipi.inputs.masses import with_masses
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.preflight import Preflight
from ncforce_ipi.inputs.recipe import input_xml, write_input
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.launch.directory import claim, resume
from ncforce_ipi.launch.directory.files import check_name, locked
from ncforce_ipi.launch.engine.addresses import check_addresses
from ncforce_ipi.launch.jobs import record as records
from ncforce_ipi.launch.jobs.door import Remote
from ncforce_ipi.launch.jobs.job import Job, from_record, to_record
from ncforce_ipi.launch.jobs.staff import Staff
from ncforce_ipi.launch.processes.timelimit import TimeLimit
from ncforce_ipi.launch.progress.ending import Ending, judged
from ncforce_ipi.launch.progress.follower import Follower
from ncforce_ipi.launch.segments import rounds
from ncforce_ipi.launch.segments.lane import Lane, Outcome, close
from ncforce_ipi.provenance import command_line
from ncforce_ipi.rundir import INPUT_FILE, PROPERTIES_FILE, Record, read_record

if TYPE_CHECKING:
    from ase import Atoms

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checked:
    """A job of which all was checked that can be without i-PI and the model's library."""

    job: Job
    atoms: Atoms
    record: Record


def check_all(jobs: Sequence[Job]) -> dict[str, Checked]:
    """Check jobs of one start, which is read once, by their names."""
    checked: dict[str, Checked] = {}
    for job in jobs:
        first = next(iter(checked.values()), None)
        checked[job.name] = check(job, first.atoms if first else None)
    return checked


def check(job: Job, atoms: Atoms | None = None) -> Checked:
    """Read and check all that a new run needs; touches nothing.

    Parameters
    ----------
    atoms : of the start, where it was read already
    """
    if atoms is None:
        atoms = start_of(job)
    checked, found = looked_at(job, atoms)
    for warning in (*found.warnings, *preflight.space_warnings(job.directory, found.disk_MB)):
        log.warning("%s", warning)
    return checked


def looked_at(job: Job, atoms: Atoms) -> tuple[Checked, Preflight]:
    """Check all that a new run of these atoms needs, and say nothing."""
    check_addresses(job.recipe.transport, job.recipe.plan.components)
    found = preflight.check(job.recipe, atoms)
    input_xml(job.recipe, atoms)
    return Checked(job, atoms, records.new_record(job, atoms)), found


def start_of(job: Job) -> Atoms:
    """The atoms that a run starts with."""
    atoms = read_structure(job.structure, job.velocities)
    return with_masses(atoms, job.masses, job.recipe.ensemble.beads)


def start(job: Job, force: bool = False, limit: TimeLimit | None = None) -> Outcome:
    """Run a job in a new directory, or with ``force`` where an earlier run is moved aside.

    Parameters
    ----------
    limit : of wall time, before whose end it stops
    """
    claim.check(job.directory, force)  # first, before many warnings
    return begin(check(job), force, limit)


def begin(checked: Checked, force: bool = False, limit: TimeLimit | None = None) -> Outcome:
    """Run a job that was checked."""
    job, record = checked.job, checked.record

    def first_files() -> None:
        records.save(job.directory, record)
        write_input(job.directory, job.recipe, checked.atoms)

    with claim.claimed(job.directory, force, first_files) as lock:
        return _alone(Lane(job, record, INPUT_FILE, [lock]), limit)


def _alone(lane: Lane, limit: TimeLimit | None) -> Outcome:
    """Run one with drivers of its own."""
    (outcome,) = rounds.run([lane], Staff(lane.job), limit)
    return outcome


def go_on(
    directory: Path,
    time_ps: float | None = None,
    limit: TimeLimit | None = None,
    remote: Remote | None = None,
) -> Outcome:
    """Continue the run in a directory, bitwise.

    Parameters
    ----------
    time_ps : its new total time, if it shall be longer
    limit : of the wall time
    remote : where drivers of other machines come now, if that is elsewhere than before
    """
    read_record(directory)  # where no run is, no lock is made
    check_name(directory)
    with locked(directory) as lock:
        going = prepared(directory, [lock], time_ps)
        if isinstance(going, Outcome):
            return going
        going.job = replace(going.job, remote=remote) if remote else going.job
        transport, components = going.job.recipe.transport, going.job.recipe.plan.components
        if remote and transport.port is not None:
            raise InputError(
                f"i-PI listens on port {transport.port} in this run, and --remote needs private "
                "sockets behind it; leave --remote out to go on with it"
            )
        check_addresses(transport, components)
        for warning in transport.warnings(components):
            log.warning("%s", warning)
        to_go_on(going)
        return _alone(going, limit)


def prepared(directory: Path, locks: Sequence[int], time_ps: float | None) -> Lane | Outcome:
    """A run that can go on, or the end that it came to unseen; only the latter is written."""
    record = read_record(directory)
    _check_whole(directory, record)
    _check_forces(record)
    job = extended(from_record(directory, record), time_ps)
    if record["state"] == "running":
        log.info("the launcher of the run in %s was killed; looking at what is there", directory)
        if ending := _unwatched(job, record):
            return close(job, record, ending)
    _check_models(job, record)
    checkpoint = resume.best_checkpoint(directory)
    at_the_end = checkpoint is not None and checkpoint.step == job.recipe.plan.n_outer
    if at_the_end and record["state"] != "finished":
        return close(job, record, Ending("finished"))  # its launcher was killed
    return Lane(job, record, "", locks)


def to_go_on(lane: Lane) -> None:
    """Make its directory and record ready to go on."""
    lane.input_file = resume.prepare(lane.job.directory, lane.job.recipe.plan.n_outer)
    now = to_record(lane.job)
    lane.record |= {"command": command_line(), "plan": now["plan"], "driver": now["driver"]}


def _unwatched(job: Job, record: Record) -> Ending | None:
    """What a launcher would have said of the rows that i-PI wrote after it was killed."""
    follower = Follower(job.directory / PROPERTIES_FILE)
    rows, reference_K = follower.update(), job.recipe.temperature_K
    if follower.first is None:
        return None
    return judged(rows, follower.first, reference_K, record["n_atoms"], job.limits)


def extended(job: Job, time_ps: float | None) -> Job:
    """The job with another total time, ps; the same where none is given."""
    if time_ps is None:
        return job
    old = job.recipe.plan
    plan = Plan.from_time(old.forces, old.mts, old.inner_step_fs, time_ps)
    return replace(job, recipe=replace(job.recipe, plan=plan))


def _check_whole(directory: Path, record: Record) -> None:
    """Refuse what a launcher wrote from the start on, and isn't there."""
    for key in ("state", "segments", "n_atoms"):
        if record.get(key) is None:
            raise InputError(
                f"run.json of {directory} is damaged (no {key}); restore it: a run goes on by what "
                "stands there"
            )


def _check_forces(record: Record) -> None:
    if record.get("foreign_forces"):
        raise InputError(
            f"this run can't go on: {record.get('reason')}; with --force it is moved aside"
        )


def _check_models(job: Job, record: Record) -> None:
    for name, now, then in records.other_models(job.service, record):
        raise InputError(
            f"{name} {now['name']} is another file than when the run began "
            f"(SHA-256 {now['sha256'] or 'none':.12}, expected "
            f"{then.get('sha256') or 'none':.12}); start a new run"
        )
