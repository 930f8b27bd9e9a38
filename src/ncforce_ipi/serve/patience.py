"""How long an answer may take before whoever should give it is said to hang.

A call may take as long as it takes: the bound grows with the longest one so far, and before the
first one has ended there is none.  Time in which we were stopped ourselves, with all of a job,
doesn't count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

HANG_S = 120.0  # the shortest bound: a network may be compiled anew in between
TIMES_LONGEST = 20.0  # of a call, as often as the longest one so far
MAX_TICK_S = 2.0  # between two looks; what is beyond it, we didn't run either
WORD_BYTES = 12  # of i-PI's protocol: what an answer without forces has


def bound_s(longest_s: float, stall_s: float) -> float:
    """Seconds that an answer may take.

    Parameters
    ----------
    longest_s : the longest answer so far
    stall_s : after which a run is given up; who hangs is found well before
    """
    return min(max(HANG_S, TIMES_LONGEST * longest_s), max(HANG_S, stall_s / 2))


@dataclass
class Patience:
    """A clock that stands while the process that looks at it is stopped."""

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
class Longest:
    """The longest answer of many, seconds."""

    seconds: float = 0.0

    def note(self, seconds: float) -> None:
        """One more."""
        self.seconds = max(self.seconds, seconds)


@dataclass
class Wait:
    """For answers that come one at a time over a connection whose messages nobody reads.

    An answer that is longer than a word is one of the model.  Before the first of these there is
    no bound.

    Parameters
    ----------
    longest : answers of the model over all connections of a run
    stall_s : as in ``bound_s``
    """

    longest: Longest = field(default_factory=Longest)
    stall_s: float = float("inf")
    patience: Patience = field(default_factory=Patience)
    _since_s: float | None = None
    _n_bytes: int = 0
    _answers: bool = False

    def asked(self) -> None:
        """Something was sent to who should answer."""
        if self._since_s is None or self._n_bytes:
            self._since_s, self._n_bytes = self.patience.tick(), 0

    def answered(self, n_bytes: int) -> None:
        """So many bytes came back."""
        self._n_bytes += n_bytes
        if n_bytes and self._since_s is not None and self._n_bytes > WORD_BYTES:
            self._answers = True
            self.longest.note(self.patience.tick() - self._since_s)

    def too_long_s(self) -> float:
        """How long the answer is waited for, if that is too long; else 0."""
        now_s = self.patience.tick()
        if self._since_s is None or self._n_bytes or not self._answers:
            return 0.0
        waited_s = now_s - self._since_s
        return waited_s if waited_s > bound_s(self.longest.seconds, self.stall_s) else 0.0
