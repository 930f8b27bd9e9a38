"""The live line of a run on stderr: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch.estimate import clock, jobs_text, ns_per_day
from ncforce_ipi.launch.progress import Follower
from ncforce_ipi.launch.timelimit import TimeLimit

PLAIN_INTERVAL_S, PLAIN_PART, PLAIN_LONGEST_S = 10.0, 0.05, 600.0  # a job of days has few lines


class Display(Protocol):
    """Shows how far a run is."""

    def show(self, follower: Follower) -> None:
        """Called a few times a second."""


@contextmanager
def display(
    plan: Plan, n_atoms: int, name: str, limit: TimeLimit | None = None
) -> Iterator[Display]:
    """A bar if stderr is a terminal, else lines, after ten seconds and then less and less often."""
    if sys.stderr is not None and sys.stderr.isatty():
        with _bar(plan, n_atoms, name, limit) as bar:
            yield bar
    else:
        yield _Plain(plan, n_atoms, name, limit)


def facts(
    follower: Follower, plan: Plan, n_atoms: int, limit: TimeLimit | None = None
) -> dict[str, str]:
    """What both displays say, as text: speed, temperature, drift so far, time and jobs to go."""
    if follower.last is None:
        return dict.fromkeys(("speed", "temperature", "drift", "eta"), "")
    seconds = follower.last_s - follower.fresh_s
    done = follower.step - (follower.fresh_step or 0)
    drift = 1e3 * follower.line.slope / n_atoms
    speed = eta = ""
    if seconds > 0 and done > 0:
        pace = ns_per_day(seconds / done, plan.outer_step_fs)
        speed = f"{done / seconds * plan.mts:.1f} inner steps/s, {pace:.3g} ns/day"
        to_go_s = (plan.n_outer - follower.step) * seconds / done
        eta = f"{clock(to_go_s)} to go" + (jobs_text(follower, to_go_s, limit) if limit else "")
    return {
        "speed": speed,
        "temperature": f"T {follower.last.temperature_K:.0f} K",
        "drift": f"drift {drift:+.2f} meV/atom/ps" if drift == drift else "",
        "eta": eta,
    }


class _Plain:
    def __init__(self, plan: Plan, n_atoms: int, name: str, limit: TimeLimit | None) -> None:
        self._plan, self._n_atoms, self._name, self._limit = plan, n_atoms, name, limit
        self._begun_s = time.monotonic()
        self._next_s = self._begun_s + PLAIN_INTERVAL_S

    def show(self, follower: Follower) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s or follower.last is None:
            return
        interval_s = max(PLAIN_INTERVAL_S, PLAIN_PART * (now_s - self._begun_s))
        self._next_s = now_s + min(interval_s, PLAIN_LONGEST_S)
        found = facts(follower, self._plan, self._n_atoms, self._limit)
        words = [word for word in found.values() if word]
        done = f"{follower.last.time_ps:.3f} of {self._plan.time_ps:g} ps"
        _say(f"{self._name}: {', '.join([done, *words])}\n")


def _say(line: str) -> None:
    """Write to stderr if that can be: no run ends because nobody reads of it."""
    with suppress(OSError, ValueError, AttributeError):  # broken, closed, None
        sys.stderr.write(line)
        sys.stderr.flush()


class _Bar:
    def __init__(self, plan: Plan, n_atoms: int, name: str, limit: TimeLimit | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._plan, self._n_atoms, self._limit = plan, n_atoms, limit
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),  # a name may hold [ and ]
            BarColumn(),
            TextColumn("{task.fields[time]}"),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[temperature]}"),
            TextColumn("{task.fields[drift]}"),
            TextColumn("{task.fields[eta]}"),
            console=Console(stderr=True),
        )
        nothing = dict.fromkeys(("time", "speed", "temperature", "drift", "eta"), "")
        self._task = self.progress.add_task(name, total=plan.n_outer, **nothing)  # type: ignore[arg-type]

    def show(self, follower: Follower) -> None:
        if follower.last is None:
            return
        words = facts(follower, self._plan, self._n_atoms, self._limit)
        words["time"] = f"{follower.last.time_ps:.3f}/{self._plan.time_ps:g} ps"
        self.progress.update(self._task, completed=follower.step, **words)  # type: ignore[arg-type]


@contextmanager
def _bar(plan: Plan, n_atoms: int, name: str, limit: TimeLimit | None) -> Iterator[Display]:
    bar = _Bar(plan, n_atoms, name, limit)
    with bar.progress:
        yield bar
