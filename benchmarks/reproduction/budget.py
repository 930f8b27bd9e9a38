"""How the hours are shared: commands that fit, short runs whole, long ones as far as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reproduction.tasks import Choice, Md, Task

ROUNDS = 60  # of bisection: to the last bit


def level(hours: Sequence[float], available: float) -> float:
    """T with sum(min(h, T)) = available: what each may take; the largest where all fit."""
    if sum(hours) <= available:
        return max(hours, default=0.0)
    low, high = 0.0, max(hours)
    for _ in range(ROUNDS):
        middle = 0.5 * (low + high)
        if sum(min(h, middle) for h in hours) > available:
            high = middle
        else:
            low = middle
    return low


def goals_ps(tasks: Sequence[Task], choice: Choice, hours: float) -> dict[str, float]:
    """How far each run goes, ps of all its replicas; commands come first."""
    runs = [task for task in tasks if isinstance(task, Md)]
    if choice.small:
        return {run.name: run.ps for run in runs}
    left = {run.name: run.hours(choice) for run in runs}
    others = sum(task.hours(choice) for task in tasks if not isinstance(task, Md))
    cap = level(list(left.values()), max(hours - others, 0.0))
    return {run.name: _goal(run, choice, left[run.name], cap) for run in runs}


def _goal(run: Md, choice: Choice, left_h: float, cap_h: float) -> float:
    done = run.done_ps(choice)
    part = min(1.0, cap_h / left_h) if left_h > 0 else 1.0
    return done + part * max(run.ps - done, 0.0)


def order(tasks: Sequence[Task], states: Mapping[str, str]) -> list[Task]:
    """Those that failed or were stopped last; else as they are."""
    return sorted(tasks, key=lambda task: states.get(task.name) in ("failed", "stopped"))
