"""Runs with the analytic driver on four molecules: their words, what is left of them, and faults.

A fault comes while the driver holds (``tests.analytic_driver``): at a known step, however fast the
machine is.
"""

import json
import shutil
import sys
import threading
import time
from pathlib import Path

from ncforce_ipi.launch.directory import tails
from ncforce_ipi.launch.jobs import job
from ncforce_ipi.launch.processes.child import Child
from ncforce_ipi.launch.segments import rounds
from tests.ipi_host import ANALYTIC, TIMEOUT_S, molecules

MTS, N_OUTER = 4, 30
MODEL = ("--model", "analytic:model.txt", "--structure", "start.xyz")


def mts(out, *words):
    """30 outer steps of 4 x 0.5 fs, unless the words say otherwise."""
    return ("run", "--forces", "mts", "--mts", "4", "--time-ps", "0.06", "--out", out, *words)


def prepare(directory, monkeypatch):
    """Make a directory that of the analytic driver, of which a fault may be asked there."""
    monkeypatch.setattr(job, "PROGRAM", (sys.executable, ANALYTIC))
    monkeypatch.setenv("NCFORCE_TEST_FAULT", str(directory / "fault"))
    monkeypatch.chdir(directory)
    Path("start.xyz").write_text(molecules())
    Path("model.txt").write_text("any file")


def copied(directory, name):
    """A copy of a run in the present directory; its name."""
    shutil.copytree(directory, name)
    return name


def record(directory):
    """``run.json``."""
    return json.loads(Path(directory, "run.json").read_text())


def deaths(found):
    """Of drivers, in all parts of a run."""
    return [death for part in found["segments"] for death in part.get("driver_deaths", [])]


def children_of(monkeypatch):
    """All processes that the launcher starts, as they come."""
    children = []

    def start(*arguments, **options):
        children.append(Child(*arguments, **options))
        return children[-1]

    monkeypatch.setattr(rounds, "Child", start)
    return children


def evaluation_after(step):
    """Number of the first evaluation after an outer step, by one driver with both forces.

    One at the start, then M in a step.  Rows come to the disk two by two, those up to an odd step
    are there then.
    """
    return 1 + MTS * step + 1


def while_held(n, action):
    """Do something while the driver waits at its n-th evaluation; the thread that does it."""
    Path("fault").write_text(f"hold {n}")
    fault, held = Path("fault").absolute(), Path("fault.held").absolute()

    def act():
        try:
            wait_for(held.exists)
            action()
        finally:
            fault.unlink()

    return _started(act)


def once_held(n, condition, action):
    """As `while_held`, at the first of the n-th and each eighth later evaluation when it is so.

    Of several i-PIs that a driver serves one may be far ahead, where others start late.
    """
    fault, held = Path("fault").absolute(), Path("fault.held").absolute()
    fault.write_text(f"hold {n}")

    def act():
        at = n
        try:
            wait_for(held.exists)
            while not _soon(condition):
                at += 8
                later = fault.with_name("fault.later")
                later.write_text(f"hold {at}")
                later.replace(fault)
                time.sleep(0.1)  # it goes on
                held.unlink()
                wait_for(held.exists)
            action()
        finally:
            fault.unlink()

    return _started(act)


def when_at(step, directory, action):
    """Do something once a run has written this step, or a later one; the thread that does it."""
    path = Path(directory, "simulation.out").absolute()

    def act():
        wait_for(lambda: tails.last_step(path) >= step)
        action()

    return _started(act)


def wait_for(condition):
    """Wait until something is so; an error if it doesn't become so."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(condition)
        time.sleep(0.02)


def _soon(condition):
    """Whether something is so within a second."""
    deadline = time.monotonic() + 1.0
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _started(act):
    thread = threading.Thread(target=act)
    thread.start()
    return thread
