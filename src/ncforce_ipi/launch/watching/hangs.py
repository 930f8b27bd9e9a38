"""Drivers that live but answer no more: a process that was stopped, a call that doesn't end.

How long a call may take is in ``serve.patience``; before the first one has ended, the only bound is
the run's own (``Limits.stall_s``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ncforce_ipi.launch.watching.drivers import Driver
from ncforce_ipi.serve import patience
from ncforce_ipi.serve.patience import Patience

STOPPED = "stopped by a signal"
COMPUTES = "in one call of the model"

State = tuple[str, float]  # what a driver does that it should end, and which time it does it


@dataclass
class Watchdog:
    """Finds drivers that hang.

    Attributes
    ----------
    stall_s : after which the run is given up; a driver is started again well before
    """

    stall_s: float
    patience: Patience = field(default_factory=Patience)
    _seen: dict[int, tuple[State | None, float]] = field(default_factory=dict)

    def look(self, drivers: Sequence[Driver]) -> list[tuple[Driver, str]]:
        """Those that hang now, and how."""
        now = self.patience.tick()
        found = []
        for driver in drivers:
            state = _state(driver)
            before, since = self._seen.get(id(driver), (None, now))
            if state != before:
                since = now
            self._seen[id(driver)] = state, since
            if state and now - since > self._bound_s(driver, state[0]):
                found.append((driver, f"{state[0]} for {now - since:.0f} s"))
        return found

    def _bound_s(self, driver: Driver, what: str) -> float:
        beats = [heard.beat for heard in driver.heard.values()]
        longest_s = max((beat.longest_s for beat in beats if beat), default=0.0)
        if what == COMPUTES and not longest_s:
            return math.inf
        return patience.bound_s(longest_s, self.stall_s)


def _state(driver: Driver) -> State | None:
    """None if it is well, or has ended."""
    if driver.child.code is not None:
        return None
    if is_stopped(driver.child.pid):
        return STOPPED, 0.0
    beats = [heard.now for heard in driver.heard.values()]
    since_s = max((beat.busy_since_s for beat in beats if beat), default=0.0)
    return (COMPUTES, since_s) if since_s else None


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped (SIGSTOP, a debugger) and doesn't run, where /proc says it."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] in ("T", "t")
