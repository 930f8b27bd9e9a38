"""``ncforce loop-work``: the work of a force along closed paths; 0 if it is conservative."""

from __future__ import annotations

import argparse
import logging
import math
import sys
from typing import TYPE_CHECKING

import numpy as np

from ncforce_ipi.backend import Backend, Kind, Structure, Wanted
from ncforce_ipi.cli import forces
from ncforce_ipi.errors import InputError

if TYPE_CHECKING:
    from ncforce_ipi.diagnostics.frames import Frame
    from ncforce_ipi.diagnostics.loop_report import Loop
    from ncforce_ipi.diagnostics.loops import Path as Route

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce loop-work``."""
    add = parser.add_argument
    add("structures", nargs="+", metavar="STRUCTURE", help="FILE or FILE@INDEX, of ASE's formats")
    add("--model", default="water", metavar="MODEL", help=f"{forces.HELP}; default water")
    add("--kind", choices=("conservative", "direct"), help="default: all that the model has")
    add(
        "--path",
        action="store_true",
        help="STRUCTURE is one closed path, frame by frame, back to the first",
    )
    add(
        "--loops",
        type=int,
        default=8,
        metavar="N",
        help="molecules, drawn at random from the structures, each with its axes; default 8",
    )
    add("--molecule", type=int, metavar="ATOM", help="the molecule of this atom (from 0) instead")
    add(
        "--angle-deg",
        type=float,
        default=30.0,
        metavar="X",
        help="amplitude of the swing, default 30 degrees",
    )
    add("--turn", action="store_true", help="a whole turn instead of a swing")
    add("--strain", type=float, default=0.1, metavar="X", help="elongation, default 0.1")
    add("--points", type=int, default=256, metavar="N", help="on each path, default 256")
    add("--threads", type=int, default=1, metavar="N")
    add(
        "--keep-net-force",
        action="store_true",
        help="don't subtract the mean from direct forces, as drivers do",
    )
    add("--seed", type=int, default=0, metavar="N", help="of molecules and axes")
    forces.add_files(parser, "work along the paths")


def run(args: argparse.Namespace) -> int:
    """Table on stdout, files where asked for."""
    _check(args)
    from ncforce_ipi.diagnostics import loop_report
    from ncforce_ipi.diagnostics.display import display
    from ncforce_ipi.diagnostics.frames import read_frames

    routes = _routes(args, read_frames(args.structures))
    with forces.opened(args.model, args.kind, args.threads) as backend:
        kinds = frozenset([args.kind]) if args.kind else backend.kinds
        with display("loops", len(routes), "loops") as progress:
            loops = []
            for frame, route in routes:
                loops.append(_follow(args, backend, kinds, frame, route))
                progress(len(loops))
        facts = forces.provenance([forces.identity(args.model, backend)])
    sys.stdout.write(loop_report.table(loops) + "\n")
    forces.write_files(args, facts, loop_report, loops)
    return 0


def _check(args: argparse.Namespace) -> None:
    forces.check_outputs([args.json, args.csv, args.plot], args.force)
    if args.loops < 1:
        raise InputError(f"--loops: expected 1 or more, got {args.loops}")
    for name, value in (("--angle-deg", args.angle_deg), ("--strain", args.strain)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name}: expected a positive number, got {value}")


def _routes(args: argparse.Namespace, frames: list[Frame]) -> list[tuple[Frame, Route]]:
    """The paths, each with the structure it starts from."""
    from ncforce_ipi.diagnostics.loops import FramesLoop, molecules, random_loop

    if args.path:
        name = " ".join(args.structures)
        return [(frames[0], FramesLoop([frame.structure for frame in frames], name))]
    random = np.random.default_rng(args.seed)
    amplitude = None if args.turn else math.radians(args.angle_deg)
    routes: list[tuple[Frame, Route]] = []
    for k in range(args.loops):
        frame = frames[k % len(frames)]
        groups = molecules(frame.structure)
        if args.molecule is not None:
            groups = [group for group in groups if args.molecule in group]
            if not groups:
                raise InputError(f"--molecule {args.molecule}: {frame.name} has no such atom")
        group = groups[random.integers(len(groups))]
        loop: Route = random_loop(frame.structure, group, amplitude, args.strain, random)
        routes.append((frame, loop))
    return routes


def _follow(
    args: argparse.Namespace,
    backend: Backend,
    kinds: frozenset[Kind],
    frame: Frame,
    route: Route,
) -> Loop:
    from ncforce_ipi.diagnostics.loop_report import Loop
    from ncforce_ipi.diagnostics.loops import Work, points

    power: dict[Kind, list[float]] = {kind: [] for kind in sorted(kinds)}
    energies = []
    for positions, tangent in points(route, args.points):
        moved = Structure(frame.structure.numbers, positions, frame.structure.cell)
        for kind, evaluation in backend.evaluate(moved, Wanted(kinds)).items():
            f = evaluation.forces
            if kind == "direct" and not args.keep_net_force:
                f = f - f.mean(axis=0)
            power[kind].append(float(np.sum(f * tangent)))
            if kind == "conservative":
                energies.append(evaluation.energy)
    works = {kind: Work(np.array(values)) for kind, values in power.items()}
    return Loop(frame.name, route.name, works, np.array(energies) if energies else None)
