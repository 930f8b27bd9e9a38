"""Replicas: independent runs side by side, each in a directory of its own, served by one staff.

Each has its own i-PI.  i-PI has one generator of random numbers for all systems of a simulation,
from which its threads draw in the order in which they are scheduled: systems under a thermostat
could be neither repeated nor continued exactly.  So a replica is an ordinary run, step by step the
one that its seed gives alone, and what fails in one doesn't touch the others.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os.path import lexists
from pathlib import Path

from ncforce_ipi import __version__
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import preflight
from ncforce_ipi.inputs.recipe import write_input
from ncforce_ipi.launch import claim, holder, run, segments
from ncforce_ipi.launch import record as records
from ncforce_ipi.launch.directory import check_name, locked
from ncforce_ipi.launch.ending import Ending
from ncforce_ipi.launch.job import Job, from_record, service_of_record, to_record
from ncforce_ipi.launch.run import Checked
from ncforce_ipi.launch.segments import Lane, Outcome
from ncforce_ipi.launch.staff import Staff
from ncforce_ipi.launch.timelimit import TimeLimit
from ncforce_ipi.provenance import command_line, software
from ncforce_ipi.rundir import (
    INPUT_FILE,
    REPLICAS,
    Record,
    read_record,
    replica_directories,
    replica_names,
)

log = logging.getLogger(__name__)

MOST = 1024
COMMON = ("plan", "ensemble", "force_stride", "driver", "limits")


@dataclass(frozen=True)
class Replicas:
    """Runs that differ in their seeds, and in temperatures or starts.

    Attributes
    ----------
    common : what they have in common: the directory of the set, and all drivers
    jobs : each with one driver in its service
    """

    common: Job
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Outcomes:
    """How each replica ended, by its name; kept ones ended earlier."""

    directory: Path
    common: Job
    endings: Mapping[str, Ending]
    records: Mapping[str, Record]

    @property
    def failed(self) -> dict[str, Ending]:
        """Those that somebody must look at."""
        return {
            name: ending
            for name, ending in self.endings.items()
            if ending.state != "finished" and not ending.on_request
        }

    @property
    def stopped(self) -> Ending | None:
        """That of a replica which somebody asked to stop, if any did."""
        asked = [ending for ending in self.endings.values() if ending.on_request]
        return next(iter(sorted(asked, key=lambda ending: ending.signal is None)), None)

    def complaint(self) -> str:
        """Which failed, why, and what to do, in one line."""
        failed, n = self.failed, len(self.endings)
        why = "; ".join(f"{name}: {ending.reason}" for name, ending in failed.items())
        again = f"ncforce run --resume --out {shlex.quote(str(self.directory))}"
        can = [name for name, one in failed.items() if not (one.unphysical or one.foreign)]
        advice = f"go on with: {again}" if can or self.stopped else "the others are unaffected"
        return f"{len(failed)} of {n} replicas failed: {why}; {advice}"


def combine(
    structures: Sequence[str | None], temperatures_K: Sequence[float], n: int
) -> list[tuple[str | None, float]]:
    """Start and temperature of each replica: n of each pair, pair after pair.

    Two lists belong together, first to first; one value goes with every other.

    Raises
    ------
    InputError
        Two lists of different lengths, or too many.
    """
    lengths = {len(structures), len(temperatures_K)}
    most = max(lengths)
    if len(lengths - {1}) > 1:
        raise InputError(
            f"{len(structures)} structures and {len(temperatures_K)} temperatures; expected one "
            "temperature for each structure, or one of either for all"
        )
    if not 1 <= n * most <= MOST:
        raise InputError(f"replicas must be between 1 and {MOST}, got {n * most}")
    starts = list(structures) * (most if len(structures) == 1 else 1)
    heats = list(temperatures_K) * (most if len(temperatures_K) == 1 else 1)
    return [pair for pair in zip(starts, heats, strict=True) for _ in range(n)]


def replicas_of(
    make: Callable[[str | None, float, int], Job],
    kinds: Sequence[tuple[str | None, float]],
    seed: int | None,
) -> Replicas:
    """The jobs of a set, with seeds one after the other.

    Parameters
    ----------
    make : a job from its structure, temperature (K) and seed
    kinds : structure and temperature of each replica
    seed : of the first replica; None: 1

    Raises
    ------
    InputError
        All would be the same, or something doesn't go with replicas.
    """
    first = 1 if seed is None else seed
    made = [make(*kind, first + index) for index, kind in enumerate(kinds)]
    common = made[0]
    _check(common, made)
    n_drivers, devices = common.service.n_drivers, common.service.devices
    jobs = []
    for index, (job, name) in enumerate(zip(made, replica_names(len(made)), strict=True)):
        device = devices[index % n_drivers % len(devices)] if devices else None
        service = replace(job.service, drivers=None, device=device)
        recipe = replace(job.recipe, service=service, n_beside=len(made))
        jobs.append(replace(job, directory=common.directory / name, recipe=recipe))
    return Replicas(common, tuple(jobs))


def _check(common: Job, made: Sequence[Job]) -> None:
    if common.recipe.transport.port is not None:
        raise InputError(
            "replicas are served over private unix sockets, which need no port; leave --port out"
        )
    if common.remote is not None:
        raise InputError("replicas are served by drivers of this machine; leave --remote out")
    if common.service.n_drivers > len(made):
        raise InputError(
            f"{common.service.n_drivers} drivers for {len(made)} replicas; expected at most one "
            "for each"
        )
    starts = {job.structure for job in made}
    if common.velocities and common.recipe.ensemble.name == "nve" and len(starts) < len(made):
        raise InputError(
            "replicas from the same velocities are the same run at constant energy; leave "
            "--velocities out, or take a thermostat"
        )


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


def new_record(replicas: Replicas) -> Record:
    """``run.json`` of a set; each replica has its own."""
    of_all = to_record(replicas.common)
    return {
        "version": __version__,
        "command": command_line(),
        "state": "running",
        "reason": "",
        **{key: of_all[key] for key in COMMON},
        "software": software(),
        REPLICAS: [
            {
                "directory": job.directory.name,
                "seed": job.recipe.seed,
                "temperature_K": job.recipe.temperature_K,
                "structure": job.structure,
            }
            for job in replicas.jobs
        ],
    }


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
    done = record["state"] == "finished" and record["steps_done"] >= found.job.recipe.plan.n_outer
    return _earlier(record) if done else found


def _earlier(record: Record) -> Ending:
    """How a replica ended, as its record has it."""
    return Ending(
        record["state"],
        record["reason"],
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
    if record["state"] == "finished":
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
        found = segments.run(lanes, Staff(common, shared=True, record=record), limit)
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
