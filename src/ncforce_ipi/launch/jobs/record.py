"""``run.json``: what was run, with what, how far it came and how long it took."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ncforce_ipi import __version__
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.service import Service, is_name
from ncforce_ipi.inputs.structure import structure_path
from ncforce_ipi.launch.directory.files import write_atomically
from ncforce_ipi.launch.jobs.job import Job, to_record
from ncforce_ipi.launch.jobs.staff import driver_names, report_file
from ncforce_ipi.launch.progress.agreement import RECORDED
from ncforce_ipi.launch.progress.follower import Follower
from ncforce_ipi.models import SHIPPED, model_path
from ncforce_ipi.models.card import BAND, CARD_FILE, read_band
from ncforce_ipi.models.modelfile import named_model
from ncforce_ipi.provenance import command_line, sha256, software
from ncforce_ipi.reading.images import file_and_index
from ncforce_ipi.rundir import RECORD_FILE, Record

if TYPE_CHECKING:
    from ase import Atoms

Identity = dict[str, str | None]
ELSEWHERE = "a family of another environment, which may know other names than ours"
KEPT_OF_REPORT = (
    "model", "model_sha256", "kinds", "roles", "calls", "joint", "net_force_removed_from_direct",
    "direct_energy_sent", "direct_virial_sent", "load_s", "serve_s", "end",
)  # fmt: skip


def new_record(job: Job, atoms: Atoms) -> Record:
    """Record of a run that is about to start."""
    identities = models(job.service)
    return {
        "version": __version__,
        "command": command_line(),
        "state": "running",
        "reason": "",
        "unphysical": False,
        "steps_done": 0,
        **to_record(job),
        "start": start_identity(job),
        "n_atoms": len(atoms),
        **masses(atoms),
        **identities,
        **_disagreement(job, identities),
        "software": software(),
        "host": {"name": platform.node(), "machine": platform.machine()},
        "timings": {},
        "segments": [],
    }


def _disagreement(job: Job, identities: dict[str, Identity | None]) -> Record:
    """The band in which slow - fast should lie, where both are computed.

    Raises
    ------
    InputError
        A damaged card, or one is missing with which the run should be stopped.
    """
    stops, both = job.limits.stop_on_disagreement, job.recipe.plan.forces == "mts"
    if stops and not both:
        raise InputError(
            f"--stop-on-disagreement compares two forces, and this run has {job.recipe.plan.forces}"
            " forces alone; leave it out, or take --forces mts"
        )
    if not both:
        return {}
    fast, slow = identities["model"], identities["slow_model"]
    band = None
    if fast and fast["file"]:
        band = read_band(model_path(job.service.model), fast, slow or fast)
    if stops and band is None:
        raise InputError(
            f"--stop-on-disagreement needs {CARD_FILE} of these models beside the file of the fast "
            f"one, with {BAND}; none is there: leave it out, and slow - fast is reported"
        )
    return {RECORDED: {"band": asdict(band) if band else None}}


def start_identity(job: Job) -> Identity:
    """SHA-256 of the files of the start: structure, and velocities if they are given."""
    return {
        "structure_sha256": _identity(job.structure, structure_path(job.structure)),
        "velocities_sha256": _identity(job.velocities, file_and_index(job.velocities)[0])
        if job.velocities
        else None,
    }


def _identity(source: str, path: Path) -> str:
    """SHA-256 of a file, and which frame of it where one is named."""
    _, index = file_and_index(source)
    return sha256(path) + f"@{index}" * bool(index)


def masses(atoms: Atoms) -> Record:
    """Mass of each species, u: those of ASE, which i-PI takes when it reads with ASE.

    Of species whose atoms differ the mean; which these are.  Each atom's own is in ``init.xyz``.
    """
    own = atoms.get_masses()
    members = {symbol: own[atoms.symbols == symbol] for symbol in sorted(set(atoms.symbols))}
    several = [symbol for symbol, values in members.items() if values.min() < values.max()]
    means = {
        symbol: float(values.mean() if symbol in several else values[0])
        for symbol, values in members.items()
    }
    return {"masses_u": means, "several_masses": several}


def model_identity(name_or_path: str, family: str = "metatomic") -> Identity:
    """Name, file name and SHA-256 of a model file.

    None for both of a model that a family knows by name; the driver's report has them.
    """
    if is_name(name_or_path, family):
        return {"name": name_or_path, "file": None, "sha256": None}
    path = model_path(name_or_path)
    if not path.is_file():
        raise InputError(f"the file of model {name_or_path!r} is missing: {path}")
    return {"name": name_or_path, "file": path.name, "sha256": sha256(path)}


def models(service: Service) -> dict[str, Identity | None]:
    """Identity of the model, and of the one of another driver for the slow forces, if any."""
    main = model_identity(service.model, service.family)
    slow = driver_identity(service.slow_driver) if service.slow_driver else None
    return {"model": main, "slow_model": slow}


def driver_identity(words: Sequence[str]) -> Identity:
    """Identity of the model in the words of a driver, maybe of another environment."""
    name, family = named_model(words)
    return model_identity(name, family if name in SHIPPED else ELSEWHERE)


def other_models(service: Service, record: Record) -> list[tuple[str, Identity, Identity]]:
    """Which models are other files than in the record of a run: name, as it is now, as it was.

    Raises
    ------
    InputError
        A file that it had is no more where it was.
    """
    _check_there(service, record)
    different = []
    for key, now in models(service).items():
        then = record.get(key)  # records of version 0.1.0 have no slow_model
        if now and then and now["sha256"] != then.get("sha256"):
            different.append((key.replace("_", " "), now, then))
    return different


def _check_there(service: Service, record: Record) -> None:
    slow = named_model(service.slow_driver)[0] if service.slow_driver else ""
    for key, name in (("model", service.model), ("slow_model", slow)):
        sha256_then = (record.get(key) or {}).get("sha256")
        if sha256_then and name not in SHIPPED and not Path(name).is_file():
            raise InputError(
                f"the file of the {key.replace('_', ' ')} with which the run began is missing: "
                f"{name} (SHA-256 {sha256_then:.12}); put it, or a link to it, there to go on"
            )


def save(directory: Path, record: Record, *, last: bool = False) -> None:
    """Write ``run.json`` in one piece; for the last time, on a full disk too."""
    write_atomically(directory / RECORD_FILE, json.dumps(record, indent=2) + "\n", last=last)


def note_process(directory: Path, record: Record, name: str, pid: int) -> None:
    """Note a process of the run, for whoever comes while it goes on.

    A disk that is full just now is no reason to end a run.
    """
    record.setdefault("processes", {})[name] = pid
    with suppress(OSError):
        save(directory, record)


def segment(job: Job, follower: Follower, notices: list[str]) -> Record:
    """What one i-PI process did: steps, seconds between its first and last line, driver times.

    The report of the drivers is there only if each of them left one: a killed one didn't.
    """
    first = follower.fresh_step if follower.fresh_step is not None else follower.step
    wall_s = follower.last_s - follower.fresh_s if follower.step > first else 0.0
    entry: Record = {"from_step": first, "to_step": follower.step, "wall_s": wall_s}
    if notices:
        entry["driver_deaths"] = notices
    if report := reported(job):
        entry["driver_report"] = report
    return entry


def reported(job: Job) -> Record | None:
    """What the drivers of a run say of themselves; None unless each left a whole report."""
    paths = [job.directory / report_file(name) for name in driver_names(job)]
    try:
        return combined_report([json.loads(path.read_text("utf-8")) for path in paths])
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def combined_report(reports: list[Record]) -> Record:
    """One report of several drivers: what the first says, with the sums of each role's counts."""
    merged = {key: reports[0][key] for key in KEPT_OF_REPORT if key in reports[0]}
    merged |= {"drivers": len(reports), "kinds": {}}
    if len(reports) > 1:
        merged |= {"calls": None, "joint": None}  # counts of one process: no sum means anything
    for key in ("model", "model_sha256"):
        merged[key] = ", ".join(dict.fromkeys(str(report.get(key)) for report in reports))
    roles: dict[str, Record] = {}
    for report in reports:
        merged["kinds"] |= report.get("kinds", {})
        for name, tally in report.get("roles", {}).items():
            role = roles.setdefault(name, {})
            for key, value in tally.items():
                role[key] = role[key] + value if key in role else value
    return merged | ({"roles": roles} if roles else {})


def total_timings(segments: list[Record], mts: int) -> Record:
    """Times of all segments together; None where a driver died without a report.

    ``integrator_s`` is what neither the model nor the wire took: i-PI, output, waiting.  None with
    several drivers, which may work at the same time.
    """
    wall_s = sum(entry["wall_s"] for entry in segments)
    n_inner = mts * sum(entry["to_step"] - entry["from_step"] for entry in segments)
    timings: Record = {
        "wall_s": wall_s,
        "model_s": None,
        "wire_s": None,
        "integrator_s": None,
        "ms_per_inner_step": 1e3 * wall_s / n_inner if n_inner else None,
    }
    if any("driver_deaths" in entry or "driver_report" not in entry for entry in segments):
        return timings
    with suppress(KeyError, TypeError, AttributeError):  # of a driver that says it otherwise
        timings |= _of_drivers([entry["driver_report"] for entry in segments], wall_s)
    return timings


def _of_drivers(reports: list[Record], wall_s: float) -> Record:
    """Times that the drivers of all segments report."""
    roles = [report.get("roles", {}) for report in reports]
    names = sorted({name for role in roles for name in role}, reverse=True)  # slow before fast
    timings: Record = {"model_s": {name: _sum(roles, name, "model_s") for name in names}}
    timings["wire_s"] = sum(_sum(roles, name, "wire_s") for name in names)
    if all(report.get("drivers", 1) == 1 for report in reports):
        busy_s = sum(timings["model_s"].values()) + timings["wire_s"]
        timings["integrator_s"] = max(0.0, wall_s - busy_s)
    return timings


def _sum(roles: list[Record], name: str, key: str) -> float:
    return sum(role[name][key] for role in roles if name in role)
