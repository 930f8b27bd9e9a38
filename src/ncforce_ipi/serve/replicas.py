"""Replicas: runs of one model that one driver serves, and which of them are evaluated together.

Owns the rule by which requests become batches; knows no model and no message.

Replicas are divided, in their order and once for all, into groups whose structures fit into one
call of the model: as many as are worth it on a CPU (one by one where they are large: then nobody
waits for anybody), all on a GPU.  A group is evaluated when each member that lives has a request
pending: one request of each, so that the batches, and with them the last bits of the forces, don't
depend on who was faster.  Members that have ended are left out.  So is one that has asked for
nothing for ``LAG_S`` while others of its group waited (its i-PI was stopped, say), until it asks
again.  So no wait is unbounded, and only such a lapse makes a run differ from its repetition, by
rounding.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ncforce_ipi.errors import NcforceError
from ncforce_ipi.serve.connection import Connection
from ncforce_ipi.serve.pulse import Pulse
from ncforce_ipi.serve.requests import Request, Trajectory

log = logging.getLogger(__name__)

LAG_S = 30.0  # beyond what i-PI takes between two requests: outputs, a checkpoint, a slow disk


@dataclass(eq=False)
class Replica:
    """One run that is served.

    Attributes
    ----------
    connections : one for each role
    trajectory : what is kept of its requests
    pulse : is told of every answer
    name : for messages; '' where there is one run only
    pending : connections with a request, in the order in which they asked
    lagging : the others of its group don't wait for it
    error : why it isn't served any more
    """

    connections: Sequence[Connection]
    trajectory: Trajectory
    pulse: Pulse = field(default_factory=lambda: Pulse(None))
    name: str = ""
    pending: deque[Connection] = field(default_factory=deque)
    lagging: bool = False
    error: NcforceError | None = None

    @property
    def lives(self) -> bool:
        """Whether it has a server."""
        return any(not connection.end for connection in self.connections)

    @property
    def n_atoms(self) -> int:
        """Of each of its structures."""
        return len(self.connections[0].numbers)

    @property
    def end(self) -> str:
        """Why it isn't served any more."""
        if self.error is not None:
            return f"{type(self.error).__name__}: {self.error}"
        return ", ".join(f"{each.role}: {each.end}" for each in self.connections)

    def asks(self, connection: Connection) -> None:
        """Add a request."""
        self.pending.append(connection)
        self.lagging = False

    def takes(self) -> tuple[Connection, Request]:
        """The request that came first."""
        connection = self.pending.popleft()
        return connection, Request(self.trajectory, connection.structures, connection.role)


@dataclass(eq=False)
class Group:
    """Replicas that are evaluated together; ``since_s`` is when the first of them asked."""

    replicas: Sequence[Replica]
    since_s: float | None = None

    def due(self, now_s: float, hurry: bool = False) -> list[Replica]:
        """Those to evaluate now; none as long as one is waited for, who is not with ``hurry``."""
        asking = [replica for replica in self.replicas if replica.pending]
        if not asking:
            return []
        self.since_s = now_s if self.since_s is None else self.since_s
        missing = [
            replica
            for replica in self.replicas
            if replica.lives and not replica.lagging and not replica.pending
        ]
        if missing and not hurry and now_s - self.since_s < LAG_S:
            return []
        self.since_s = None
        for replica in missing if not hurry else ():
            replica.lagging = True
            log.warning(
                "%s has asked for nothing for %g s: the others go on, and it when it asks again",
                replica.name, LAG_S,
            )  # fmt: skip
        return asking


def grouped(replicas: Sequence[Replica], atoms_at_once: float) -> list[Group]:
    """Neighbours whose structures together have at most so many atoms; one replica at least."""
    groups: list[list[Replica]] = []
    n_atoms = 0
    for replica in replicas:
        n_atoms += replica.n_atoms
        if not groups or n_atoms > atoms_at_once:
            groups.append([])
            n_atoms = replica.n_atoms
        groups[-1].append(replica)
    return [Group(group) for group in groups]
