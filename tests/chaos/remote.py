"""Faults of drivers on other machines and of the door through which they come.

The other machine is this one; all that the drivers there know are the files of a model, a start
structure and a secret.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

from .world import CALLS, PROGRAM, WAIT_S, Began, Row, World, kill, until

HANG_S = 2.0  # of chaos; 120 s of users
NEEDS = "needs the program openssl"
Away = list[subprocess.Popen[bytes]]


@contextlib.contextmanager
def away(world: World, it: Began, n: int) -> Iterator[Away]:
    """Drivers of another machine, for a run that waits for them."""
    words = [
        *PROGRAM, "driver", "analytic", "--role", "both", "--mts", str(CALLS), "--wait-s", "60",
        "--model", "model.txt", "--structure", "start.xyz",
        "--token-file", f"{it.out}/driver.token",
    ]  # fmt: skip
    drivers = [
        subprocess.Popen(
            words, cwd=world.directory, env=world.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for _ in range(n)
    ]  # fmt: skip
    try:
        yield drivers
    finally:
        for driver in drivers:
            driver.kill()
            driver.wait(WAIT_S)


def gate_killed(world: World) -> Row:
    """The drivers lose their connections and come again."""
    row = Row("`--remote`: the gate killed")
    if not shutil.which("openssl"):
        return Row(row.fault, line=NEEDS)
    for _ in range(world.times(3)):
        it = world.begin("--remote", "127.0.0.1:0")
        with away(world, it, 1):
            it.reach(world.moment())
            gate, start = it.pids()["gate"], time.monotonic()
            kill(gate)
            until(lambda: it.has_another("gate", gate), "there is no other gate")  # noqa: B023
            row.noticed_s.append(time.monotonic() - start)
            it.ended_well(world, row)
    return row


def away_killed(world: World) -> Row:
    """Of two drivers elsewhere one is killed."""
    return _one_of_two(world, "`--remote`: one of two drivers killed", signal.SIGKILL, "left")


def away_stopped(world: World) -> Row:
    """Of two drivers elsewhere one is stopped."""
    return _one_of_two(world, "`--remote`: one of two drivers stopped", signal.SIGSTOP, "hangs")


def _one_of_two(world: World, fault: str, number: int, says: str) -> Row:
    row = Row(fault)
    if not shutil.which("openssl"):
        return Row(row.fault, line=NEEDS)
    for _ in range(world.times(3)):
        it = world.begin("--remote", "127.0.0.1:0", NCFORCE_CHAOS_HANG_S=str(HANG_S))
        log = it.out / "logs/gate.log"
        with away(world, it, 2) as drivers:
            it.reach(world.moment())
            said, start = log.read_text().count(says), time.monotonic()
            os.kill(drivers[0].pid, number)

            def noticed(said: int = said) -> bool:
                return log.read_text().count(says) > said  # noqa: B023

            until(lambda: noticed() or it.process.poll() is not None, "no end")  # noqa: B023
            if noticed():  # a driver that isn't asked any more may be stopped for good
                row.noticed_s.append(time.monotonic() - start)
            it.ended_well(world, row)
    return row


FAULTS = (gate_killed, away_killed, away_stopped)
