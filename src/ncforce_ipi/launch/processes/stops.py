"""Signals: which ask a run to stop, once or again, and which must not reach its children."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from ncforce_ipi.launch.processes.timelimit import TimeLimit

# of users, terminals and the schedulers' warnings before a time limit
SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXCPU,
)
# i-PI and drivers would die of these; the launcher tells them when to stop
LAUNCHERS_OWN = {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU}
TOGETHER_S = 1.0  # a terminal or scheduler sends several signals; that is one request


@dataclass
class StopRequest:
    """Which signal asked the launcher to stop, and whether it was asked again.

    Attributes
    ----------
    signum : the first signal; None as long as there was none
    at_once : another one came later: don't wait for i-PI to end by itself
    limit : of wall time, before whose end the run stops by itself; None for no limit
    """

    signum: int | None = None
    at_once: bool = False
    limit: TimeLimit | None = None
    _asked_s: float = 0.0

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        now_s = time.monotonic()
        if self.signum is None:
            self.signum, self._asked_s = signum, now_s
        elif now_s - self._asked_s > TOGETHER_S:
            self.at_once = True

    @property
    def name(self) -> str:
        """Of the first signal."""
        return signal.Signals(self.signum).name if self.signum is not None else "no signal"


@contextmanager
def stop_requests(limit: TimeLimit | None = None) -> Iterator[StopRequest]:
    """Note signals instead of dying of them.

    What was ignored when we were started (``nohup``) stays ignored.  In a thread of a larger
    program signals are that program's business.
    """
    request = StopRequest(limit=limit)
    mine = threading.current_thread() is threading.main_thread()
    left_alone = (signal.SIG_IGN, None)  # None: another language's handler, unknown to Python
    noted = [number for number in SIGNALS if mine and signal.getsignal(number) not in left_alone]
    handlers = {number: signal.signal(number, request) for number in noted}
    try:
        yield request
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """A child that is started here never sees signals that are meant for the launcher.

    Schedulers send them to every process of a job.  A blocked signal stays blocked in a child.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, LAUNCHERS_OWN)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
