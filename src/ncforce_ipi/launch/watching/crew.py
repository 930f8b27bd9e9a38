"""The drivers of one i-PI, or of several that share them, while they serve.

Those that hang are ended, those that ended are started again for whom they still have to serve.
What that means for a run is its own watch's business (`supervise`), which knows no crew.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ncforce_ipi.launch.processes.child import TICK_S, Child
from ncforce_ipi.launch.processes.stops import StopRequest
from ncforce_ipi.launch.progress.ending import Ending
from ncforce_ipi.launch.watching.drivers import Driver
from ncforce_ipi.launch.watching.hangs import Watchdog
from ncforce_ipi.launch.watching.supervise import STOP_S, Watch

DRIVER_STOP_S = 5.0


@dataclass
class Crew:
    """All drivers, and whom they serve."""

    drivers: Sequence[Driver]
    watches: Sequence[Watch]
    watchdog: Watchdog

    def look(self) -> None:
        """End those that hang, start those again that ended; called at every look."""
        for driver, how in self.watchdog.look(self.drivers):
            driver.hung = how
            driver.child.kill()
            for watch in self._served(driver):
                watch.notices.append(f"{driver.child.name} was {how} {watch.at}: ended")
        for driver in self.drivers:
            if not (driver.lost or driver.child.code is None or self._may_be_the_end(driver)):
                self._replace(driver)

    def _may_be_the_end(self, driver: Driver) -> bool:
        """Whether it left because i-PI had told it to, which then ends too, within a bound."""
        if not driver.left_in_peace([watch.place for watch in self._served(driver)]):
            return False
        if driver.left_s is None:
            driver.left_s = time.monotonic()
        return time.monotonic() - driver.left_s < STOP_S

    def _replace(self, driver: Driver) -> None:
        """Start a driver that ended anew, or give it up."""
        served = self._served(driver)
        places = [watch.place for watch in served]
        if not places:
            driver.lost = True
            return
        driver.has_ended(places)
        step = sum(watch.follower.step for watch in served) / len(served)
        if driver.worth_a_restart(step):
            driver.again(step, places)
        else:
            driver.lost = True
        for watch in served:
            if driver.lost and watch.needs(driver):
                watch.missing = driver
            else:
                watch.notices.append(watch.why(driver))

    def _served(self, driver: Driver) -> list[Watch]:
        """Those that still need it."""
        return [watch for watch in self.watches if watch.goes_on and watch.place in driver.heard]

    def let_go(self, watch: Watch) -> None:
        """End drivers for whose answer an i-PI waits in vain, unless others need them."""
        for driver in watch.drivers:
            if not self._served(driver):
                driver.child.kill()

    def wind_down(self, request: StopRequest, ending: Ending) -> None:
        """Stop every i-PI, which writes its checkpoint; then the drivers, which report.

        Parameters
        ----------
        ending : of those that had none yet
        """
        for watch in self.watches:
            if watch.ending is None:
                watch.end(ending)
        while not all(watch.gone for watch in self.watches):
            for watch in self.watches:
                watch.see_off(self.let_go)
            time.sleep(TICK_S)
        self._end_drivers(request)

    def _end_drivers(self, request: StopRequest) -> None:
        """Give them time to write their reports, then end them."""
        children = [driver.child for driver in self.drivers]
        wait(children, DRIVER_STOP_S, request)
        for child in children:
            child.terminate()
        wait(children, DRIVER_STOP_S, request)
        for child in children:
            child.kill()


def wait(children: Sequence[Child], seconds: float, request: StopRequest) -> bool:
    """Whether all end within this time for all of them together, and before we must be gone."""
    deadline = time.monotonic() + seconds
    while any(child.code is None for child in children):
        if request.at_once or time.monotonic() > deadline:
            return False
        time.sleep(TICK_S)
    return True
