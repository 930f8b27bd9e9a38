"""How far a diagnostic is, on stderr: a bar in a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERVAL_S = 10.0


@contextmanager
def display(name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the number of ``unit`` that are done of ``total``."""
    if sys.stderr.isatty():
        with _bar(name, total, unit) as advance:
            yield advance
    else:
        yield _lines(name, total, unit)


@contextmanager
def _bar(name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
        Remaining(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=total)
        yield lambda done: progress.update(task, completed=done)


def _lines(name: str, total: int, unit: str) -> Callable[[int], None]:
    next_s = time.monotonic() + INTERVAL_S

    def advance(done: int) -> None:
        nonlocal next_s
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + INTERVAL_S
            sys.stderr.write(f"{name}: {done} of {total} {unit}\n")
            sys.stderr.flush()

    return advance
