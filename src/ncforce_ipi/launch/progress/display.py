"""The live line of a run on stderr: a bar in a terminal, plain lines elsewhere.

Replicas have one line together.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch.processes.timelimit import TimeLimit
from ncforce_ipi.launch.progress.agreement import Agreement, words
from ncforce_ipi.launch.progress.estimate import clock, jobs_text, ns_per_day
from ncforce_ipi.launch.progress.follower import Follower

PLAIN_INTERVAL_S, PLAIN_PART, PLAIN_LONGEST_S = 10.0, 0.05, 600.0  # a job of days has few lines
FACTS = ("speed", "temperature", "drift", "agreement", "eta")
FEWEST_ROWS = 20  # of properties, before a drift is shown


@dataclass(frozen=True)
class Shown:
    """A run on the line: what it has done, of what, for how many atoms."""

    follower: Follower
    plan: Plan
    n_atoms: int
    agreement: Agreement | None = None

    @property
    def rate(self) -> float:
        """Outer steps in a second; NaN before the second one."""
        step_s = self.follower.step_s
        return 1.0 / step_s if step_s > 0 else math.nan

    @property
    def drift(self) -> float:
        """Of the conserved quantity so far, meV/atom/ps; NaN where a line through it is noise."""
        if self.follower.line.n < FEWEST_ROWS:
            return math.nan
        return 1e3 * self.follower.line.slope / self.n_atoms

    @property
    def left_s(self) -> float:
        """Time to go, seconds."""
        return (self.plan.n_outer - self.follower.step) / self.rate


class Display(Protocol):
    """Shows how far runs are."""

    def show(self) -> None:
        """Called a few times a second."""


@contextmanager
def display(runs: Sequence[Shown], name: str, limit: TimeLimit | None = None) -> Iterator[Display]:
    """A bar if stderr is a terminal, else lines, after ten seconds and then less and less often."""
    if sys.stderr is not None and sys.stderr.isatty():
        with _bar(runs, name, limit) as bar:
            yield bar
    else:
        yield _Plain(runs, name, limit)


def done_ps(runs: Sequence[Shown]) -> str:
    """Physical time that is done, ps: a range where replicas aren't equally far."""
    times = [run.follower.last.time_ps for run in runs if run.follower.last]
    ends = (f"{min(times):.3f}", f"{max(times):.3f}")
    return "-".join(dict.fromkeys(ends))


def facts(runs: Sequence[Shown], limit: TimeLimit | None = None) -> dict[str, str]:
    """What both displays say: speed, temperature, drift so far, slow - fast, time and jobs to go.

    Of replicas: the mean speed of each and ns/day of all together, means with the standard
    deviation among them, and the time that the last one takes.
    """
    begun = [run for run in runs if run.follower.last is not None]
    if not begun:
        return dict.fromkeys(FACTS, "")
    moving = [run for run in begun if run.rate == run.rate]
    rates = [run.rate * run.plan.mts for run in moving]
    temperatures = [run.follower.last.temperature_K for run in begun if run.follower.last]
    drifts = [run.drift for run in begun if run.drift == run.drift]
    each = f"{len(rates)} x " if len(runs) > 1 else ""
    speed = eta = ""
    if moving:
        pace = sum(ns_per_day(1.0 / run.rate, run.plan.outer_step_fs) for run in moving)
        speed = f"{each}{statistics.fmean(rates):.1f} inner steps/s, {pace:.3g} ns/day"
        last = max(moving, key=lambda run: run.left_s)
        jobs = jobs_text(last.follower, last.left_s, limit) if limit else ""
        eta = f"{clock(last.left_s)} to go{jobs}"
    return {
        "speed": speed,
        "temperature": f"T {_spread(temperatures, '.0f')} K",
        "drift": f"drift {_spread(drifts, '+.2f')} meV/atom/ps" if drifts else "",
        "agreement": words([run.agreement for run in begun if run.agreement]),
        "eta": eta,
    }


def _spread(values: Sequence[float], digits: str) -> str:
    """The mean, and the standard deviation where there are several."""
    mean = statistics.fmean(values)
    if len(values) < 2 or not math.isfinite(mean):
        return f"{mean:{digits}}"
    return f"{mean:{digits}} ± {statistics.stdev(values):{digits.strip('+')}}"


class _Plain:
    def __init__(self, runs: Sequence[Shown], name: str, limit: TimeLimit | None) -> None:
        self._runs, self._name, self._limit = runs, name, limit
        self._begun_s = time.monotonic()
        self._next_s = self._begun_s + PLAIN_INTERVAL_S

    def show(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s or not any(run.follower.last for run in self._runs):
            return
        interval_s = max(PLAIN_INTERVAL_S, PLAIN_PART * (now_s - self._begun_s))
        self._next_s = now_s + min(interval_s, PLAIN_LONGEST_S)
        said = [word for word in facts(self._runs, self._limit).values() if word]
        done = f"{done_ps(self._runs)} of {_longest_ps(self._runs):g} ps"
        _say(f"{self._name}: {', '.join([done, *said])}\n")


def _longest_ps(runs: Sequence[Shown]) -> float:
    return max(run.plan.time_ps for run in runs)


def _say(line: str) -> None:
    """Write to stderr if that can be: no run ends because nobody reads of it."""
    with suppress(OSError, ValueError, AttributeError):  # broken, closed, None
        sys.stderr.write(line)
        sys.stderr.flush()


class _Bar:
    def __init__(self, runs: Sequence[Shown], name: str, limit: TimeLimit | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._runs, self._limit = runs, limit
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),  # a name may hold [ and ]
            BarColumn(),
            *(TextColumn(f"{{task.fields[{name}]}}") for name in ("time", *FACTS)),
            console=Console(stderr=True),
        )
        total = sum(run.plan.n_outer for run in runs)
        nothing = dict.fromkeys(("time", *FACTS), "")
        self._task = self.progress.add_task(name, total=total, **nothing)  # type: ignore[arg-type]

    def show(self) -> None:
        if not any(run.follower.last for run in self._runs):
            return
        said = facts(self._runs, self._limit)
        said["time"] = f"{done_ps(self._runs)}/{_longest_ps(self._runs):g} ps"
        done = sum(run.follower.step for run in self._runs)
        self.progress.update(self._task, completed=done, **said)  # type: ignore[arg-type]


@contextmanager
def _bar(runs: Sequence[Shown], name: str, limit: TimeLimit | None) -> Iterator[Display]:
    bar = _Bar(runs, name, limit)
    with bar.progress:
        yield bar
