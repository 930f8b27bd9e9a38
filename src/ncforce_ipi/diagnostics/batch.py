"""Many optimisations in several processes; none of them stops the others.

Each process loads the models once.  A process that dies (memory, a library's own crash) takes the
optimisations with it that were going on: these are tried once more, each in a process of its own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from ncforce_ipi.backend import Structure
from ncforce_ipi.diagnostics.optimise import Method, Outcome, Settings, optimise
from ncforce_ipi.diagnostics.pair import Side

Open = Callable[[], tuple[Side | None, Side | None]]
"""Loads slow and fast side; sent to other processes, so a function of a module or partial of one"""


@dataclass(frozen=True)
class Task:
    """One optimisation.

    Attributes
    ----------
    group, name : of the structure: the file or set, and the place in it
    structure : to start from
    method, settings : see ``optimise``
    """

    group: str
    name: str
    structure: Structure
    method: Method
    settings: Settings


_sides: list[tuple[Side | None, Side | None]] = []  # of this process


def run(tasks: Sequence[Task], open_sides: Open, processes: int) -> Iterator[tuple[int, Outcome]]:
    """Yield places in ``tasks`` and outcomes, in the order in which they end."""
    lost = yield from _pool(dict(enumerate(tasks)), open_sides, processes)
    for place in lost:
        again = yield from _pool({place: tasks[place]}, open_sides, 1)
        if again:
            yield place, Outcome(reason="its process died, twice")


def _pool(
    tasks: dict[int, Task], open_sides: Open, processes: int
) -> Generator[tuple[int, Outcome], None, list[int]]:
    """One pool; returns the places that were lost when it broke."""
    lost = []
    context = multiprocessing.get_context("spawn")  # a fork of a process with torch may hang
    with ProcessPoolExecutor(processes, context, _start, (open_sides,)) as pool:
        futures: dict[Future[Outcome], int] = {}
        with contextlib.suppress(BrokenProcessPool):
            for place, task in tasks.items():
                futures[pool.submit(_one, task)] = place
        lost += [place for place in tasks if place not in futures.values()]
        try:
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result()
                except BrokenProcessPool:
                    lost.append(futures[future])
        except (KeyboardInterrupt, GeneratorExit):  # whoever asked has enough
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return sorted(lost)


def _start(open_sides: Open) -> None:
    _sides.append(open_sides())


def _one(task: Task) -> Outcome:
    try:
        return optimise(*_sides[0], task.method, task.structure, task.settings)
    except Exception as err:  # noqa: BLE001  of any kind, of this structure alone
        return Outcome(reason=f"{type(err).__name__}: {_one_line(err)}")


def _one_line(err: Any) -> str:
    lines = str(err).strip().splitlines()
    return lines[-1] if lines else ""
