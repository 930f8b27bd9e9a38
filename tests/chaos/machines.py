"""Faults of the machine that runs the launcher and i-PI."""

from __future__ import annotations

import os
import signal
import time

from .world import AT_RESUME, Row, World, is_gone, kill, until


def ipi_killed(world: World) -> Row:
    """Out of memory, say."""
    row = Row("i-PI killed")
    for _ in range(world.times(5)):
        it = world.begin()
        it.reach(world.moment())
        kill(it.pids()["i-PI"])
        start = time.monotonic()
        code, written = it.end(), it.step
        row.n += 1
        row.noticed_s.append(time.monotonic() - start)
        row.line, row.bitwise = it.line, row.bitwise and code == 1
        world.goes_on(row, it.out, written)
    return row


def launcher_killed(world: World) -> Row:
    """i-PI and the drivers go on to the end of the run, or to somebody who stops them."""
    row = Row("the launcher killed, i-PI goes on")
    for _ in range(world.times(3)):
        it = world.begin()
        it.reach(world.moment())
        others = [pid for name, pid in it.pids().items() if name != "launcher"]
        kill(it.pids()["launcher"])
        it.end()
        refused, row.n = world.resume(it.out), row.n + 1
        if refused.end() == 0:  # i-PI was at its end already, and that was noted
            row.bitwise &= world.is_undisturbed(it.out)
            row.line = row.line or "none: i-PI had come to its end alone"
            continue
        row.line = refused.line
        (it.out / "EXIT").touch()
        until(lambda: all(map(is_gone, others)), "i-PI or a driver is left")  # noqa: B023
        world.goes_on(row, it.out, it.step)
    return row


def all_killed(world: World) -> Row:
    """A node that is gone: launcher, i-PI and drivers, at once."""
    row = Row("launcher, i-PI and drivers killed at once")
    for _ in range(world.times(5)):
        it = world.begin()
        it.reach(world.moment())
        pids = it.pids()
        for pid in pids.values():
            kill(pid)
        it.end()
        until(lambda: all(map(is_gone, pids.values())), "something is left")  # noqa: B023
        row.n += 1
        row.line = AT_RESUME
        world.goes_on(row, it.out, it.step)
    return row


def all_stopped(world: World) -> Row:
    """A batch system suspends the job and lets it go on; nothing is done about that."""
    row = Row("launcher, i-PI and drivers stopped, and continued after 8 s", unnoticed="needn't be")
    for _ in range(world.times(2)):
        it = world.begin(NCFORCE_CHAOS_HANG_S="4")
        it.reach(world.moment())
        for number, wait_s in ((signal.SIGSTOP, 8.0), (signal.SIGCONT, 0.0)):
            for pid in it.pids().values():
                os.kill(pid, number)
            time.sleep(wait_s)
        it.ended_well(world, row)
        row.bitwise &= not it.noted
    return row


FAULTS = (ipi_killed, launcher_killed, all_killed, all_stopped)
