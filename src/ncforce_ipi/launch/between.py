"""Requests to stop that come between the runs of a longer piece of work: signals, a time limit.

Within a run the launcher notes them itself (`stops`); everywhere else they end what is going on at
once, as Ctrl-C does.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from types import FrameType

from ncforce_ipi.errors import InputError, NcforceError
from ncforce_ipi.launch.processes.stops import SIGNALS, TOGETHER_S
from ncforce_ipi.launch.processes.timelimit import TimeLimit, spare_s
from ncforce_ipi.launch.progress.ending import Ending

OWN = signal.SIGTERM  # that the timer sends to its own process


class Stopped(KeyboardInterrupt):
    """Somebody asked for an end, or the time limit did; what is done stays.

    Attributes
    ----------
    ending : with the reason, and the exit code
    """

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


@dataclass
class Between:
    """Of a piece of work that goes on.

    Attributes
    ----------
    limit : of its wall time
    """

    limit: TimeLimit = field(default_factory=TimeLimit)
    _pid: int = field(default_factory=os.getpid)
    _timer: threading.Timer | None = None
    _over: bool = False

    @contextmanager
    def run(self) -> Iterator[None]:
        """A run goes on meanwhile, whose launcher looks at signals and the limit itself.

        Raises
        ------
        Stopped
            There is no time for one.
        """
        if self.limit.is_near(0.0):
            raise self.out_of_time()
        armed = self._timer is not None
        self.disarm()
        try:
            yield
        finally:
            if armed:
                self.arm()

    def out_of_time(self) -> Stopped:
        """The end of the limit."""
        why = f"stopped for the time limit of {self.limit}"
        return Stopped(Ending("stopped", why, out_of_time=True))

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal; a process that was forked leaves it to its parent."""
        if os.getpid() != self._pid:
            return
        if self._over:
            raise self.out_of_time()
        name = signal.Signals(signum).name
        raise Stopped(Ending("stopped", f"stopped by {name}", signal=signum))

    def arm(self) -> None:
        """From now on the end of the limit is heard."""
        if isfinite(self.limit.seconds):
            left_s = self.limit.left_s - spare_s(self.limit.seconds)
            self._timer = threading.Timer(max(0.0, left_s), self._end)
            self._timer.daemon = True
            self._timer.start()

    def disarm(self) -> None:
        """From now on it isn't."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        """Interrupt the main thread, as a signal from outside would."""
        self._over = True
        os.kill(self._pid, OWN)


@contextmanager
def stoppable(limit: TimeLimit | None = None) -> Iterator[Between]:
    """Signals that ask for an end, and the end of a limit, raise `Stopped` in here.

    What was ignored when we were started (``nohup``) stays ignored.  In a thread of a larger
    program signals are that program's business.
    """
    between = Between(limit or TimeLimit())
    if threading.current_thread() is not threading.main_thread():
        yield between
        return
    left_alone = (signal.SIG_IGN, None)
    noted = [number for number in SIGNALS if signal.getsignal(number) not in left_alone]
    handlers = {number: signal.signal(number, between) for number in noted}
    try:
        if OWN in noted:
            between.arm()
        try:
            yield between
        except InputError:
            raise
        except NcforceError:  # of a scheduler's signal to all processes, a model may hear first
            time.sleep(TOGETHER_S)
            raise
    finally:
        between.disarm()
        for number, handler in handlers.items():
            signal.signal(number, handler)
