"""What one run is asked to do: from a user's words, and as ``run.json`` has it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.commands import Transport
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.masses import Masses
from ncforce_ipi.inputs.outputs import Strides
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.recipe import Recipe
from ncforce_ipi.inputs.service import Service, service_of
from ncforce_ipi.inputs.systems import NAMES, SYSTEMS
from ncforce_ipi.inputs.systems import system as known_system
from ncforce_ipi.inputs.templates import shipped_file
from ncforce_ipi.launch.jobs.door import Remote
from ncforce_ipi.launch.jobs.reach import check_reach, of_these_forces, say_unused_system
from ncforce_ipi.launch.processes.interpreter import python_module
from ncforce_ipi.launch.progress.ending import Limits
from ncforce_ipi.models.words import words_of_text

log = logging.getLogger(__name__)

DEFAULT_M = 8
PROGRAM = python_module("ncforce_ipi")


@dataclass(frozen=True)
class Job:
    """One run: where, what, with which forces, and when to give it up."""

    directory: Path
    recipe: Recipe
    structure: str
    limits: Limits = field(default_factory=Limits)
    velocities: str | None = None
    masses: Masses = field(default_factory=Masses)
    remote: Remote | None = None

    @property
    def service(self) -> Service:
        """The drivers."""
        return self.recipe.service

    @property
    def name(self) -> str:
        """For messages and the progress bar."""
        return self.directory.name or str(self.directory)


def new_job(
    directory: Path,
    plan: Plan,
    *,
    system: str | None = None,
    model: str | None = None,
    slow: str | None = None,
    fast: str | None = None,
    structure: str | None = None,
    velocities: str | None = None,
    ensemble: Ensemble | None = None,
    temperature_K: float = 300.0,
    seed: int | None = None,
    write_forces: int | bool | None = None,
    device: str | None = None,
    threads: int = 1,
    drivers: int | None = None,
    driver_options: str | Sequence[str] = (),
    port: int | None = None,
    limits: Limits | None = None,
    masses_u: Mapping[str, float] | None = None,
    repartition: float | None = None,
    remote: Remote | None = None,
) -> Job:
    """A run from a user's words; files are looked for here, and made absolute.

    Parameters
    ----------
    directory : where it runs
    plan : which forces, how many steps
    system : shipped model and start structure
    model : both forces, as `inputs.service.parse_model` takes it; None: the system's
    slow, fast : another model for this force
    structure : file of the start structure; None: the system's
    velocities : file of the start velocities; None: those that ship with the system, where nothing
        else was asked (`_shipped_velocities`), else random ones
    ensemble : None: NVE
    temperature_K : of the start velocities and of the ensemble, K
    seed : of random start velocities and of the thermostat; None: 1
    write_forces : outer steps between two writes of both forces; True: as often as positions
    device : one, or several with commas, which the drivers take in turn
    threads : CPU threads of each driver
    drivers : how many processes; None: one for each device
    driver_options : further words of ``ncforce driver``, or a text with them, for both forces; for
        the fast ones where ``slow`` is another model, whose own are among its words
    port : TCP instead of unix sockets
    limits : when it is given up
    masses_u : of species that aren't to have their own, u
    repartition : mass of hydrogen, u, which its heavy neighbours give; None: its own
    remote : where drivers of other machines come; None: they are started here

    Raises
    ------
    InputError
        No such system, something is missing, a number out of its range, or driver options that
        no driver would get.
    """
    shipped = None if system is None else known_system(system)
    model, slow, fast = (None if one is None else str(one) for one in (model, slow, fast))
    if isinstance(driver_options, str):
        driver_options = words_of_text(driver_options, "driver options")
    slow, fast = of_these_forces(plan.forces, model, slow, fast)
    own_models = all({"slow": slow, "fast": fast}[name] for name in plan.components)
    say_unused_system(system, structure, plan.forces, model, own_models)
    alone = {"slow": slow, "fast": fast}.get(plan.forces)  # a run of one force needs its model only
    named = model or (shipped.model if shipped else None) or alone
    if (named is None and not (slow and fast)) or (shipped is None and structure is None):
        raise InputError(f"name a system ({NAMES}), or give a model and a structure")
    ensemble = ensemble or Ensemble()
    start = str(structure or system)
    if start in SYSTEMS and ensemble.name == "npt" and ensemble.barostat is None:
        ensemble = replace(ensemble, barostat=SYSTEMS[start].barostat)
    service = service_of(
        named or str(slow),
        slow=slow,
        fast=fast,
        device=device,
        threads=threads,
        drivers=drivers,
        options=driver_options,
    )
    if service.slow_driver and plan.forces == "slow":
        check_reach(service, driver_options)
    stride = Strides.of(plan).position if write_forces is True else write_forces
    stride = None if stride is False else stride
    masses = Masses(masses_u, repartition)
    own = not (model or slow or fast or structure or masses.any)
    if velocities is None and own and seed is None:
        velocities = _shipped_velocities(system, temperature_K, ensemble)
    seed = 1 if seed is None else seed
    recipe = Recipe(plan, ensemble, temperature_K, seed, service, Transport(port), stride)
    if start not in SYSTEMS:
        start = str(Path(start).expanduser().absolute())
    if velocities is not None:
        velocities = str(Path(velocities).expanduser().absolute())
    if remote is not None and port is not None:
        raise InputError("--remote has a port of its own, with i-PI behind it; leave --port out")
    return Job(directory, recipe, start, limits or Limits(), velocities, masses, remote)


def _shipped_velocities(name: str | None, temperature_K: float, ensemble: Ensemble) -> str | None:
    """Velocities with which this system has its temperature on average; None without them.

    A random draw is within 6 % of it (192 atoms), and a run at constant energy keeps what it got.
    """
    shipped = None if name is None else known_system(name)
    if shipped is None or shipped.velocities is None or ensemble.beads > 1:
        return None
    if temperature_K != shipped.temperature_K:
        return None
    log.info(
        "starts from the equilibrated velocities of %s (%g K); --seed N for random ones",
        name,
        shipped.temperature_K,
    )
    return str(shipped_file(shipped.velocities))


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
        "masses": {
            "masses_u": dict(job.masses.of_species) if job.masses.of_species else None,
            "repartition_u": job.masses.hydrogen_u,
        },
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
            "remote": asdict(job.remote) if job.remote else None,
        },
        "limits": asdict(job.limits),
    }


def from_record(directory: Path, record: Mapping[str, Any]) -> Job:
    """The job of an earlier run, from its ``run.json``.

    Raises
    ------
    InputError
        The record lacks something, or has it in another form.
    """
    try:
        for key in ("model", "family"):
            if record["driver"][key] is None:
                raise KeyError(key)
        return _from_record(directory, record)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as err:
        raise InputError(
            f"run.json of {directory} is damaged ({type(err).__name__}: {err}); restore it: a run "
            "goes on by what stands there"
        ) from err


def service_of_record(record: Mapping[str, Any]) -> Service:
    """The drivers of an earlier run, or of a set of replicas."""
    driver = record["driver"]
    return Service(
        driver["model"],
        driver["family"],
        driver["device"],
        driver["threads"],
        tuple(driver["options"]),
        driver.get("drivers"),  # records of version 0.1.0 have none of these
        driver.get("program"),
        tuple(driver.get("slow_driver", ())),
    )


def _from_record(directory: Path, record: Mapping[str, Any]) -> Job:
    plan, driver = record["plan"], record["driver"]
    service = service_of_record(record)
    recipe = Recipe(
        Plan(plan["forces"], plan["mts"], plan["inner_step_fs"], plan["n_outer"]),
        Ensemble(**record["ensemble"]),
        record["temperature_K"],
        record["seed"],
        service,
        Transport(driver["port"]),
        record.get("force_stride"),
    )
    limits = Limits(**record["limits"])
    remote = Remote(**driver["remote"]) if driver.get("remote") else None
    masses = record.get("masses") or {}  # as above
    return Job(
        directory,
        recipe,
        record["structure"],
        limits,
        record.get("velocities"),
        Masses(masses.get("masses_u"), masses.get("repartition_u")),
        remote,
    )
