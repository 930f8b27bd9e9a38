"""A driver of a run: the process that it is now, and when it is worth another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ncforce_ipi.errors import ContractError, InputError, OutputError
from ncforce_ipi.launch.answers import Heard
from ncforce_ipi.launch.processes import Child

MAX_RESTARTS = 5
REFILL_STEPS = 100  # after so many outer steps without a restart all are there again
# kinds of error after which a driver would end so again
FINAL = tuple(kind.__name__ for kind in (OutputError, InputError, ContractError))


@dataclass
class Driver:
    """A driver that can be started again.

    Attributes
    ----------
    serves : the roles that it serves; drivers that serve the same stand in for each other
    started_at : step at which it last was started
    restarts : how often it was started again
    left_s : our clock when it was first seen to have left of its own accord, seconds
    lost : it ended and isn't started again
    heard : what it says of itself: answers, whether it computes, how it ended
    hung : how it hung, if it was ended for that
    """

    start: Callable[[], Child]
    child: Child
    serves: str = "all"
    started_at: int = 0
    restarts: int = 0
    left_s: float | None = None
    lost: bool = False
    heard: Heard = field(default_factory=Heard)
    hung: str = ""

    @property
    def error(self) -> str:
        """Kind of the error with which it ended by its own report; empty if there is none."""
        return str(self.heard.last_words().get("end", "")).partition(":")[0]

    def how_it_ended(self) -> str:
        """For a message."""
        how = f", which had hung ({self.hung})" if self.hung else ""
        return f"{self.child.how_it_ended()}{how}"

    def again(self, step: int) -> None:
        """Start it anew at this step."""
        self.heard.starts_again()
        self.hung = ""
        self.child = self.start()
        self.started_at = step
        self.restarts += 1
        self.left_s = None

    def worth_a_restart(self, step: int) -> bool:
        """A driver that a signal ended may do better; one that gave up at once would again."""
        killed = self.child.code is not None and self.child.code < 0
        steps = step - self.started_at
        if steps >= REFILL_STEPS:
            self.restarts = 0
        return (killed or steps > 0) and self.restarts < MAX_RESTARTS
