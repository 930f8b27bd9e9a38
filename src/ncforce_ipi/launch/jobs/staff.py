"""Which drivers serve a run, or a set of replicas that share them, and how each is started."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ncforce_ipi.inputs.commands import driver_words, one_server, several_servers, slow_driver_words
from ncforce_ipi.inputs.service import Service
from ncforce_ipi.launch.jobs import door
from ncforce_ipi.launch.jobs import job as jobs
from ncforce_ipi.launch.jobs.door import Door
from ncforce_ipi.launch.jobs.job import Job
from ncforce_ipi.rundir import LOGS, STRUCTURE_FILE, Record

WAIT_FOR_SERVER_S = 120
WAIT_FOR_EACH_S = 5  # more, where many are started at once
DRIVER = "driver"
SLOW_DRIVER = "slow-driver"


@dataclass(frozen=True)
class Post:
    """A driver, whatever process it is just now.

    Attributes
    ----------
    name : in messages, and of its log
    serves : slow, fast or both
    places : of the runs that it serves
    report_name : its name in the reports to them
    device : None for the model's own choice
    """

    name: str
    serves: str
    places: tuple[int, ...]
    report_name: str
    device: str | None = None


@dataclass(frozen=True)
class Staff:
    """The drivers of a run, or of a set of replicas.

    All drivers serve a single run.  Replicas are shared out: the k-th of K serves each K-th, and
    another driver for the slow forces serves all.

    Attributes
    ----------
    job : the run, or what all replicas have in common; the drivers run in its directory
    shared : whether they serve replicas
    record : of the set of replicas, which names its processes
    door : through which drivers of other machines come, in the place of drivers here
    """

    job: Job
    shared: bool = False
    record: Record | None = None
    door: Door | None = None

    @property
    def directory(self) -> Path:
        """Where they run, and write their logs."""
        return self.job.directory

    @property
    def service(self) -> Service:
        """What is served."""
        return self.job.service

    def posts(self, places: Sequence[int]) -> list[Post]:
        """All drivers that serve runs at these places."""
        if self.door:
            forces = self.job.recipe.plan.forces
            serve = "both" if forces == "mts" else forces
            return [Post(door.NAME, serve, tuple(places), DRIVER)]
        n, devices, found = self.service.n_drivers, self.service.devices, []
        for index, name in enumerate(driver_names(self.job)):
            slow = name == SLOW_DRIVER
            mine = [place for place in places if slow or not self.shared or place % n == index]
            device = devices[index % len(devices)] if devices and not slow else None
            report_name = DRIVER if self.shared and not slow else name
            if mine:
                post = Post(name, serves(self.job, index), tuple(mine), report_name, device)
                found.append(post)
        return found

    def sockets_of(self, sockets: Path, place: int) -> Path:
        """The directory of one run's sockets."""
        return sockets / str(place) if self.shared else sockets

    def command(self, post: Post, served: Mapping[int, Job], sockets: Path) -> list[str]:
        """The words that start a driver for these runs, by their places."""
        if self.door:
            return self.door.command(sockets, self.job.limits.stall_s)
        wait_s = WAIT_FOR_SERVER_S + WAIT_FOR_EACH_S * (len(served) - 1)
        where = [*self._where(post, served, sockets), "--wait-s", str(wait_s)]
        if post.name == SLOW_DRIVER:
            return slow_driver_words(self.service, where)
        program = [self.service.program] if self.service.program else jobs.PROGRAM
        plan, ensemble = self.job.recipe.plan, self.job.recipe.ensemble
        return driver_words(
            self.service, plan, ensemble, post.serves, where, program=program, device=post.device
        )

    def _where(self, post: Post, served: Mapping[int, Job], sockets: Path) -> list[str]:
        if not self.shared:
            options = self.job.recipe.transport.options(self.job.recipe.plan.components)
            options = options or ["--socket-dir", str(sockets)]
            return one_server([*options, "--report", report_file(post.report_name)])
        names = [job.directory.name for job in served.values()]
        return several_servers(
            [str(self.sockets_of(sockets, place)) for place in served],
            [f"{name}/{STRUCTURE_FILE}" for name in names],
            [f"{name}/{report_file(post.report_name)}" for name in names],
        )


def driver_names(job: Job) -> list[str]:
    """Names of the drivers in messages and of their files: driver, or driver-1, driver-2 ...

    The other driver for the slow forces, if there is one and they are needed, is the last.
    """
    n, forces, other = job.service.n_drivers, job.recipe.plan.forces, job.service.slow_driver
    names = [DRIVER] if n == 1 else [f"{DRIVER}-{index + 1}" for index in range(n)]
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


def is_ours(command: Sequence[str]) -> bool:
    """Whether a driver's command starts a program of this installation."""
    return command[0] in (jobs.PROGRAM[0], str(Path(sysconfig.get_path("scripts")) / "ncforce"))
