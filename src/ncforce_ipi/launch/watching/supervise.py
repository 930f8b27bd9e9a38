"""Watches one i-PI until its run ends, for whatever reason.  Starts nothing.

i-PI waits forever for a driver, integrates NaN without a word and exits 0 after any soft exit, so
each of these is looked for here.  What becomes of its drivers, which it may share with others, is
looked for by `crew`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ncforce_ipi.errors import RunError
from ncforce_ipi.launch.directory.keeping import Keeper
from ncforce_ipi.launch.processes.child import Child
from ncforce_ipi.launch.processes.stops import StopRequest
from ncforce_ipi.launch.progress.agreement import Agreement
from ncforce_ipi.launch.progress.ending import NOT_FINITE, Ending, Limits, judged, runaway
from ncforce_ipi.launch.progress.follower import Follower, Row
from ncforce_ipi.launch.watching.answers import Demand, given, stranger
from ncforce_ipi.launch.watching.drivers import FINAL, Driver
from ncforce_ipi.launch.watching.hangs import Patience
from ncforce_ipi.rundir import EXIT_FILE

STOP_S = 20.0  # i-PI looks for a signal once a second and then finishes what it writes
DEAD_THREAD = "Exception in thread"
GIVEN_UP_S = 10.0  # a driver that lives so long after an error of one run serves others on
BLOCK_BYTES = 4096
SOFT_EXITS = {"EXIT file detected": "a file EXIT", "Kill signal received": "a signal to i-PI"}


@dataclass
class Watch:
    """All that is looked at while an i-PI runs.

    Attributes
    ----------
    drivers : that serve it
    n_outer : last step of the run
    demand : what i-PI asks of the drivers; None if that isn't looked at
    from_step : after which i-PI was started
    agreement : of slow and fast forces
    reference_K : temperature that was asked for, K
    place : under which the drivers know it
    patience : the clock by which a run stalls
    ending : how it ended; None as long as it goes on.  i-PI may still run then
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
    place: int = 0
    patience: Patience = field(default_factory=Patience)
    ending: Ending | None = None
    agreement: Agreement | None = None

    def __post_init__(self) -> None:
        self.keeper = Keeper(self.follower.path.parent, kept=self.from_step or -1)
        self.progress_s = 0.0  # of its clock, at the last new step
        self.leave_by_s = 0.0
        self.given_up_s: float | None = None
        self.missing: Driver | None = None  # whose end is the run's
        self.last_chance = self.killed = False

    @property
    def goes_on(self) -> bool:
        """Whether nothing has ended it."""
        return self.ending is None

    @property
    def gone(self) -> bool:
        """Whether it ended, and i-PI too, as far as that could be done."""
        return self.ending is not None and (self.killed or self.server.code is not None)

    @property
    def at(self) -> str:
        """The step that is done, for messages."""
        return f"at step {self.follower.step}"

    def look(self) -> None:
        """Called a few times a second, until it has ended."""
        try:
            rows = self.follower.update()
            if self.agreement:
                self.agreement.update()
            ending = self._ending(rows) if self.ending is None else None
        except RunError as err:  # a line that isn't i-PI's: the others go on
            ending = Ending("failed", str(err))
        if self.ending is None and ending:
            self.end(ending)
        if self.goes_on:
            self.keeper.look()  # which may take its time: rows come before anything is decided

    def end(self, ending: Ending) -> None:
        """Tell i-PI to stop, for which it writes its checkpoint."""
        self.ending = ending
        if self.follower.fresh_step is None:
            self.server.kill()  # nothing to save, and awaiting its first forces it can't stop
        _ask_to_leave(self.server, self.follower.path.parent)
        self.leave_by_s = time.monotonic() + STOP_S + 3 * self.follower.step_s

    def see_off(self, let_go: Callable[[Watch], None]) -> None:
        """Make an i-PI that was told to stop do so; called until it is gone.

        Parameters
        ----------
        let_go : ends drivers for whose answer it waits in vain
        """
        if self.goes_on or self.gone:
            return
        if time.monotonic() < self.leave_by_s and not self.request.at_once:
            return
        if self.last_chance:
            self.server.kill()
            self.killed = True
            return
        let_go(self)  # i-PI waits for an answer that doesn't come
        self.last_chance, self.leave_by_s = True, time.monotonic() + STOP_S

    def _ending(self, rows: Sequence[Row]) -> Ending | None:
        if rows:
            self.progress_s = self.patience.now_s
        return (
            self._foreign()
            or self._unphysical(rows)
            or self._server_ended()
            or self._asked()
            or self._disagrees()
            or self._deaf()
            or self._without_driver()
            or self._given_up()
            or self._stalled()
        )

    def _asked(self) -> Ending | None:
        if self.request.signum is not None:
            return Ending("stopped", f"stopped by {self.request.name}", signal=self.request.signum)
        limit = self.request.limit
        if limit and limit.is_near(self.follower.step_s):
            why = f"stopped for the time limit of {limit}"
            return Ending("stopped", why, out_of_time=True)
        return None

    def _disagrees(self) -> Ending | None:
        found = self.agreement
        if not (found and found.stops and found.reason):
            return None
        return Ending("stopped", f"stopped: {found.reason}", disagreement=True)

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
        return given([(driver.serves, driver.heard[self.place].beat) for driver in self.drivers])

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
        words = self._why_it_ended()
        return Ending("failed", f"{self.server.how_it_ended()} {where}: {words}")

    def _why_it_ended(self) -> str:
        """What its log says, where that had room and i-PI had time to say it."""
        if _is_full(self.follower.path.parent):
            return "the disk is full; make room, then go on with --resume"
        if (self.server.code or 0) < 0:
            return "ended from outside, or for want of memory; go on with --resume"
        return self.server.last_words()

    def _done(self) -> bool:
        return self.server.code == 0 and self.follower.step == self.n_outer

    def _left_softly(self) -> Ending | None:
        """Whether i-PI left because somebody told it to, past us."""
        said = self.server.said() if self.server.code == 0 else ""
        who = next((who for words, who in SOFT_EXITS.items() if words in said), None)
        return Ending("stopped", f"stopped by {who}") if who else None

    def settled(self, ending: Ending) -> Ending:
        """The same ending, once i-PI is gone, unless what it wrote last says otherwise."""
        if self.agreement:
            self.agreement.update()
        try:
            last = self._unphysical(self.follower.update())
        except RunError:
            return ending
        if last and not ending.unphysical:
            return last
        return Ending("finished") if ending.on_request and self._done() else ending

    def _deaf(self) -> Ending | None:
        """A dead polling thread: i-PI lives, but serves no driver any more."""
        if DEAD_THREAD not in self.server.said():
            return None
        reason = f"a thread of i-PI died at step {self.follower.step} (log {self.server.log.name})"
        return Ending("failed", f"{reason}: {self.server.last_words()}", recoverable=True)

    def needs(self, driver: Driver) -> bool:
        """Whether the run can't go on because this driver ended as it did."""
        others = [other for other in self.drivers if other.serves == driver.serves]
        return driver.final or all(other.lost for other in others)

    def why(self, driver: Driver) -> str:
        """How a driver ended, for a message."""
        return f"{driver.ended} {self.at}: {driver.said}"

    def _without_driver(self) -> Ending | None:
        """The end only when no driver is left that could serve a role."""
        driver = self.missing
        if driver is None:
            return None
        why, alone = self.why(driver), len(driver.heard) == 1
        ours = NOT_FINITE in (driver.said if alone else driver.heard[self.place].end)
        return runaway(why) if ours else Ending("failed", why)

    def _given_up(self) -> Ending | None:
        """Whether a driver that serves others too has given this run up alone."""
        for driver in self.drivers:
            heard = driver.heard[self.place]
            if len(driver.heard) < 2 or driver.child.code is not None or not heard.error:
                continue
            now = time.monotonic()
            self.given_up_s = self.given_up_s or now
            why = f"{driver.child.name} gave this run up {self.at}: {heard.end}"
            if NOT_FINITE in heard.end:
                return runaway(why)
            if heard.error in FINAL or now - self.given_up_s > GIVEN_UP_S:
                return Ending("failed", why)
        return None

    def _stalled(self) -> Ending | None:
        silent_s = self.patience.now_s - self.progress_s
        if silent_s <= self.limits.stall_s:
            return None
        return Ending(
            "failed",
            f"no outer step after step {self.follower.step} for {silent_s:.0f} s; the last line of "
            f"i-PI's log: {self.server.last_words()}",
        )


def _is_full(directory: Path) -> bool:
    """Whether there is no room even for a line of the log."""
    try:
        return shutil.disk_usage(directory).free < BLOCK_BYTES
    except OSError:
        return False


def _ask_to_leave(server: Child, directory: Path) -> None:
    """By a file: of two signals, ours and one of the scheduler, i-PI would die without a word."""
    try:
        (directory / EXIT_FILE).touch()
    except OSError:  # the disk is full, or isn't ours any more
        server.terminate()
