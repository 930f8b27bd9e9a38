"""Watches i-PI and its drivers until the run ends, for whatever reason.  Starts i-PI on nothing.

i-PI waits forever for a driver, integrates NaN without a word and exits 0 after any soft exit, so
each of these is looked for here.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal

from ncforce_ipi.analysis.runaway import FAR_TOO_HOT, lost
from ncforce_ipi.launch.answers import Demand, given, stranger
from ncforce_ipi.launch.display import Display
from ncforce_ipi.launch.drivers import FINAL, Driver
from ncforce_ipi.launch.hangs import Watchdog
from ncforce_ipi.launch.processes import TICK_S, Child
from ncforce_ipi.launch.progress import Follower, Row

State = Literal["finished", "stopped", "failed"]
DEAD_THREAD = "Exception in thread"
NOT_FINITE = "is not finite"  # the driver says it too, of what its model gave
STOP_S = 20.0  # i-PI looks for a signal once a second and then finishes what it writes
DRIVER_STOP_S = 5.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ADVICE = "check the start structure for close atoms, or take a smaller time step"


@dataclass(frozen=True)
class Limits:
    """When a run is given up.

    Attributes
    ----------
    stall_s : longest time without a new outer step, seconds
    max_temperature_K : a hotter run is stopped, K; None for no limit
    hot : a run is stopped once it is hotter than this many times the temperature asked for, and
        its conserved quantity says that this isn't its own potential energy (`analysis.runaway`)
    """

    stall_s: float = 600.0
    max_temperature_K: float | None = None
    hot: float = FAR_TOO_HOT


@dataclass(frozen=True)
class Ending:
    """How a run, or the part of it that one i-PI process did, ended.

    Attributes
    ----------
    state : "finished" (last step reached), "stopped" (on purpose), "failed"
    reason : one line; empty for a finished run
    signal : number of the signal that asked for it, if one did
    recoverable : i-PI can go on from a checkpoint in a new process
    unphysical : energy, temperature or forces ran away; there is nothing to go on with
    foreign : forces came from another program than our drivers; likewise
    """

    state: State
    reason: str = ""
    signal: int | None = None
    recoverable: bool = False
    unphysical: bool = False
    foreign: bool = False


@dataclass
class StopRequest:
    """Which signal asked the launcher to stop; the second one interrupts it at once."""

    signum: int | None = None

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signum


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note Ctrl-C, SIGTERM and a closed terminal instead of dying of them."""
    request = StopRequest()
    handlers = {signum: signal.signal(signum, request) for signum in STOP_SIGNALS}
    try:
        yield request
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


@dataclass
class Watch:
    """All that is looked at while i-PI runs.

    Attributes
    ----------
    n_outer : last step of the run
    demand : what i-PI asks of the drivers; None if that isn't looked at
    from_step : after which i-PI was started
    reference_K : temperature that was asked for, K
    """

    server: Child
    drivers: Sequence[Driver]
    follower: Follower
    n_outer: int
    reference_K: float
    n_atoms: int
    limits: Limits
    request: StopRequest
    notices: list[str] = field(default_factory=list)
    demand: Demand | None = None
    from_step: int = 0

    def __post_init__(self) -> None:
        self.watchdog = Watchdog(self.limits.stall_s)
        self.progress_s = 0.0  # of its clock, at the last new step

    def until_the_end(self, display: Display) -> Ending:
        """Look again and again; say how it ended.  Processes may still run then."""
        while True:
            rows = self.follower.update()
            display.show(self.follower)
            if ending := self._ending(rows):
                return ending
            time.sleep(TICK_S)

    def _ending(self, rows: Sequence[Row]) -> Ending | None:
        self._end_those_that_hang()
        if rows:
            self.progress_s = self.watchdog.patience.now_s
        return (
            self._foreign()
            or self._unphysical(rows)
            or self._server_ended()
            or self._asked()
            or self._deaf()
            or self._driver_lost()
            or self._stalled()
        )

    def _asked(self) -> Ending | None:
        if self.request.signum is None:
            return None
        name = signal.Signals(self.request.signum).name
        return Ending("stopped", f"stopped by {name}", signal=self.request.signum)

    def _foreign(self) -> Ending | None:
        """Whether somebody else has computed forces.  Rows were read before counts are."""
        reason = stranger(self.needed(), self.answers())
        return Ending("failed", reason, foreign=True) if reason else None

    def needed(self) -> dict[str, int]:
        """Requests of each role in the steps that i-PI has done since it was started."""
        if self.demand is None or self.follower.fresh_step is None:
            return {}
        return self.demand.until(self.follower.step - self.from_step)

    def answers(self) -> dict[str, int | None]:
        """What our drivers have answered of them."""
        return given([(driver.serves, driver.heard.beat) for driver in self.drivers])

    def _end_those_that_hang(self) -> None:
        for driver, how in self.watchdog.look(self.drivers):
            driver.hung = how
            driver.child.kill()
            at = f"at step {self.follower.step}"
            self.notices.append(f"{driver.child.name} was {how} {at}: ended")

    def _unphysical(self, rows: Sequence[Row]) -> Ending | None:
        """The first of these rows that is beyond the rule, or the user's own limit."""
        return next(filter(None, map(self._beyond, rows)), None)

    def _beyond(self, row: Row) -> Ending | None:
        limits, at = self.limits, f"stopped at step {row.step}, {row.time_ps:.4g} ps"
        if not row.finite:
            return _runaway(f"{at}: energy or temperature {NOT_FINITE}; {ADVICE}")
        start = self.follower.first or row
        moved_meV = 1e3 * (row.conserved_eV - start.conserved_eV) / self.n_atoms
        if lost(row.temperature_K, moved_meV, self.reference_K, limits.hot):
            return _runaway(
                f"{at}: {row.temperature_K:.4g} K is more than {limits.hot:g} times the "
                f"{self.reference_K:g} K asked for, and the conserved quantity changed by "
                f"{moved_meV:.3g} meV/atom; {ADVICE}"
            )
        limit_K = limits.max_temperature_K
        if limit_K is not None and row.temperature_K > limit_K:
            return _runaway(
                f"{at}: the temperature ({row.temperature_K:.0f} K) exceeded the limit "
                f"({limit_K:.0f} K)"
            )
        return None

    def _server_ended(self) -> Ending | None:
        if self.server.code is None:
            return None
        rows = self.follower.update()  # what it wrote last
        if ending := self._foreign() or self._unphysical(rows):
            return ending
        if self.server.code == 0 and self.follower.step == self.n_outer:
            return Ending("finished")
        where = f"at step {self.follower.step} of {self.n_outer}"
        return Ending("failed", f"{self.server.how_it_ended()} {where}: {self.server.last_words()}")

    def _deaf(self) -> Ending | None:
        """A dead polling thread: i-PI lives, but serves no driver any more."""
        if DEAD_THREAD not in self.server.said():
            return None
        reason = f"a thread of i-PI died at step {self.follower.step} (log {self.server.log.name})"
        return Ending("failed", f"{reason}: {self.server.last_words()}", recoverable=True)

    def _driver_lost(self) -> Ending | None:
        """Start dead drivers again; the end only when none is left that could serve a role."""
        for driver in self.drivers:
            if driver.lost or driver.child.code is None or self._may_be_the_end(driver):
                continue
            said = driver.child.last_words()
            why = f"{driver.how_it_ended()} at step {self.follower.step}: {said}"
            if NOT_FINITE in said:
                return _runaway(why)
            if driver.error in FINAL:
                return Ending("failed", why)
            if driver.worth_a_restart(self.follower.step):
                driver.again(self.follower.step)
            else:
                driver.lost = True
            if all(other.lost for other in self.drivers if other.serves == driver.serves):
                return Ending("failed", why)
            self.notices.append(why)
        return None

    def _may_be_the_end(self, driver: Driver) -> bool:
        """Whether it left because i-PI had told it to, which then ends too, within a bound."""
        if driver.child.code != 0:
            return False
        if driver.left_s is None:
            driver.left_s = time.monotonic()
        return time.monotonic() - driver.left_s < STOP_S

    def _stalled(self) -> Ending | None:
        silent_s = self.watchdog.patience.now_s - self.progress_s
        if silent_s <= self.limits.stall_s:
            return None
        return Ending(
            "failed",
            f"no outer step after step {self.follower.step} for {silent_s:.0f} s; the last line of "
            f"i-PI's log: {self.server.last_words()}",
        )


def _runaway(reason: str) -> Ending:
    return Ending("stopped", reason, unphysical=True)


def wind_down(watch: Watch) -> None:
    """Stop i-PI, which writes its checkpoint; then the drivers, which write their reports."""
    server = watch.server
    if watch.follower.fresh_step is None:
        server.kill()  # nothing to save, and while i-PI awaits its first forces it can't stop
    server.terminate()
    step_s = _seconds_of_a_step(watch.follower)
    if not server.ends_within(STOP_S + 3 * step_s):
        for driver in watch.drivers:  # i-PI waits for an answer that doesn't come
            driver.child.kill()
        if not server.ends_within(STOP_S):
            server.kill()
    children = [driver.child for driver in watch.drivers]
    _wait(children, DRIVER_STOP_S)
    for child in children:
        child.terminate()
    _wait(children, DRIVER_STOP_S)
    for child in children:
        child.kill()


def _wait(children: Sequence[Child], seconds: float) -> None:
    """Until all have ended, but not longer than this for all of them together."""
    deadline = time.monotonic() + seconds
    for child in children:
        child.ends_within(max(0.0, deadline - time.monotonic()))


def _seconds_of_a_step(follower: Follower) -> float:
    done = follower.step - (follower.fresh_step or 0)
    return (follower.last_s - follower.fresh_s) / done if done > 0 else 0.0
