"""``ncforce optimize``: geometry optimisation with slow forces, fast ones, or fast ones first."""

from __future__ import annotations

import argparse
import functools
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ncforce_ipi.backend import Backend, Kind
from ncforce_ipi.cli import forces
from ncforce_ipi.errors import InputError

if TYPE_CHECKING:
    from ncforce_ipi.diagnostics.batch import Task
    from ncforce_ipi.diagnostics.frames import Frame
    from ncforce_ipi.diagnostics.optimise import Method, Outcome
    from ncforce_ipi.diagnostics.optimise_report import Result
    from ncforce_ipi.diagnostics.pair import Side

log = logging.getLogger(__name__)
SETS = ("g2",)
FILES = ("optimize.json", "optimize.csv", "optimize.png", "optimized.xyz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce optimize``."""
    add = parser.add_argument
    add(
        "structures",
        nargs="+",
        metavar="STRUCTURE",
        help="FILE or FILE@INDEX, of ASE's formats; g2: closed-shell molecules of H, C, N, O, F",
    )
    add("--slow", default="water", metavar="MODEL", help=f"{forces.HELP}; default water")
    add("--fast", metavar="MODEL", help="likewise; default: the slow one, its direct forces")
    add(
        "--fast-kind",
        choices=("conservative", "direct"),
        help="of a driver at a socket, which doesn't say; default: direct where a model has it",
    )
    add(
        "--precision",
        choices=("model", "float64"),
        default="model",
        help="float64: turn metatomic models to it, whose own rounding may stop the search",
    )
    add(
        "--forces",
        nargs="+",
        metavar="HOW",
        choices=("slow", "fast", "fast-then-slow"),
        help="slow, fast, fast-then-slow; default: all three, or slow where there are no others",
    )
    add(
        "--optimizer",
        nargs="+",
        default=["LBFGS"],
        choices=("FIRE", "LBFGS"),
        help="ASE's, default LBFGS",
    )
    add(
        "--fmax-eV-per-A",
        dest="fmax",
        type=float,
        metavar="X",
        help="largest force at the end; default 1e-5 for molecules, 1e-4 for periodic structures",
    )
    add("--steps", type=int, default=1000, metavar="N", help="the most, default 1000")
    add(
        "--displace-A",
        type=float,
        default=0.0,
        metavar="X",
        help="gaussian noise on every coordinate before, default 0",
    )
    add("--copies", type=int, default=1, metavar="N", help="of each structure, each with its noise")
    add("--frames", type=int, metavar="N", help="N structures of each set, evenly spaced")
    add("--seed", type=int, default=0, metavar="N", help="of the noise")
    add("--processes", type=int, default=1, metavar="N")
    add("--threads", type=int, default=1, metavar="N", help="of each process")
    add(
        "--keep-net-force",
        action="store_true",
        help="don't subtract mean (and torque of molecules) from direct forces",
    )
    add("--out", type=Path, default=Path("optimize"), metavar="DIR", help="default optimize")
    add("--force", action="store_true", help="replace the files in DIR")


def run(args: argparse.Namespace) -> int:
    """Table on stdout; JSON, CSV, figure and structures into ``--out``."""
    there = [str(args.out / name) for name in FILES if (args.out / name).exists()]
    if there and not args.force:
        raise InputError(f"{' and '.join(there)} exist; choose another --out or use --force")
    _check(args)
    from ncforce_ipi.diagnostics import files, optimise_report

    models, methods = _models(args)
    tasks = _tasks(args, methods)
    opened = functools.partial(open_sides, _opening(args))
    results = _optimised(tasks, opened, min(args.processes, len(tasks)))
    sys.stdout.write(optimise_report.table(results) + "\n")
    facts = forces.provenance(models)
    args.out.mkdir(parents=True, exist_ok=True)
    paths = [args.out / name for name in FILES]
    files.write_json(paths[0], facts, optimise_report.record(results))
    files.write_csv(paths[1], facts, optimise_report.columns(results))
    optimise_report.draw(results, paths[2], files.lines(facts))
    _write_structures(paths[3], results)
    log.info("wrote %s", ", ".join(str(path) for path in paths))
    return 0 if len(results) == len(tasks) else 1


def _optimised(
    tasks: list[Task], opened: Callable[[], tuple[Side, Side | None]], processes: int
) -> list[Result]:
    """All of them, in order; those that are done when Ctrl-C is pressed."""
    from ncforce_ipi.diagnostics import batch
    from ncforce_ipi.diagnostics.display import display

    outcomes: dict[int, Outcome] = {}
    with display("optimize", len(tasks), "structures") as progress:
        try:
            for place, outcome in batch.run(tasks, opened, processes):
                outcomes[place] = outcome
                progress(len(outcomes))
        except KeyboardInterrupt:
            log.warning("stopped; writing the %d of %d that are done", len(outcomes), len(tasks))
            if not outcomes:
                raise
    return [(task, outcomes[k]) for k, task in enumerate(tasks) if k in outcomes]


def _check(args: argparse.Namespace) -> None:
    for name in ("copies", "processes"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name}: expected 1 or more, got {getattr(args, name)}")
    if not 0 <= args.displace_A < 10:
        raise InputError(f"--displace-A: expected a length in A, got {args.displace_A}")


@dataclass(frozen=True)
class Opening:
    """Which models are loaded and how; sent to each process."""

    slow: str
    fast: str | None
    fast_kind: Kind | None
    keep_net_force: bool
    precision: str
    threads: int


def _opening(args: argparse.Namespace) -> Opening:
    return Opening(
        args.slow, args.fast, args.fast_kind, args.keep_net_force, args.precision, args.threads
    )


def _open(spec: str, kind: Kind | None, how: Opening) -> Backend:
    backend = forces.opened(spec, kind, how.threads)
    if how.precision == "float64" and backend.castable:
        backend.to_float64()
    return backend


def open_sides(how: Opening) -> tuple[Side, Side | None]:
    """Load both models in the process that calls; no fast side if there is nothing to choose."""
    from ncforce_ipi.diagnostics.pair import Side

    backend = _open(how.slow, None, how)
    kind: Kind = "conservative" if "conservative" in backend.kinds else "direct"
    first = Side(backend, kind, how.keep_net_force)
    if how.fast is not None:
        other = _open(how.fast, how.fast_kind, how)
        kind = how.fast_kind or ("direct" if "direct" in other.kinds else "conservative")
        if kind not in other.kinds:
            raise InputError(f"--fast-kind: {other.description} has no {kind} forces")
        return first, Side(other, kind, how.keep_net_force)
    if backend.kinds == {"conservative", "direct"}:
        return first, Side(backend, "direct", how.keep_net_force)
    return first, None


def _models(args: argparse.Namespace) -> tuple[list[dict[str, str | None]], list[Method]]:
    """Who they are, and the ways to optimise that they allow; mistakes are found here, once."""
    from ncforce_ipi.diagnostics.optimise import METHODS

    slow, fast = open_sides(_opening(args))
    found = [forces.identity(args.slow, slow.backend)]
    if fast is not None and fast.backend is not slow.backend:
        found.append(forces.identity(args.fast, fast.backend))
    methods: list[Method] = args.forces or (list(METHODS) if fast else ["slow"])
    if fast is None and methods != ["slow"]:
        raise InputError(f"{slow.backend.description} has one kind of force; name a --fast model")
    for side in (slow, fast):
        if close := getattr(side and side.backend, "close", None):
            close()
    return found, methods


def _tasks(args: argparse.Namespace, methods: list[Method]) -> list[Task]:
    from ncforce_ipi.diagnostics.batch import Task
    from ncforce_ipi.diagnostics.optimise import Settings, displaced

    random = np.random.default_rng(args.seed)
    tasks, taken = [], set()
    for source in args.structures:
        for frame in _frames(source, args.frames):
            if frame.name in taken:
                raise InputError(
                    f"two structures are called {frame.name}; name each file and each frame once"
                )
            taken.add(frame.name)
            bulk = bool(frame.structure.cell.any())
            fmax = args.fmax if args.fmax is not None else (1e-4 if bulk else 1e-5)
            for copy in range(args.copies):
                start = displaced(frame.structure, args.displace_A, random)
                name = f"{frame.name}#{copy}" if args.copies > 1 else frame.name
                tasks += [
                    Task(_group(source), name, start, method, Settings(fmax, args.steps, opt))
                    for opt in args.optimizer
                    for method in methods
                ]
    return tasks


def _group(source: str) -> str:
    """``held_out`` of ``path/held_out.xyz.xz@:9``."""
    return Path(source.partition("@")[0]).name.partition(".")[0]


def _frames(source: str, most: int | None) -> list[Frame]:
    from ncforce_ipi.diagnostics.frames import evenly, read_frames
    from ncforce_ipi.diagnostics.sets import g2_closed_shell

    return evenly(g2_closed_shell(), most) if source in SETS else read_frames([source], most)


def _write_structures(path: Path, results: list[Result]) -> None:
    """All final structures that are there, with where they come from."""
    import ase.io

    from ncforce_ipi.diagnostics.frames import to_atoms

    images = []
    for task, outcome in results:
        if outcome.structure is not None:
            atoms = to_atoms(outcome.structure)
            atoms.info = {
                "name": task.name, "forces": task.method, "optimizer": task.settings.optimiser,
                "verdict": outcome.verdict, "energy_eV": outcome.energy,
            }  # fmt: skip
            images.append(atoms)
    ase.io.write(path, images, format="extxyz")
