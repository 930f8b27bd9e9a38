"""``ncforce jacobian``: how far from a gradient a force is, from its derivatives."""

from __future__ import annotations

import argparse
import math
import sys
import time
from typing import TYPE_CHECKING, cast

import numpy as np

from ncforce_ipi.backend import Backend, Kind, Structure, Wanted
from ncforce_ipi.cli import forces
from ncforce_ipi.errors import InputError

if TYPE_CHECKING:
    from ncforce_ipi.diagnostics.frames import Frame
    from ncforce_ipi.diagnostics.jacobian_report import Survey
    from ncforce_ipi.diagnostics.products import Products
    from ncforce_ipi.diagnostics.survey import Found

WHOLE_UP_TO = 400  # atoms: 1200 products, a minute or two for a small network
KINDS: tuple[Kind, Kind] = ("conservative", "direct")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce jacobian``."""
    add = parser.add_argument
    add("structures", nargs="+", metavar="STRUCTURE", help="FILE or FILE@INDEX, of ASE's formats")
    add("--model", default="water", metavar="MODEL", help=f"{forces.HELP}; default water")
    add("--kind", choices=(*KINDS, "both"), help="kind of force; default: all that the model has")
    add("--frames", type=int, metavar="N", help="N of the structures, evenly spaced")
    add("--threads", type=int, default=1, metavar="N")
    add(
        "--keep-net-force",
        action="store_true",
        help="don't subtract the mean from direct forces, as drivers do",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--method",
        choices=("auto", "whole", "estimate"),
        default="auto",
        help="the whole matrix (auto: up to 400 atoms) or estimates with a fixed "
        "number of products",
    )
    how.add_argument(
        "--products",
        choices=("auto", "exact", "differences"),
        default="auto",
        help="by differentiation (auto: metatomic models) or central differences",
    )
    how.add_argument(
        "--precision",
        choices=("float64", "model"),
        default="float64",
        help="of exact products: turn the model to float64 (default) or leave it",
    )
    how.add_argument(
        "--step-A",
        type=float,
        metavar="X",
        help="of differences, A; default: found for each structure",
    )
    how.add_argument(
        "--probes",
        type=int,
        default=16,
        metavar="K",
        help="random vectors for each species, default 16",
    )
    how.add_argument(
        "--rounds",
        type=int,
        default=16,
        metavar="K",
        help="of block probing for lambda against distance, default 16; 0: none",
    )
    how.add_argument("--r-max-A", type=float, default=8.0, metavar="X", help="default 8 A")
    how.add_argument("--bin-A", type=float, default=0.25, metavar="X", help="default 0.25 A")
    how.add_argument("--seed", type=int, default=0, metavar="N", help="of probes")
    forces.add_files(parser, "lambda against distance")


def run(args: argparse.Namespace) -> int:
    """Table on stdout, files where asked for."""
    _check(args)
    from ncforce_ipi.diagnostics import jacobian_report
    from ncforce_ipi.diagnostics.frames import read_frames

    frames = read_frames(args.structures, args.frames)
    given = None if args.kind in (None, "both") else cast(Kind, args.kind)
    with forces.opened(args.model, given, args.threads) as backend:
        kinds = _kinds(args, backend)
        if _exact(args, backend) and backend.castable and args.precision == "float64":
            backend.to_float64()
        surveys = [_survey(args, backend, frames, kind) for kind in kinds]
        facts = forces.provenance([forces.identity(args.model, backend)])
    sys.stdout.write(jacobian_report.table(surveys) + "\n")
    forces.write_files(args, facts, jacobian_report, surveys)
    return 0


def _check(args: argparse.Namespace) -> None:
    forces.check_outputs([args.json, args.csv, args.plot], args.force)
    for name, value in (("--bin-A", args.bin_A), ("--r-max-A", args.r_max_A)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name}: expected a positive length in A, got {value}")
    if args.step_A is not None and not 0 < args.step_A < 1:
        raise InputError(f"--step-A: expected a small positive length in A, got {args.step_A}")
    if args.rounds < 0:
        raise InputError(f"--rounds: expected 0 or more, got {args.rounds}")
    if (args.csv or args.plot) and not args.rounds and args.method == "estimate":
        raise InputError("--csv and --plot show lambda against distance, and --rounds 0 has none")


def _kinds(args: argparse.Namespace, backend: Backend) -> list[Kind]:
    asked = list(KINDS) if args.kind in (None, "both") else [args.kind]
    if args.kind is None:
        asked = [kind for kind in KINDS if kind in backend.kinds]
    for kind in asked:
        if kind not in backend.kinds:
            raise InputError(
                f"{backend.description} has no {kind} forces; it has {' and '.join(backend.kinds)}"
            )
    return asked


def _exact(args: argparse.Namespace, backend: Backend) -> bool:
    if args.products == "exact" and not backend.differentiable:
        raise InputError(
            f"{backend.description} can't be differentiated here; use --products differences"
        )
    return backend.differentiable and args.products != "differences"


def _survey(args: argparse.Namespace, backend: Backend, frames: list[Frame], kind: Kind) -> Survey:
    from ncforce_ipi.diagnostics.jacobian_report import Survey

    start = time.perf_counter()
    found, how = [], ""
    for frame in frames:
        products, floor = _products(args, backend, frame.structure, kind)
        found.append(_look(args, products, frame, floor))
        how = products.description
    return Survey(kind, how, frames, found, time.perf_counter() - start)


def _products(
    args: argparse.Namespace, backend: Backend, structure: Structure, kind: Kind
) -> tuple[Products, float]:
    """Products, and the lambda that their noise makes."""
    from ncforce_ipi.diagnostics.finite_differences import (
        Differences,
        choose_step,
        collective,
        columns,
    )
    from ncforce_ipi.diagnostics.products import WithoutNetForce

    floor = math.nan
    products: Products
    if _exact(args, backend):
        products = backend.jacobian_products(structure, kind)
    else:
        wanted = Wanted(frozenset([kind]))

        def evaluate(positions: np.ndarray) -> np.ndarray:
            moved = Structure(structure.numbers, positions, structure.cell)
            return backend.evaluate(moved, wanted)[kind].forces

        step = args.step_A
        if step is None:
            vectors = (columns if _whole(args, structure) else collective)(
                len(structure.positions), args.seed
            )
            chosen = choose_step(evaluate, structure.positions, vectors)
            step, floor = chosen.step_A, chosen.lambda_floor
        products = Differences(evaluate, structure.positions, step)
    if kind == "direct" and not args.keep_net_force:
        products = WithoutNetForce(products)
    return products, floor


def _whole(args: argparse.Namespace, structure: Structure) -> bool:
    small = len(structure.positions) <= WHOLE_UP_TO
    return args.method == "whole" or (args.method == "auto" and small)


def _look(args: argparse.Namespace, products: Products, frame: Frame, floor: float) -> Found:
    from ncforce_ipi.diagnostics import survey
    from ncforce_ipi.diagnostics.display import display
    from ncforce_ipi.diagnostics.probing import Plan

    edges = np.arange(0.0, args.r_max_A + 0.5 * args.bin_A, args.bin_A)
    n_atoms = products.n_atoms
    if _whole(args, frame.structure):
        with display(frame.name, 3 * n_atoms, "products") as progress:
            return survey.whole(products, frame.structure, edges, floor, progress)
    plan = Plan(edges, args.rounds, args.seed)
    total = survey.n_products(products, frame.structure, plan, args.probes)
    with display(frame.name, total, "products") as progress:
        return survey.estimated(products, frame.structure, plan, args.probes, floor, progress)
