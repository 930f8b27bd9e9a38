"""``ncforce jacobian``: how far from a gradient a force is, from its derivatives."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from ncforce_ipi.backend import Backend, Kind
from ncforce_ipi.cli import forces
from ncforce_ipi.cli.arguments import add_model, add_net_force, add_structures, chosen_model
from ncforce_ipi.errors import InputError

if TYPE_CHECKING:
    from ncforce_ipi.diagnostics.survey import Options

log = logging.getLogger(__name__)
KINDS: tuple[Kind, Kind] = ("conservative", "direct")
EXAMPLES = (
    ("both forces of the water model at the last frame of a file", "jacobian md.xyz@-1"),
    (
        "direct forces of ORB at 4 frames, figure of lambda against distance",
        "jacobian md.xyz --frames 4 --model orb:orb-v2 --kind direct --plot lambda.png",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce jacobian``."""
    add_structures(parser)
    model = parser.add_argument_group("model")
    add_model(model)
    model.add_argument(
        "--kind", choices=(*KINDS, "both"), help="kind of force; default: all that the model has"
    )
    add_net_force(model)
    method = parser.add_argument_group("method")
    method.add_argument(
        "--method",
        choices=("auto", "whole", "estimate"),
        default="auto",
        help="the whole Jacobian, or an estimate from a fixed number of products; default auto: "
        "the whole one up to 400 atoms",
    )
    method.add_argument(
        "--products",
        choices=("auto", "exact", "differences"),
        default="auto",
        help="how J is computed: exactly, by differentiating the model, or by central differences "
        "of forces; default auto: exactly for metatomic models",
    )
    method.add_argument(
        "--precision",
        choices=("float64", "model"),
        help="of exact products: float64 (default) or the model's own",
    )
    method.add_argument(
        "--step-A",
        type=float,
        metavar="X",
        help="step of the differences, A; default: the best one for each structure",
    )
    method.add_argument(
        "--probes",
        type=int,
        metavar="K",
        help="random vectors for each species in an estimate, default 16; more of them give a "
        "smaller error",
    )
    method.add_argument("--seed", type=int, default=0, metavar="N", help="of the random vectors")
    _add_profile(parser.add_argument_group("lambda against distance"))
    forces.add_files(parser, "lambda against distance")


def _add_profile(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--r-max-A", type=float, default=8.0, metavar="X", help="default 8 A")
    group.add_argument(
        "--bin-A", type=float, default=0.25, metavar="X", help="width of a bin, default 0.25 A"
    )
    group.add_argument(
        "--rounds",
        type=int,
        metavar="K",
        help="sets of atoms that an estimate moves for this, default 16; 0: leave it out",
    )


def run(args: argparse.Namespace) -> int:
    """Table on stdout, files where asked for."""
    from ncforce_ipi.cli.display import display
    from ncforce_ipi.diagnostics import jacobian_report
    from ncforce_ipi.diagnostics.survey import measure_asymmetry
    from ncforce_ipi.reading.structures import read_frames

    chosen_model(args)
    forces.check_outputs([args.json, args.csv, args.plot], args.force)
    options = _options(args)
    frames = read_frames(args.structures, args.frames)
    _say_unused(args, all(options.whole(frame.structure) for frame in frames))
    kind: Kind | None = None if args.kind in (None, "both") else args.kind
    with forces.opened(args.model, kind, args.threads) as backend:
        if args.precision and not options.exact(backend):
            log.warning(
                "not used: --precision %s; it is that of exact products, and differences are of "
                "the forces as they are", args.precision,
            )  # fmt: skip
        surveys = [
            measure_asymmetry(backend, frames, each, options, display)
            for each in _kinds(args.kind, backend)
        ]
        facts = forces.provenance([forces.identity(args.model, backend)])
    sys.stdout.write(jacobian_report.table(surveys) + "\n")
    forces.write_files(args, facts, jacobian_report, surveys)
    return 0


def _options(args: argparse.Namespace) -> Options:
    from ncforce_ipi.diagnostics.survey import Options

    if (args.csv or args.plot) and args.rounds == 0 and args.method == "estimate":
        raise InputError("--csv and --plot show lambda against distance, and --rounds 0 has none")
    return Options(
        method=args.method,
        products=args.products,
        float64=args.precision != "model",
        step_A=args.step_A,
        n_probes=16 if args.probes is None else args.probes,
        n_rounds=16 if args.rounds is None else args.rounds,
        r_max_A=args.r_max_A,
        bin_A=args.bin_A,
        seed=args.seed,
        keep_net_force=args.keep_net_force,
    )


def _say_unused(args: argparse.Namespace, whole: bool) -> None:
    """Say which options of an estimate aren't used, where none is made."""
    given = [f"--{name}" for name in ("probes", "rounds") if getattr(args, name) is not None]
    if whole and given:
        log.warning(
            "not used: %s; the whole Jacobian is taken, and --method estimate makes an estimate",
            " and ".join(given),
        )  # fmt: skip


def _kinds(asked: str | None, backend: Backend) -> list[Kind]:
    """What was asked for; by default all that the model has."""
    if asked is None:
        return [kind for kind in KINDS if kind in backend.kinds]
    return [kind for kind in KINDS if asked in (kind, "both")]
