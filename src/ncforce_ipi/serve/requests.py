"""Whose forces are asked for: a trajectory, and a request of it.

Owns what is kept between two requests.  Knows no model and no socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ncforce_ipi.backend import Role, Structure
from ncforce_ipi.serve.joint import Counts, Memory
from ncforce_ipi.serve.points import Afresh


@dataclass
class Trajectory:
    """What is kept of the requests of one run: of one replica, with all its beads.

    Attributes
    ----------
    memory : recent points and the prediction, or neither
    steps : structures that were asked about, of each role
    n_evaluated : structures that the model has evaluated
    """

    memory: Memory | Afresh
    steps: dict[Role, int]
    n_evaluated: int = 0

    @property
    def counts(self) -> Counts | None:
        """How joint evaluation did; None where there is none."""
        return self.memory.counts if isinstance(self.memory, Memory) else None


@dataclass(frozen=True)
class Request:
    """Structures of one trajectory whose forces of one role are asked for together."""

    trajectory: Trajectory
    structures: Sequence[Structure]
    role: Role
