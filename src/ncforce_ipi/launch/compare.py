"""The same start with slow, fast and both forces, one run after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.launch import provenance, run
from ncforce_ipi.launch.files import RECORD_FILE
from ncforce_ipi.launch.job import Job, to_record
from ncforce_ipi.launch.run import Outcome
from ncforce_ipi.mts import Plan

TOO_HOT = 3.0  # times the start temperature: the run is lost, more of it says nothing
SAME = ("plan", "ensemble", "temperature_K", "seed", "structure")


def jobs_of(base: Job, ratios: Sequence[int], time_ps: float) -> list[Job]:
    """Jobs like ``base``: slow only, fast only and MTS with each M, each in its directory."""
    step_fs = base.recipe.plan.inner_step_fs
    plans = {forces: Plan.from_time(forces, 1, step_fs, time_ps) for forces in ("slow", "fast")}
    plans |= {f"mts{m}": Plan.from_time("mts", m, step_fs, time_ps) for m in ratios}
    limits = replace(base.limits, max_temperature_K=TOO_HOT * base.recipe.temperature_K)
    return [
        replace(
            base,
            directory=base.directory / name,
            recipe=replace(base.recipe, plan=plan),
            limits=limits,
        )
        for name, plan in plans.items()
    ]


def check_new(directory: Path) -> None:
    """Refuse a directory that holds anything."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(
            f"{directory} is not empty; choose another --out, --resume the comparison in it, "
            "or --force to replace it"
        )


def run_one(job: Job, *, resume: bool, force: bool) -> Outcome | None:
    """Run one of the jobs; None if ``resume`` finds it done.

    Raises
    ------
    RunError
        The run failed before it wrote anything to compare.
    """
    outcome = _continue(job) if resume else run.start(job, force)
    if outcome and outcome.ending.state == "failed" and outcome.record["steps_done"] < 1:
        raise RunError(f"{job.name}: {outcome.ending.reason}")
    return outcome


def _continue(job: Job) -> Outcome | None:
    if not (job.directory / RECORD_FILE).is_file():
        return run.start(job, force=True)  # a directory without a record has nothing to lose
    record = provenance.read_record(job.directory)
    wanted = to_record(job) | {
        "model": provenance.model_identity(job.service.model, job.service.family)
    }
    different = [key for key in SAME if record[key] != wanted[key]]
    if record["model"]["sha256"] != wanted["model"]["sha256"]:
        different.append("model")
    if different:
        raise InputError(
            f"{job.directory} was begun with another {' and '.join(different)}; "
            "give the same options, or another --out"
        )
    if record["state"] == "finished" or record.get("unphysical"):
        return None
    return run.go_on(job.directory)
