"""Watches i-PI and its drivers until the run ends, for whatever reason.  Starts i-PI on nothing.

i-PI waits forever for a driver, integrates NaN without a word and exits 0 after any soft exit, so
each of these is looked for here.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ncforce_ipi.launch.answers import Demand, given, stranger
from ncforce_ipi.launch.display import Display
from ncforce_ipi.launch.drivers import FINAL, Driver
from ncforce_ipi.launch.ending import NOT_FINITE, Ending, Limits, judged, runaway
from ncforce_ipi.launch.hangs import Watchdog
from ncforce_ipi.launch.processes import TICK_S, Child
from ncforce_ipi.launch.progress import Follower, Row
from ncforce_ipi.launch.stops import StopRequest
from ncforce_ipi.rundir import EXIT_FILE

DEAD_THREAD = "Exception in thread"
STOP_S = 20.0  # i-PI looks for a signal once a second and then finishes what it writes
DRIVER_STOP_S = 5.0
BLOCK_BYTES = 4096
SOFT_EXITS = {"EXIT file detected": "a file EXIT", "Kill signal received": "a signal to i-PI"}


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
        if self.request.signum is not None:
            return Ending("stopped", f"stopped by {self.request.name}", signal=self.request.signum)
        limit = self.request.limit
        if limit and limit.is_near(seconds_of_a_step(self.follower)):
            why = f"stopped for the time limit of {limit}"
            return Ending("stopped", why, out_of_time=True)
        return None

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
        start = self.follower.first
        return judged(rows, start, self.reference_K, self.n_atoms, self.limits) if start else None

    def _server_ended(self) -> Ending | None:
        if self.server.code is None:
            return None
        rows = self.follower.update()  # what it wrote last
        if ending := self._foreign() or self._unphysical(rows):
            return ending
        if self._done():
            return Ending("finished")
        if ending := self._asked() or self._left_softly():
            return ending
        where = f"at step {self.follower.step} of {self.n_outer}"
        words = self.server.last_words() + _of_a_full_disk(self.follower.path.parent)
        return Ending("failed", f"{self.server.how_it_ended()} {where}: {words}")

    def _done(self) -> bool:
        return self.server.code == 0 and self.follower.step == self.n_outer

    def _left_softly(self) -> Ending | None:
        """Whether i-PI left because somebody told it to, past us."""
        said = self.server.said() if self.server.code == 0 else ""
        who = next((who for words, who in SOFT_EXITS.items() if words in said), None)
        return Ending("stopped", f"stopped by {who}") if who else None

    def settled(self, ending: Ending) -> Ending:
        """The same ending, once i-PI is gone, unless what it wrote last says otherwise."""
        last = self._unphysical(self.follower.update())
        if last and not ending.unphysical:
            return last
        return Ending("finished") if ending.on_request and self._done() else ending

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
                return runaway(why)
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


def _of_a_full_disk(directory: Path) -> str:
    """What the log on it has no room to say."""
    try:
        full = shutil.disk_usage(directory).free < BLOCK_BYTES
    except OSError:
        full = False
    return " (the disk is full)" if full else ""


def wind_down(watch: Watch) -> None:
    """Stop i-PI, which writes its checkpoint; then the drivers, which write their reports."""
    server, request = watch.server, watch.request
    if watch.follower.fresh_step is None:
        server.kill()  # nothing to save, and while i-PI awaits its first forces it can't stop
    _ask_to_leave(server, watch.follower.path.parent)
    step_s = seconds_of_a_step(watch.follower)
    if not _wait([server], STOP_S + 3 * step_s, request):
        for driver in watch.drivers:  # i-PI waits for an answer that doesn't come
            driver.child.kill()
        if not _wait([server], STOP_S, request):
            server.kill()
    children = [driver.child for driver in watch.drivers]
    _wait(children, DRIVER_STOP_S, request)
    for child in children:
        child.terminate()
    _wait(children, DRIVER_STOP_S, request)
    for child in children:
        child.kill()


def _ask_to_leave(server: Child, directory: Path) -> None:
    """By a file: of two signals, ours and one of the scheduler, i-PI would die without a word."""
    try:
        (directory / EXIT_FILE).touch()
    except OSError:  # the disk is full, or isn't ours any more
        server.terminate()


def _wait(children: Sequence[Child], seconds: float, request: StopRequest) -> bool:
    """Whether all end within this time for all of them together, and before we must be gone."""
    deadline = time.monotonic() + seconds
    while any(child.code is None for child in children):
        if request.at_once or time.monotonic() > deadline:
            return False
        time.sleep(TICK_S)
    return True


def seconds_of_a_step(follower: Follower) -> float:
    done = follower.step - (follower.fresh_step or 0)
    return (follower.last_s - follower.fresh_s) / done if done > 0 else 0.0
