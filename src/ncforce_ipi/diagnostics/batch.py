"""Many optimisations in several processes; none of them stops the others.

Each process loads the models once.  A process that dies (memory, a library's own crash) takes the
optimisations with it that were going on: these are tried once more, each in a process of its own.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Structure
from ncforce_ipi.diagnostics.optimise import Method, Outcome, Settings, displaced, optimise
from ncforce_ipi.diagnostics.progress import Progress, silent
from ncforce_ipi.diagnostics.sides import Side
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.structures import Frame

log = logging.getLogger(__name__)
FMAX_MOLECULE, FMAX_PERIODIC = 1e-5, 1e-4  # eV/A

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
    masses_u : ``(n_atoms,)``, u, which no optimisation needs; None: those of ASE's table
    fixed : ``(n_atoms, 3)``, coordinates that stay in a run and move here; None: none
    box : ``(3, 3)``, A, with lattice vectors of no periodicity; None: those of the structure
    electrons : charge and spin that its file says, for the file of the end
    """

    group: str
    name: str
    structure: Structure
    method: Method
    settings: Settings
    masses_u: NDArray[np.float64] | None = None
    fixed: NDArray[np.bool_] | None = None
    box: NDArray[np.float64] | None = None
    electrons: Mapping[str, float] = field(default_factory=dict)


Result = tuple[Task, Outcome]


def tasks(
    groups: Mapping[str, Sequence[Frame]],
    *,
    methods: Sequence[Method] = ("slow",),
    optimisers: Sequence[str] = ("LBFGS",),
    fmax: float | None = None,
    steps: int = 1000,
    displace_A: float = 0.0,
    copies: int = 1,
    seed: int = 0,
) -> list[Task]:
    """One task for each structure, copy, optimiser and method.

    Parameters
    ----------
    groups : structures by the name of their set
    fmax : eV/A; None: 1e-5 for molecules, 1e-4 for periodic structures
    displace_A : standard deviation of gaussian noise on each coordinate, A; each copy has its own

    Raises
    ------
    InputError
        Two structures have the same name, or a number makes no sense.
    """
    if copies < 1:
        raise InputError(f"expected 1 or more copies of a structure, got {copies}")
    if not 0 <= displace_A < 10:
        raise InputError(f"expected a displacement of 0 to 10 A, got {displace_A}")
    if copies > 1 and not displace_A:
        raise InputError(
            f"{copies} copies of a structure without a displacement are {copies} times the same; "
            "give one, e.g. --displace-A 0.1"
        )
    random = np.random.default_rng(seed)
    found = []
    for group, frame in _named(groups):
        periodic = bool(frame.structure.cell.any())
        most = fmax if fmax is not None else (FMAX_PERIODIC if periodic else FMAX_MOLECULE)
        for copy in range(copies):
            start = displaced(frame.structure, displace_A, random)
            name = f"{frame.name}#{copy}" if copies > 1 else frame.name
            found += [
                Task(
                    group,
                    name,
                    start,
                    method,
                    Settings(most, steps, optimiser),
                    frame.masses_u,
                    frame.fixed,
                    frame.box,
                    frame.electrons,
                )
                for optimiser in optimisers
                for method in methods
            ]
    return found


def _named(groups: Mapping[str, Sequence[Frame]]) -> list[tuple[str, Frame]]:
    frames = [(group, frame) for group, members in groups.items() for frame in members]
    names = [frame.name for _, frame in frames]
    if held := [frame.name for _, frame in frames if frame.held]:
        log.warning("%s has atoms that are held; an optimisation here moves them all", held[0])
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"two structures are called {name}; name each file and each frame once"
            )
    return frames


def optimise_all(
    tasks: Sequence[Task], open_sides: Open, processes: int = 1, progress: Progress = silent
) -> list[Result]:
    """Optimise all, in several processes; after Ctrl-C those that are done.

    Parameters
    ----------
    open_sides : loads the slow and the fast side in each process
    """
    outcomes: dict[int, Outcome] = {}
    with progress("optimize", len(tasks), "structures") as advance:
        try:
            for place, outcome in run(tasks, open_sides, min(processes, len(tasks))):
                outcomes[place] = outcome
                advance(len(outcomes))
        except KeyboardInterrupt:
            log.warning("stopped; writing the %d of %d that are done", len(outcomes), len(tasks))
            if not outcomes:
                raise
    return [(task, outcomes[k]) for k, task in enumerate(tasks) if k in outcomes]


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
    with contextlib.ExitStack() as stack:
        futures: dict[Future[Outcome], int] = {}
        with contextlib.suppress(BrokenProcessPool), _nothing_from_here():
            pool = stack.enter_context(
                ProcessPoolExecutor(processes, context, _start, (open_sides,))
            )
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


@contextlib.contextmanager
def _nothing_from_here() -> Iterator[None]:
    """Processes that start meanwhile import no ``select.py`` from where the user works."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


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
