"""The same start with slow, fast and both forces, one run after the other."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs.masses import Masses
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch import run
from ncforce_ipi.launch.directory import claim
from ncforce_ipi.launch.directory.files import check_name, contents, locked, make, set_aside
from ncforce_ipi.launch.jobs import record as records
from ncforce_ipi.launch.jobs.job import Job, to_record
from ncforce_ipi.launch.jobs.sameforces import other_forces
from ncforce_ipi.launch.processes.timelimit import TimeLimit
from ncforce_ipi.launch.run import Checked, Outcome
from ncforce_ipi.rundir import Record, read_record

log = logging.getLogger(__name__)

TOO_HOT = 3.0  # Limits.hot of a run that is compared: more of it says nothing
STEPS = ("forces", "mts", "inner_step_fs")  # of the plan; a run can get longer
SAME = ("ensemble", "temperature_K", "seed", "masses")
START = ("structure", "velocities")
RUN = re.compile(r"slow|fast|mts\d+")  # name of a run's directory
NUMBERS = "compare.json"
TABLES = (
    NUMBERS,
    "compare.csv",
    *(f"{name}.{kind}" for name in ("compare", "drift_of_M") for kind in ("png", "pdf")),
    "tune.json",
)


def jobs_of(base: Job, ratios: Sequence[int], time_ps: float) -> list[Job]:
    """Jobs like ``base``: slow only, fast only and MTS with each M, each in its directory."""
    step_fs = base.recipe.plan.inner_step_fs
    plans = {forces: Plan.from_time(forces, 1, step_fs, time_ps) for forces in ("slow", "fast")}
    plans |= {f"mts{m}": Plan.from_time("mts", m, step_fs, time_ps) for m in ratios}
    limits = replace(base.limits, hot=TOO_HOT)
    return [
        replace(
            base,
            directory=base.directory / name,
            recipe=replace(base.recipe, plan=plan),
            limits=limits,
        )
        for name, plan in plans.items()
    ]


def begun_ps(directory: Path) -> float | None:
    """How long the runs of a comparison were to be, ps; None where none was begun.

    Read from those with the shortest step: with the others' whole outer steps it may be longer.
    """
    runs = [directory / name for name in ("slow", "fast")]
    times = [read_record(path)["plan"]["time_ps"] for path in runs if claim.is_run(path)]
    return max(times, default=None)


@contextmanager
def claimed(directory: Path, jobs: Sequence[Job], *, resume: bool, force: bool) -> Iterator[None]:
    """Hold the directory of a comparison; with ``force`` its earlier runs and tables move aside."""
    check(directory, jobs, resume=resume, force=force)
    make(directory)
    with locked(directory):
        check(directory, jobs, resume=resume, force=force)
        if force:
            for job in jobs:
                claim.clear(job.directory)
            set_aside(directory, [directory / name for name in TABLES])
        yield


def check(directory: Path, jobs: Sequence[Job], *, resume: bool, force: bool) -> None:
    """Refuse a directory in which this comparison may not begin, or go on."""
    check_name(directory)
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file; expected a directory that can be made")
    if all(path.is_dir() and claim.is_free(path) for path in contents(directory)):
        return
    if not is_comparison(directory):
        raise InputError(
            f"{directory} is not empty, and no comparison of ncforce is in it; choose another --out"
        )
    if not (resume or force):
        raise InputError(
            f"{directory} is not empty; choose another --out, --resume the comparison in it, "
            "or --force to move its runs aside and begin anew"
        )
    for job in jobs if force else ():
        claim.check(job.directory, force=True)


def check_begun(jobs: Sequence[Job]) -> None:
    """Refuse to go on with runs of which one was begun otherwise, or is to end earlier."""
    for job in jobs:
        if claim.is_run(job.directory):
            _check_same(job, read_record(job.directory))


def is_comparison(directory: Path) -> bool:
    """Whether the runs or the tables of a comparison of ours are there."""
    runs = [path for path in contents(directory) if RUN.fullmatch(path.name)]
    ours = any(claim.is_run(path) or claim.was_cleared(path) for path in runs)
    return ours or has_tables(directory)


def has_tables(directory: Path) -> bool:
    """Whether a ``compare.json`` is there that we wrote."""
    try:
        data = json.loads((directory / NUMBERS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and {"provenance", "runs"} <= data.keys()


def run_one(job: Job, checked: Checked | None, limit: TimeLimit | None = None) -> Outcome | None:
    """Run one of the jobs, which was checked; if it wasn't, resume it.  None if it is done.

    Raises
    ------
    RunError
        The run failed before it wrote anything to compare.
    """
    outcome = run.begin(checked, limit=limit) if checked else _continue(job, limit)
    if outcome is None or outcome.ending.state != "failed" or outcome.ending.out_of_time:
        return outcome
    if outcome.record["steps_done"] < 1:
        raise RunError(f"{job.name}: {outcome.ending.reason}")
    return outcome


def _continue(job: Job, limit: TimeLimit | None) -> Outcome | None:
    if not claim.is_run(job.directory):
        return run.start(job, limit=limit)
    record = read_record(job.directory)
    _check_same(job, record)
    longer = job.recipe.plan.n_outer > record["plan"]["n_outer"]
    if record.get("unphysical") or (record.get("state") == "finished" and not longer):
        return None
    return run.go_on(job.directory, job.recipe.plan.time_ps if longer else None, limit)


def _check_same(job: Job, record: Record) -> None:
    if different := differences(job, record):
        raise InputError(
            f"{job.directory} was begun with another {' and '.join(different)}; "
            "give the same options, or another --out"
        )
    now, then = job.recipe.plan, record["plan"]
    if now.n_outer < then["n_outer"]:
        raise InputError(
            f"{job.directory} was begun for {then['time_ps']:g} ps, longer than the "
            f"{now.time_ps:g} ps asked for; give --time-ps {then['time_ps']:g} or more"
        )


def differences(job: Job, record: Record) -> list[str]:
    """What of a job isn't as in the record of a run: options, contents of the start, models."""
    wanted = to_record(job)
    then_masses = record.get("masses", to_record(replace(job, masses=Masses()))["masses"])
    known = {**record, "masses": then_masses}  # earlier versions had no choice
    different = [key for key in SAME if known[key] != wanted[key]]
    different += ["plan"] * any(record["plan"][key] != wanted["plan"][key] for key in STEPS)
    then = record.get("start")
    if then is None:
        log.warning(
            "%s was made by an earlier version, which noted only the path of the start; "
            "make sure that the file is still the same",
            job.directory,
        )
        different += [key for key in START if record.get(key) != wanted[key]]
    else:
        now = records.start_identity(job)
        different += [key for key in START if then[f"{key}_sha256"] != now[f"{key}_sha256"]]
    return different + other_forces(job.service, record)
