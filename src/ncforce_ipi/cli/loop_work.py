"""``ncforce loop-work``: the work of a force along closed paths; 0 if it is conservative."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ncforce_ipi.cli import forces
from ncforce_ipi.cli.arguments import add_model, add_net_force, add_structures, chosen_model
from ncforce_ipi.errors import InputError

if TYPE_CHECKING:
    from ncforce_ipi.diagnostics.paths import Path
    from ncforce_ipi.reading.structures import Frame

DEFAULTS = {"loops": 8, "angle_deg": 30.0, "strain": 0.1, "seed": 0}  # of random loops
EXAMPLES = (
    ("8 molecules of the last frame, both forces of the water model", "loop-work md.xyz@-1"),
    (
        "a closed path of your own, direct forces only",
        "loop-work path.xyz --path --model orb:orb-v2 --kind direct --plot work.png",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce loop-work``."""
    add_structures(parser, frames=False)
    model = parser.add_argument_group("model")
    add_model(model)
    model.add_argument(
        "--kind",
        choices=("conservative", "direct"),
        help="kind of force; default: all that the model has",
    )
    add_net_force(model)
    path = parser.add_argument_group("path")
    path.add_argument(
        "--path",
        action="store_true",
        help="the frames of STRUCTURE are one closed path, which goes back to the first frame",
    )
    path.add_argument(
        "--loops",
        type=int,
        metavar="N",
        help="number of loops, each of a molecule drawn at random; default 8",
    )
    path.add_argument(
        "--molecule",
        type=int,
        metavar="ATOM",
        help="move the molecule of this atom (counted from 0) in all loops",
    )
    path.add_argument(
        "--angle-deg",
        type=float,
        metavar="X",
        help="the molecule swings by this angle to each side, default 30 degrees",
    )
    path.add_argument("--turn", action="store_true", help="a whole turn instead of a swing")
    path.add_argument("--strain", type=float, metavar="X", help="and is stretched, default by 0.1")
    path.add_argument(
        "--points", type=int, default=256, metavar="N", help="on each path, default 256"
    )
    path.add_argument("--seed", type=int, metavar="N", help="of molecules and axes, default 0")
    forces.add_files(parser, "work along the paths")


def run(args: argparse.Namespace) -> int:
    """Table on stdout, files where asked for."""
    from ncforce_ipi.cli.display import display
    from ncforce_ipi.diagnostics import loop_report
    from ncforce_ipi.diagnostics.loops import measure_work

    chosen_model(args)
    _check_path(args)
    forces.check_outputs([args.json, args.csv, args.plot], args.force)
    paths = _paths(args)
    with forces.opened(args.model, args.kind, args.threads) as backend:
        loops = measure_work(
            backend,
            paths,
            kinds=frozenset([args.kind]) if args.kind else None,
            n_points=args.points,
            keep_net_force=args.keep_net_force,
            progress=display,
        )
        facts = forces.provenance([forces.identity(args.model, backend)])
    sys.stdout.write(loop_report.table(loops) + "\n")
    forces.write_files(args, facts, loop_report, loops)
    return 0


def _check_path(args: argparse.Namespace) -> None:
    """Refuse options of random loops where the path is in a file, and an angle of a whole turn."""
    given = [f"--{name.replace('_', '-')}" for name in DEFAULTS if getattr(args, name) is not None]
    given += ["--molecule"] * (args.molecule is not None) + ["--turn"] * args.turn
    if args.path and given:
        raise InputError(
            f"--path: the frames of the file are the path; leave out {' and '.join(given)}"
        )
    if args.turn and args.angle_deg is not None:
        raise InputError("--turn is a whole turn, --angle-deg that of a swing; give one of them")
    for name, value in DEFAULTS.items():
        if getattr(args, name) is None:
            setattr(args, name, value)


def _paths(args: argparse.Namespace) -> list[tuple[Frame, Path]]:
    """The paths, each with the structure that it starts from."""
    from ncforce_ipi.diagnostics.paths import FramesLoop, random_paths
    from ncforce_ipi.reading.structures import read_frames

    frames = read_frames(args.structures)
    if args.path:
        name = " ".join(args.structures)
        return [(frames[0], FramesLoop([frame.structure for frame in frames], name))]
    return random_paths(
        frames,
        args.loops,
        angle_deg=None if args.turn else args.angle_deg,
        strain=args.strain,
        atom=args.molecule,
        seed=args.seed,
    )
