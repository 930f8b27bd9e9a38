"""A set of replicas: what makes them differ, its ``run.json``, and how it ended."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ncforce_ipi import __version__
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.numbers import whole_number
from ncforce_ipi.launch.jobs.job import Job, to_record
from ncforce_ipi.launch.jobs.saidonce import each_said_once
from ncforce_ipi.launch.progress.ending import Ending
from ncforce_ipi.provenance import command_line, software
from ncforce_ipi.rundir import REPLICAS, Record, replica_names

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
    n = whole_number(n, "replicas")
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
    first = 1 if seed is None else whole_number(seed, "seed")
    with each_said_once():
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
