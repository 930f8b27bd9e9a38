"""The program ``ncforce`` for chaos: the analytic model, frequent checkpoints, faults by a plan.

Environment, besides that of ``tests.analytic_driver``:

NCFORCE_CHAOS_EVENTS
    File to which every driver writes when it was started and when a fault comes to it.
NCFORCE_CHAOS_PLAN
    Directory with one file for each fault, ``what n``.  A driver takes the first when it starts.
NCFORCE_CHAOS_HANG_S, NCFORCE_CHAOS_KEEP_S
    Bounds of launcher and gate, shorter than those of users.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from ncforce_ipi import cli
from ncforce_ipi.inputs import outputs
from ncforce_ipi.launch.directory import keeping
from ncforce_ipi.launch.jobs import door, job
from ncforce_ipi.serve import gate, patience
from tests import analytic_driver

CHECKPOINT_FS = 20.0


def note(what):
    """One line of the events: what, when (seconds since 1970), who."""
    seconds = started_s() if what == "start" else time.time()
    with Path(os.environ.get("NCFORCE_CHAOS_EVENTS", os.devnull)).open("a") as file:
        file.write(f"{what} {seconds:.3f} {os.getpid()}\n")


def started_s():
    """When this process was started, seconds since 1970."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s


def take_a_fault():
    """The next of the plan becomes that of this process."""
    plan = os.environ.get("NCFORCE_CHAOS_PLAN")
    for path in sorted(Path(plan).glob("*.fault")) if plan else ():
        mine = path.with_suffix(f".{os.getpid()}")
        with suppress(FileNotFoundError):  # another driver was faster
            path.rename(mine)
            os.environ["NCFORCE_TEST_FAULT"] = str(mine)
            return


def main():
    """As ``ncforce``."""
    job.PROGRAM = (sys.executable, "-m", "tests.chaos.ncforce")
    door.GATE = (*job.PROGRAM, "gate")
    outputs.CHECKPOINT_INTERVAL_FS = CHECKPOINT_FS
    patience.HANG_S = float(os.environ.get("NCFORCE_CHAOS_HANG_S", patience.HANG_S))
    keeping.KEEP_S = float(os.environ.get("NCFORCE_CHAOS_KEEP_S", keeping.KEEP_S))
    if sys.argv[1] == "gate":
        return gate.main(*sys.argv[2:])
    if sys.argv[1] != "driver":
        return cli.main()
    note("start")
    take_a_fault()
    due = analytic_driver.fault

    def fault(what, n):
        if not due(what, n):
            return False
        note(what)
        return True

    analytic_driver.fault = fault
    return analytic_driver.main()


if __name__ == "__main__":
    raise SystemExit(main())
