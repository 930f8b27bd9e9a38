"""The command lines of the drivers that serve a run: for the launcher, and for people by hand.

Owns the words that start one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.numbers import settle
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.service import Service
from ncforce_ipi.rundir import STRUCTURE_FILE


@dataclass(frozen=True)
class Transport:
    """Where i-PI listens: unix sockets, or TCP on ``port`` (slow) and ``port + 1`` (fast).

    With a ``token_file`` drivers reach its unix sockets through the gate of a run.
    """

    port: int | None = None
    host: str = "127.0.0.1"
    token_file: str = ""

    def __post_init__(self) -> None:
        settle(self, whole=("port",))
        if self.port is not None and not 1 <= self.port <= 65534:
            raise InputError(f"port must lie between 1 and 65534, got {self.port}")

    def port_of(self, component: str) -> int:
        """TCP port of a component."""
        if self.port is None:
            raise InputError("unix sockets have no port; expected an inet transport")
        return self.port + (component == "fast")

    def warnings(self, components: Sequence[str]) -> list[str]:
        """What a stranger could do there, in one line; nothing for unix sockets."""
        if self.port is None:
            return []
        ports = " and ".join(f"port {self.port_of(name)}" for name in components)
        return [
            f"every user of this machine can connect to {ports} and send any forces, for i-PI's "
            "protocol has no authentication; without --port unix sockets are private"
        ]

    def options(self, components: Sequence[str]) -> list[str]:
        """Options of a driver that serves these components; none for i-PI's own unix sockets."""
        if self.token_file:
            return ["--token-file", self.token_file]
        if self.port is None:
            return []
        ports = [(f"--{name}-port", str(self.port_of(name))) for name in components]
        return ["--host", self.host, *(word for pair in ports for word in pair)]


def driver_words(
    service: Service,
    plan: Plan,
    ensemble: Ensemble,
    role: str,
    where: Sequence[str],
    *,
    program: Sequence[str] = ("ncforce",),
    device: str | None = None,
) -> list[str]:
    """The words that start a driver for a role of the plan: slow, fast or both.

    Parameters
    ----------
    where : options that say where i-PI listens, and of which atoms: `one_server`
    program : that has our verbs
    device : of this driver; None for the model's own choice
    """
    words = [*program, "driver", service.family, "--model", service.model]
    words += ["--role", role, *where]
    if role == "both":
        words += ["--mts", str(plan.mts)]
    words += [f"--{name}" for name in needs(plan, ensemble)]
    if device is not None:
        words += ["--device", device]
    if service.threads != 1:
        words += ["--threads", str(service.threads)]
    return [*words, *service.options]


def needs(plan: Plan, ensemble: Ensemble) -> list[str]:
    """What goes with direct forces: energy where they are alone, a virial under pressure."""
    found = ["direct-energy"] * (plan.forces == "fast")
    return found + ["direct-virial"] * (ensemble.has_pressure and "fast" in plan.components)


def slow_driver_words(service: Service, where: Sequence[str]) -> list[str]:
    """The words that start the other driver for the slow forces."""
    return [*service.slow_driver, "--role", "slow", *where]


def by_hand(
    service: Service, plan: Plan, ensemble: Ensemble, transport: Transport
) -> list[list[str]]:
    """The commands that a person types in the directory of the input, for all that it needs.

    One for each device that is named.  Unix sockets are in that directory: those of no other run
    are.
    """
    where = one_server(transport.options(plan.components) or ["--socket-dir", "."])
    other = service.slow_driver
    slow = slow_driver_words(service, where)

    def own(role: str) -> list[list[str]]:
        program = (service.program or "ncforce",)
        return [
            driver_words(service, plan, ensemble, role, where, program=program, device=device)
            for device in service.devices or (None,)
        ]

    if not other or plan.forces == "fast":
        return own("both" if plan.forces == "mts" else plan.forces)
    return [*own("fast"), slow] if plan.forces == "mts" else [slow]


def one_server(addresses: Sequence[str]) -> list[str]:
    """Options of a driver that serves the i-PI of the directory where it is started."""
    return ["--structure", STRUCTURE_FILE, *addresses]


def several_servers(
    sockets: Sequence[str], structures: Sequence[str], reports: Sequence[str]
) -> list[str]:
    """Options of a driver that serves several i-PIs: one entry of each list for each of them.

    A report, and the pulse beside it while the driver runs, is of what was answered to that i-PI
    alone, counted as if it were served alone.  It is written when that one has left, whoever else
    is still served; ``end`` says the error if the driver gave it up (forces that aren't finite, a
    broken protocol, an input of another model) and went on with the others.  The driver ends when
    all have left.

    Parameters
    ----------
    sockets : directories, with the sockets named as for one
    structures : start structures
    reports : files
    """
    lists = {"--socket-dir": sockets, "--structure": structures, "--report": reports}
    return [word for option, values in lists.items() for word in (option, *values)]
