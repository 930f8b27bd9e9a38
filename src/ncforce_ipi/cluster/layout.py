"""How many GPUs, CPUs and nodes a run has use for, and what is said of the rest."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.service import Service, at_work, what_at_once

GPUS = re.compile(r"(?:(?P<kind>[A-Za-z][\w.-]*):)?(?P<n>\d+)")


@dataclass(frozen=True)
class Gpus:
    """GPUs that are asked for: how many on all nodes together, and of which kind (None: any)."""

    n: int
    kind: str | None = None

    @classmethod
    def parse(cls, text: str) -> Gpus:
        """``[TYPE:]N``, as Slurm writes it.

        Raises
        ------
        InputError
            It is something else.
        """
        match = GPUS.fullmatch(text)
        if not match or not int(match["n"]):
            raise InputError(f"--gpus: expected [TYPE:]N, such as 4 or a100:4; got {text!r}")
        return cls(int(match["n"]), match["kind"])


@dataclass(frozen=True)
class Layout:
    """What of a cluster a run uses.

    Attributes
    ----------
    drivers : processes that serve forces, beside the other driver of the slow forces, if any
    nodes : of these drivers
    gpus : on each node; 0 for none
    kind : of GPU; None for any
    threads : of each driver
    other_driver : for the slow forces
    """

    drivers: int
    nodes: int = 1
    gpus: int = 0
    kind: str | None = None
    threads: int = 1
    other_driver: bool = False

    @property
    def cpus(self) -> int:
        """On one node that has them all: i-PI, and the drivers' threads."""
        return 1 + self.threads * (self.drivers + self.other_driver)

    @property
    def gres(self) -> str | None:
        """GPUs of each node, in Slurm's words."""
        if not self.gpus:
            return None
        return ":".join(["gpu", *([self.kind] if self.kind else []), str(self.gpus)])

    @property
    def devices(self) -> str | None:
        """The device of each driver of one node, for ``--device``; None without GPUs."""
        return ",".join(f"cuda:{i}" for i in range(min(self.gpus, self.drivers))) or None

    @property
    def other_device(self) -> str | None:
        """The device of the other driver, if it has one of its own."""
        apart = self.other_driver and self.gpus > self.drivers
        return f"cuda:{self.drivers}" if apart else None


def lay_out(
    service: Service,
    structures: int,
    gpus: Gpus | None = None,
    nodes: int = 1,
    apart: bool = False,
) -> tuple[Layout, list[str]]:
    """The layout for a run, and what is to be said of GPUs that it has no use for.

    Parameters
    ----------
    structures : for which forces are asked at once: beads of all replicas
    gpus, nodes : asked for
    apart : i-PI is on a node of its own

    Raises
    ------
    InputError
        GPUs that the nodes can't share, too few, or others than the run names itself.
    """
    other = bool(service.slow_driver)
    if named := {name for name in service.devices if name.startswith(("cuda", "hip"))}:
        return _as_named(service, len(named), gpus, nodes, apart), []
    if gpus is None:
        if nodes != 1 or apart:
            raise InputError("drivers on other nodes than i-PI need --gpus, one for each of them")
        return Layout(service.n_drivers, threads=service.threads, other_driver=other), []
    if nodes < 1 or gpus.n % nodes:
        raise InputError(f"{gpus.n} GPUs on {nodes} nodes: expected as many on each")
    if apart or nodes > 1:
        if gpus.n == 1 and other:
            raise InputError("two models on other nodes than i-PI need two GPUs or more, got 1")
        drivers = at_work(gpus.n - other, structures)
        used = drivers + other
    else:
        drivers = at_work(gpus.n, structures)
        used = max(drivers, min(gpus.n, 1 + other))  # of two models each has its own, if it can
    per_node = min(gpus.n // nodes, used)
    n_nodes = math.ceil(used / per_node)
    found = Layout(drivers, n_nodes, per_node, gpus.kind, service.threads, other)
    if used == gpus.n:
        return found, []
    return found, [
        f"{gpus.n} GPUs, but {what_at_once(structures)} at a time, which {used} can serve: the "
        f"script asks for {used}; beads of a path integral, replicas or --array would use more"
    ]


def _as_named(service: Service, n: int, gpus: Gpus | None, nodes: int, apart: bool) -> Layout:
    """All GPUs that the run's own ``--device`` names."""
    if nodes != 1 or apart:
        raise InputError("drivers on other nodes see one GPU each; leave --device out")
    if gpus and gpus.n != n:
        raise InputError(f"--gpus {gpus.n}, but --device names {n}; leave --device out")
    kind, other = gpus.kind if gpus else None, bool(service.slow_driver)
    return Layout(service.n_drivers, 1, n, kind, service.threads, other)
