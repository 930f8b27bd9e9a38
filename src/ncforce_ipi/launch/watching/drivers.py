"""A driver of one run or of several: the process that it is now, and when it is worth another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ncforce_ipi.errors import ContractError, InputError, OutputError
from ncforce_ipi.launch.processes.child import Child
from ncforce_ipi.launch.progress.ending import NOT_FINITE
from ncforce_ipi.launch.watching.answers import Heard

MAX_RESTARTS = 5
REFILL_STEPS = 100  # after so many outer steps without a restart all are there again
# kinds of error after which a driver would end so again
FINAL = tuple(kind.__name__ for kind in (OutputError, InputError, ContractError))


@dataclass
class Driver:
    """A driver that can be started again.

    Attributes
    ----------
    start : starts it for the i-PIs at these places
    serves : the roles that it serves; drivers that serve the same stand in for each other
    started_at : step at which it last was started, the mean of all runs that it serves
    restarts : how often it was started again
    left_s : our clock when it was first seen to have left of its own accord, seconds
    lost : it ended and isn't started again
    final : nor would any other do better
    heard : what it says of itself to the run at each place: answers, whether it computes, its end
    hung : how it hung, if it was ended for that
    ended, said : how its last process ended, and with which words
    """

    start: Callable[[Iterable[int]], Child]
    child: Child
    serves: str = "all"
    started_at: float = 0.0
    restarts: int = 0
    left_s: float | None = None
    lost: bool = False
    final: bool = False
    heard: dict[int, Heard] = field(default_factory=lambda: {0: Heard()})
    hung: str = ""
    ended: str = ""
    said: str = ""

    def has_ended(self, places: Iterable[int]) -> None:
        """Note how; its report to any of these tells whether another would end so again."""
        how = f", which had hung ({self.hung})" if self.hung else ""
        self.ended = f"{self.child.how_it_ended()}{how}"
        self.said = self.child.last_words()
        reports = [self.heard[place] for place in places]
        said = [self.said] if len(self.heard) == 1 else [heard.end for heard in reports]
        errors = {heard.error for heard in reports}
        self.final = any(NOT_FINITE in text for text in said) or not errors.isdisjoint(FINAL)

    def left_in_peace(self, places: Iterable[int]) -> bool:
        """Whether those at these places, the last that it served, had told it to leave.

        It says with its exit code that it gave others up.
        """
        reports = [self.heard[place] for place in places]
        told = bool(reports) and all(heard.end and not heard.error for heard in reports)
        return self.child.code == 0 or (len(self.heard) > 1 and told)

    def again(self, step: float, places: Iterable[int]) -> None:
        """Start it anew at this step for the i-PIs at these places."""
        for place in places:
            self.heard[place].starts_again()
        self.hung = ""
        self.child = self.start(places)
        self.started_at = step
        self.restarts += 1
        self.left_s = None

    def worth_a_restart(self, step: float) -> bool:
        """A driver that a signal ended may do better; one that gave up at once would again."""
        killed = self.child.code is not None and self.child.code < 0
        steps = step - self.started_at
        if steps >= REFILL_STEPS:
            self.restarts = 0
        return not self.final and (killed or steps > 0) and self.restarts < MAX_RESTARTS
