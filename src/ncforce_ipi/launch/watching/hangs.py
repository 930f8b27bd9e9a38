"""Drivers that live but answer no more: a process that was stopped, a call that doesn't end.

A call may take as long as it takes: the bound grows with the longest one so far, and before the
first one has ended there is none but the run's own (``Limits.stall_s``).  Time that the launcher
was stopped itself, with all of the job, doesn't count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ncforce_ipi.launch.watching.drivers import Driver

HANG_S = 120.0  # the shortest bound: a network may be compiled anew in between
TIMES_LONGEST = 20.0  # of a call, as often as the longest one so far
MAX_TICK_S = 2.0  # between two looks; what is beyond it, we didn't run either
STOPPED = "stopped by a signal"
COMPUTES = "in one call of the model"

State = tuple[str, float]  # what a driver does that it should end, and which time it does it


@dataclass
class Patience:
    """A clock that stands while the launcher is stopped."""

    clock: Callable[[], float] = time.monotonic
    now_s: float = 0.0
    _last_s: float | None = None

    def tick(self) -> float:
        """The time, seconds; to be called at every look."""
        now = self.clock()
        if self._last_s is not None:
            self.now_s += min(now - self._last_s, MAX_TICK_S)
        self._last_s = now
        return self.now_s


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
        return min(max(HANG_S, TIMES_LONGEST * longest_s), max(HANG_S, self.stall_s / 2))


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
