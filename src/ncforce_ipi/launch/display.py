"""The live line of a run on stderr: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch.progress import Follower

PLAIN_INTERVAL_S = 10.0


class Display(Protocol):
    """Shows how far a run is."""

    def show(self, follower: Follower) -> None:
        """Called a few times a second."""


@contextmanager
def display(plan: Plan, n_atoms: int, name: str) -> Iterator[Display]:
    """A bar if stderr is a terminal, else a line every ten seconds; nothing where it is closed."""
    if sys.stderr is not None and sys.stderr.isatty():
        with _bar(plan, n_atoms, name) as bar:
            yield bar
    else:
        yield _Plain(plan, n_atoms, name)


def facts(follower: Follower, plan: Plan, n_atoms: int) -> dict[str, str]:
    """What both displays say, as text: speed, temperature, drift so far, time to go."""
    if follower.last is None:
        return dict.fromkeys(("speed", "temperature", "drift", "eta"), "")
    seconds = follower.last_s - follower.fresh_s
    done = follower.step - (follower.fresh_step or 0)
    rate = done / seconds if seconds > 0 and done > 0 else math.nan  # outer steps per second
    drift = 1e3 * follower.line.slope / n_atoms
    return {
        "speed": f"{rate * plan.mts:.1f} inner steps/s" if rate == rate else "",
        "temperature": f"T {follower.last.temperature_K:.0f} K",
        "drift": f"drift {drift:+.2f} meV/atom/ps" if drift == drift else "",
        "eta": f"{_clock((plan.n_outer - follower.step) / rate)} to go" if rate == rate else "",
    }


class _Plain:
    def __init__(self, plan: Plan, n_atoms: int, name: str) -> None:
        self._plan, self._n_atoms, self._name = plan, n_atoms, name
        self._next_s = time.monotonic() + PLAIN_INTERVAL_S

    def show(self, follower: Follower) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s or follower.last is None:
            return
        self._next_s = now_s + PLAIN_INTERVAL_S
        words = [word for word in facts(follower, self._plan, self._n_atoms).values() if word]
        done = f"{follower.last.time_ps:.3f} of {self._plan.time_ps:g} ps"
        _say(f"{self._name}: {', '.join([done, *words])}\n")


def _say(line: str) -> None:
    """Write to stderr if that can be: no run ends because nobody reads of it."""
    with suppress(OSError, ValueError, AttributeError):  # broken, closed, None
        sys.stderr.write(line)
        sys.stderr.flush()


class _Bar:
    def __init__(self, plan: Plan, n_atoms: int, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._plan, self._n_atoms = plan, n_atoms
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
        words = facts(follower, self._plan, self._n_atoms)
        words["time"] = f"{follower.last.time_ps:.3f}/{self._plan.time_ps:g} ps"
        self.progress.update(self._task, completed=follower.step, **words)  # type: ignore[arg-type]


@contextmanager
def _bar(plan: Plan, n_atoms: int, name: str) -> Iterator[Display]:
    bar = _Bar(plan, n_atoms, name)
    with bar.progress:
        yield bar


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
