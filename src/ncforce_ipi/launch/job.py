"""What one run is asked to do, and the command lines of the two programs that do it."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.recipe import Recipe, Transport
from ncforce_ipi.launch.supervise import Limits
from ncforce_ipi.rundir import INPUT_FILE, LOGS, STRUCTURE_FILE

MAX_DRIVERS = 1024
WAIT_FOR_SERVER_S = 120
SLOW_DRIVER = "slow-driver"
PROGRAM = (sys.executable, "-m", "ncforce_ipi")


@dataclass(frozen=True)
class Service:
    """How the forces are served.

    Attributes
    ----------
    family : model family, a file of ``ipi_drivers``
    model : name of a shipped model, or that the family knows, or path
    device : one device, or several with commas, which the drivers take in turn
    threads : CPU threads of each driver
    options : further options of ``ncforce driver``
    drivers : how many processes serve every role; None for one, or one for each device
    program : ``ncforce`` of the environment that has the family's library; None for our own
    slow_driver : words of another driver for the slow forces, so that this one serves the fast
        ones alone: its program, ``driver``, its family and the options of its model
    """

    model: str
    family: str = "metatomic"
    device: str | None = None
    threads: int = 1
    options: tuple[str, ...] = ()
    drivers: int | None = None
    program: str | None = None
    slow_driver: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.drivers is not None and not 1 <= self.drivers <= MAX_DRIVERS:
            raise InputError(f"drivers must lie between 1 and {MAX_DRIVERS}, got {self.drivers}")
        if "" in self.devices:
            raise InputError(f"device {self.device!r} has an empty name; expected cuda:0,cuda:1")

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device that is named; none if the model chooses."""
        return () if self.device is None else tuple(self.device.split(","))

    @property
    def n_drivers(self) -> int:
        """How many driver processes there are."""
        return self.drivers or len(self.devices) or 1


@dataclass(frozen=True)
class Job:
    """One run: where, what, with which forces, and when to give it up."""

    directory: Path
    recipe: Recipe
    structure: str
    service: Service
    limits: Limits = field(default_factory=Limits)
    velocities: str | None = None

    @property
    def name(self) -> str:
        """For messages and the progress bar."""
        return self.directory.name or str(self.directory)


def is_name(model: str, family: str) -> bool:
    """Whether a model is a name that its family may know: no file, and nothing that looks so."""
    looks_like_a_file = re.search(r"/|\.[a-z]+$", model) is not None
    return family != "metatomic" and not looks_like_a_file and not Path(model).is_file()


def ipi_command(input_file: str, sockets: Path) -> list[str]:
    """i-PI on an input or checkpoint of its directory, with unix sockets in ``sockets``."""
    if input_file == INPUT_FILE:
        return [sys.executable, str(_ipi_program()), "-S", f"{sockets}/", input_file]
    return [sys.executable, "-m", "ncforce_ipi.launch.continuation", f"{sockets}/", input_file]


def driver_names(job: Job) -> list[str]:
    """Names of the drivers in messages and of their files: driver, or driver-1, driver-2 ...

    The other driver for the slow forces, if there is one and they are needed, is the last.
    """
    n, forces, other = job.service.n_drivers, job.recipe.plan.forces, job.service.slow_driver
    names = ["driver"] if n == 1 else [f"driver-{index + 1}" for index in range(n)]
    if not other or forces == "fast":
        return names
    return [*names, SLOW_DRIVER] if forces == "mts" else [SLOW_DRIVER]


def serves(job: Job, index: int) -> str:
    """Role of the index-th driver: slow, fast or both."""
    forces = job.recipe.plan.forces
    if forces != "mts":
        return forces
    if driver_names(job)[index] == SLOW_DRIVER:
        return "slow"
    return "fast" if job.service.slow_driver else "both"


def report_file(name: str) -> str:
    """Where the driver of this name writes its report, in the directory of the run."""
    return f"{LOGS}/{name}-report.json"


def driver_command(job: Job, sockets: Path, index: int = 0) -> list[str]:
    """The index-th driver, for its components of the plan; a fast-only run needs its energy."""
    plan, service, name = job.recipe.plan, job.service, driver_names(job)[index]
    common = ["--structure", STRUCTURE_FILE, "--report", report_file(name)]
    common += ["--wait-s", str(WAIT_FOR_SERVER_S)]
    common += _addresses(job.recipe.transport, plan, sockets)
    if name == SLOW_DRIVER:
        return [*service.slow_driver, *common, "--role", "slow"]
    program = [service.program] if service.program else PROGRAM
    words = [*program, "driver", service.family, "--model", service.model, *common]
    words += ["--threads", str(service.threads)]
    role = serves(job, index)
    words += ["--role", role]
    if service.devices:
        words += ["--device", service.devices[index % len(service.devices)]]
    if role == "both":
        words += ["--mts", str(plan.mts)]
    if plan.forces == "fast":
        words.append("--direct-energy")
    if job.recipe.ensemble.has_pressure and "fast" in plan.components:
        words.append("--direct-virial")
    return [*words, *service.options]


def in_the_text(service: Service) -> dict[str, Any]:
    """What the input says of the drivers: fields of ``inputs.Recipe``."""
    options = service.options
    if service.threads != 1:
        options = ("--threads", str(service.threads), *options)
    if len(service.devices) == 1:
        options = ("--device", service.devices[0], *options)
    return {
        "model": service.model,
        "family": service.family,
        "program": service.program or "ncforce",
        "options": options,
        "slow_driver": service.slow_driver,
    }


def to_record(job: Job) -> dict[str, Any]:
    """The part of ``run.json`` from which ``from_record`` makes the job again."""
    plan, recipe, service = job.recipe.plan, job.recipe, job.service
    return {
        "plan": {
            "forces": plan.forces,
            "mts": plan.mts,
            "inner_step_fs": plan.inner_step_fs,
            "outer_step_fs": plan.outer_step_fs,
            "n_outer": plan.n_outer,
            "time_ps": plan.time_ps,
        },
        "ensemble": asdict(recipe.ensemble),
        "temperature_K": recipe.temperature_K,
        "seed": recipe.seed,
        "structure": job.structure,
        "velocities": job.velocities,
        "force_stride": recipe.force_stride,
        "driver": {
            "family": service.family,
            "model": service.model,
            "device": service.device,
            "threads": service.threads,
            "options": list(service.options),
            "drivers": service.drivers,
            "program": service.program,
            "slow_driver": list(service.slow_driver),
            "port": recipe.transport.port,
        },
        "limits": {
            "stall_s": job.limits.stall_s,
            "max_temperature_K": job.limits.max_temperature_K,
        },
    }


def from_record(directory: Path, record: Mapping[str, Any]) -> Job:
    """The job of an earlier run, from its ``run.json``."""
    plan, driver = record["plan"], record["driver"]
    service = Service(
        driver["model"],
        driver["family"],
        driver["device"],
        driver["threads"],
        tuple(driver["options"]),
        driver.get("drivers"),  # records of version 0.1.0 have none of these
        driver.get("program"),
        tuple(driver.get("slow_driver", ())),
    )
    recipe = Recipe(
        Plan(plan["forces"], plan["mts"], plan["inner_step_fs"], plan["n_outer"]),
        Ensemble(**record["ensemble"]),
        record["temperature_K"],
        record["seed"],
        transport=Transport(driver["port"]),
        force_stride=record.get("force_stride"),
        **in_the_text(service),
    )
    limits = Limits(**record["limits"])
    return Job(directory, recipe, record["structure"], service, limits, record.get("velocities"))


def _addresses(transport: Transport, plan: Plan, sockets: Path) -> list[str]:
    if transport.port is None:
        return ["--socket-dir", str(sockets)]
    words = ["--host", transport.host]
    for name in plan.components:
        words += [f"--{name}-port", str(transport.port_of(name))]
    return words


def _ipi_program() -> Path:
    """i-PI's script beside our interpreter, or the one on the path."""
    beside = Path(sysconfig.get_path("scripts")) / "i-pi"
    found = beside if beside.is_file() else shutil.which("i-pi")
    if not found:
        raise RunError("i-pi isn't installed; pip install 'ncforce_ipi[run]'")
    return Path(found)
