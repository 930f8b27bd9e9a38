"""Faults of drivers and their models."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from .world import CALLS, Row, World, events, kill, until

REFILL_STEPS = 100  # after so many steps a driver has five restarts again
HANG_S = 2.0  # of chaos; 120 s of users


def killed_in_the_call(world: World) -> Row:
    """SIGKILL while the model computes."""
    return _killed(world, "a driver killed in a call of its model", "kill")


def killed_in_the_answer(world: World) -> Row:
    """SIGKILL when a part of the answer is sent."""
    return _killed(world, "a driver killed in the middle of its answer", "half")


def killed_with_a_request_unread(world: World) -> Row:
    """i-PI's polling thread dies of it; the launcher starts i-PI again."""
    row = Row("a driver gone with a request unread (i-PI's thread dies)")
    for _ in range(world.times(3)):
        _planned(world, row, "deaf")
    return row


def _killed(world: World, name: str, what: str) -> Row:
    row, n = Row(name), world.times(20)
    moments = [world.rng.randint(1, 12 * CALLS) for _ in range(n)]
    for rank in range(4, n, 5):
        moments[rank] += REFILL_STEPS * CALLS  # within the budget of restarts
    seen = world.directory / f"{what}-events.txt"
    plan = world.plan([f"{what} {moment}" for moment in moments])
    it = world.begin(NCFORCE_CHAOS_PLAN=str(plan), NCFORCE_CHAOS_EVENTS=str(seen))
    it.ended_well(world, row)
    row.n = _times_seen(seen, what, n)
    row.noticed_s += _gaps(seen, what)
    return row


def _planned(world: World, row: Row, what: str, **variables: str) -> None:
    """One run in which this comes once to its only driver."""
    seen = world.directory / f"{what}-{row.n}.txt"
    plan = str(world.plan([f"{what} {CALLS * world.moment()}"]))
    variables |= {"NCFORCE_CHAOS_PLAN": plan, "NCFORCE_CHAOS_EVENTS": str(seen)}
    world.begin(**variables).ended_well(world, row)
    _times_seen(seen, what, 1)
    row.noticed_s += _gaps(seen, what)


def _times_seen(seen: Path, what: str, planned: int) -> int:
    """How often it came, which must be as often as it was planned."""
    n = sum(event == what for event, *_ in events(seen))
    if n != planned:
        raise RuntimeError(f"{what} came {n} times, planned {planned}")
    return n


def _gaps(seen: Path, what: str) -> list[float]:
    """From each fault to the next start of a driver, seconds."""
    found = events(seen)
    gaps = []
    for rank, (event, when_s, _) in enumerate(found):
        later = [s for name, s, _ in found[rank:] if name == "start" and s > when_s]
        if event == what and later:
            gaps.append(min(later) - when_s)
    return gaps


def killed_at_any_moment(world: World) -> Row:
    """From outside, one of two drivers."""
    return _from_outside(world, "one of two drivers killed, at any moment", 20, 1)


def all_killed_at_once(world: World) -> Row:
    """From outside, both."""
    return _from_outside(world, "all drivers killed at once", 5, 2)


def _from_outside(world: World, name: str, times: int, how_many: int) -> Row:
    """Within the budget of five restarts for each driver in a run."""
    row, left = Row(name), world.times(times)
    while left:
        seen = world.directory / f"outside-{row.n}.txt"
        it = world.begin("--drivers", "2", NCFORCE_CHAOS_EVENTS=str(seen))
        for moment in sorted(world.moment() for _ in range(min(left, 4))):
            it.reach(moment)
            time.sleep(0.02 * world.rng.random())
            before = len(events(seen))
            drivers = it.drivers()
            world.rng.shuffle(drivers)
            for pid in drivers[:how_many]:
                kill(pid)
            start_s = time.time()
            until(lambda: len(events(seen)) >= before + how_many, "no driver is started again")  # noqa: B023
            row.noticed_s.append(max(s for _, s, _ in events(seen)[before:]) - start_s)
            left -= 1
            row.n += 1
        row.n -= 1
        it.ended_well(world, row)
    return row


def stopped(world: World) -> Row:
    """SIGSTOP of the only driver."""
    return _stopped(world, "the only driver stopped (SIGSTOP)", ())


def stopped_beside_another(world: World) -> Row:
    """SIGSTOP of one of two."""
    return _stopped(world, "one of two drivers stopped (SIGSTOP)", ("--drivers", "2"))


def _stopped(world: World, name: str, words: tuple[str, ...]) -> Row:
    row = Row(name)
    for _ in range(world.times(2)):
        seen = world.directory / f"stopped-{len(words)}-{row.n}.txt"
        it = world.begin(*words, NCFORCE_CHAOS_EVENTS=str(seen), NCFORCE_CHAOS_HANG_S=str(HANG_S))
        it.reach(world.moment())
        before, start_s = len(events(seen)), time.time()
        os.kill(it.drivers()[0], signal.SIGSTOP)
        until(lambda: len(events(seen)) > before, "it isn't replaced")  # noqa: B023
        row.noticed_s.append(events(seen)[-1][1] - start_s)
        it.ended_well(world, row)
    return row


def hangs(world: World) -> Row:
    """A call of the model that doesn't end."""
    row = Row("a call of the model that doesn't end")
    for _ in range(world.times(2)):
        _planned(world, row, "hang", NCFORCE_CHAOS_HANG_S=str(HANG_S))
    return row


def nan(world: World) -> Row:
    """Forces that aren't finite."""
    return _model(world, "a model that gives nan", "nan")


def raises(world: World) -> Row:
    """A fault of its code."""
    return _model(world, "a model that raises", "raise")


def shape(world: World) -> Row:
    """One atom too many."""
    return _model(world, "a model that gives the wrong shape", "shape")


def _model(world: World, name: str, what: str) -> Row:
    """The run ends; with a model that is well again it goes on, unless forces weren't finite."""
    row = Row(name)
    for _ in range(world.times(3)):
        seen = world.directory / f"{what}-{row.n}.txt"
        # a call for both forces that fails is repeated for one, and this fault comes once
        alone = CALLS * world.moment() + world.rng.randint(2, CALLS)
        plan = world.plan([f"{what} {alone}"])
        it = world.begin(NCFORCE_CHAOS_PLAN=str(plan), NCFORCE_CHAOS_EVENTS=str(seen))
        code = it.end()
        row.n += _times_seen(seen, what, 1)
        when_s = next(s for event, s, _ in events(seen) if event == what)
        row.noticed_s.append(it.said.stat().st_mtime - when_s)
        line, row.bitwise = it.line, row.bitwise and code == 1
        world.goes_on(row, it.out, it.step)
        row.line = row.line or line
    return row


FAULTS = (
    killed_in_the_call, killed_in_the_answer, killed_at_any_moment, all_killed_at_once,
    killed_with_a_request_unread, stopped, stopped_beside_another, hangs, nan, raises, shape,
)  # fmt: skip
