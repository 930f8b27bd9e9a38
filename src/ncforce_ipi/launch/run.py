"""One run from its job to its end: directory, i-PI and drivers, recovery, record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs import preflight
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.recipe import input_xml, write_input
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.launch import claim, holder, resume
from ncforce_ipi.launch import record as records
from ncforce_ipi.launch.addresses import check_addresses, private_directory
from ncforce_ipi.launch.answers import Demand, Heard, stranger
from ncforce_ipi.launch.directory import check_name, locked
from ncforce_ipi.launch.display import display
from ncforce_ipi.launch.drivers import REFILL_STEPS, Driver
from ncforce_ipi.launch.ending import Ending, judged
from ncforce_ipi.launch.job import (
    Job,
    driver_command,
    driver_names,
    from_record,
    ipi_command,
    is_ours,
    report_file,
    serves,
    to_record,
)
from ncforce_ipi.launch.processes import Child, ended
from ncforce_ipi.launch.progress import Follower
from ncforce_ipi.launch.stops import StopRequest, stop_requests
from ncforce_ipi.launch.supervise import Watch, wind_down
from ncforce_ipi.launch.timelimit import TimeLimit
from ncforce_ipi.provenance import command_line
from ncforce_ipi.rundir import EXIT_FILE, INPUT_FILE, LOGS, PROPERTIES_FILE, Record, read_record

if TYPE_CHECKING:
    from ase import Atoms

log = logging.getLogger(__name__)

MAX_RECOVERIES = 3
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Outcome:
    """How a run ended and its record, as it stands in ``run.json``."""

    job: Job
    ending: Ending
    record: Record


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
        atoms = read_structure(job.structure, job.velocities)
    check_addresses(job.recipe.transport, job.recipe.plan.components)
    found = preflight.check(job.recipe, atoms)
    input_xml(job.recipe, atoms)
    record = records.new_record(job, atoms)
    for warning in (*found.warnings, *preflight.space_warnings(job.directory, found.disk_MB)):
        log.warning("%s", warning)
    return Checked(job, atoms, record)


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
        return _run(job, record, INPUT_FILE, lock, limit)


def go_on(directory: Path, time_ps: float | None = None, limit: TimeLimit | None = None) -> Outcome:
    """Continue the run in a directory, bitwise; ``time_ps`` is its new total time, if given."""
    read_record(directory)  # where no run is, no lock is made
    check_name(directory)
    with locked(directory) as lock:
        record = read_record(directory)
        _check_forces(record)
        job = extended(from_record(directory, record), time_ps)
        if record["state"] == "running":
            log.info(
                "the launcher of the run in %s was killed; looking at what is there", directory
            )
            if ending := _unwatched(job, record):
                return _close(job, record, ending)
        _check_models(job, record)
        n_outer = job.recipe.plan.n_outer
        checkpoint = resume.best_checkpoint(directory)
        if checkpoint and checkpoint.step == n_outer and record["state"] != "finished":
            return _close(job, record, Ending("finished"))  # its launcher was killed
        check_addresses(job.recipe.transport, job.recipe.plan.components)
        for warning in job.recipe.transport.warnings(job.recipe.plan.components):
            log.warning("%s", warning)
        input_file = resume.prepare(directory, n_outer)
        record |= {"command": command_line(), "plan": to_record(job)["plan"]}
        return _run(job, record, input_file, lock, limit)


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


def _check_forces(record: Record) -> None:
    if record.get("foreign_forces"):
        raise InputError(
            f"this run can't go on: {record['reason']}; with --force it is moved aside"
        )


def _check_models(job: Job, record: Record) -> None:
    for name, now, then in records.other_models(job.service, record):
        raise InputError(
            f"{name} {now['name']} is another file than when the run began "
            f"(SHA-256 {now['sha256'] or 'none':.12}, expected "
            f"{then['sha256'] or 'none':.12}); start a new run"
        )


def _run(
    job: Job, record: Record, input_file: str, lock: int, limit: TimeLimit | None = None
) -> Outcome:
    """Run to the end, and leave a true ``run.json`` however that comes."""
    try:
        with stop_requests(limit) as request:
            ending = _segments(job, record, input_file, lock, request)
    except BaseException as err:
        _close(job, record, Ending("failed", f"{type(err).__name__}: {err}"))
        raise
    return _close(job, record, ending)


def _segments(job: Job, record: Record, input_file: str, lock: int, request: StopRequest) -> Ending:
    """One i-PI process after another until one needs no successor; how that ended."""
    (job.directory / LOGS).mkdir(exist_ok=True)
    recoveries, first_step = 0, None
    while True:
        record |= {"state": "running", "reason": "", "processes": holder.of_this_launcher()}
        records.save(job.directory, record)
        with private_directory(job.recipe.plan.components) as sockets:
            watch, ending = _segment(job, input_file, sockets, lock, request, record)
        first_step = watch.from_step if first_step is None else first_step
        progressed = watch.follower.fresh_step is not None
        if watch.follower.step - watch.from_step >= REFILL_STEPS:
            recoveries = 0
        if not (ending.recoverable and progressed and recoveries < MAX_RECOVERIES):
            break
        recoveries += 1
        try:
            input_file = resume.prepare(job.directory, job.recipe.plan.n_outer)
        except InputError as err:
            raise RunError(f"{ending.reason}; {err}") from err
    if ending.out_of_time and watch.follower.step == first_step:
        return Ending("failed", f"no step was done in {request.limit}; give a longer --time-limit")
    return ending


def _segment(
    job: Job, input_file: str, sockets: Path, lock: int, request: StopRequest, record: Record
) -> tuple[Watch, Ending]:
    """One i-PI process and its drivers, from start to end; adds its times to the record."""
    directory, plan = job.directory, job.recipe.plan
    (directory / EXIT_FILE).unlink(missing_ok=True)  # i-PI would stop at once
    follower = Follower(directory / PROPERTIES_FILE)
    follower.skip_old()
    logs = directory / LOGS
    with ExitStack() as stack:

        def child(name: str, *start: Any, **how: Any) -> Child:
            one = stack.enter_context(ended(Child(name, *start, **how)))
            records.note_process(directory, record, name, one.pid)
            return one

        server = child(
            "i-PI", ipi_command(input_file, sockets), directory, logs / "ipi.log",
            ONE_THREAD, keep=[lock],
        )  # fmt: skip

        drivers = _drivers(job, sockets, child, follower.step)
        watch = Watch(
            server, drivers, follower, plan.n_outer, job.recipe.temperature_K, record["n_atoms"],
            job.limits, request, from_step=follower.step,
            demand=Demand.of(plan, job.recipe.ensemble.beads, directory / input_file),
        )  # fmt: skip
        try:
            with display(plan, record["n_atoms"], job.name, request.limit) as shown:
                ending = watch.until_the_end(shown)
        finally:
            wind_down(watch)
            (directory / EXIT_FILE).unlink(missing_ok=True)
        ending = watch.settled(ending)
    entry = records.segment(job, follower, watch.notices)
    record["segments"].append(entry)
    return watch, _audited(watch, entry, ending)


def _drivers(job: Job, sockets: Path, child: Callable[..., Child], step: int) -> list[Driver]:
    """Start all drivers as children of the run."""
    names, threads = driver_names(job), {"OMP_NUM_THREADS": str(job.service.threads)}

    def start(index: int) -> Child:
        command, log = driver_command(job, sockets, index), f"{LOGS}/{names[index]}.log"
        return child(names[index], command, job.directory, job.directory / log, threads)

    found = []
    for index, name in enumerate(names):
        command = driver_command(job, sockets, index)
        heard = Heard(job.directory / report_file(name), is_ours(command))
        heard.forget()  # what an earlier run left
        again = partial(start, index)
        found.append(Driver(again, again(), serves(job, index), step, heard=heard))
    return found


def _audited(watch: Watch, entry: Record, ending: Ending) -> Ending:
    """The ending, unless somebody else has computed forces; adds who did to the segment."""
    needed = watch.needed()
    answers = watch.answers()
    entry["requests"] = {
        role: {"needed": n, "answered_by_our_drivers": answers[role]} for role, n in needed.items()
    }
    reason = stranger(needed, answers)
    return Ending("failed", reason, foreign=True) if reason and not ending.foreign else ending


def _close(job: Job, record: Record, ending: Ending) -> Outcome:
    """Write how it ended; the steps that are done are those on the disk."""
    record.pop("processes", None)
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
