"""``ncforce rdf``: g(r) and running coordination numbers."""

from __future__ import annotations

import argparse

from ncforce_ipi.cli import measure
from ncforce_ipi.observables import rdf

EXAMPLES = (
    (
        "a run of ours, with a figure",
        "rdf demo --plot rdf.png",
    ),
    (
        "any trajectory, up to 6 A",
        "rdf traj.extxyz --r-max-A 6 --csv rdf.csv",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    measure.add_files(parser, "positions (i-PI's xyz or ase, extxyz)")
    measure.add_trajectory(parser)
    parser.add_argument(
        "--r-max-A", type=float, metavar="X",
        help="end of g(r), A, at most and by default half the smallest height of the cell",
    )  # fmt: skip
    parser.add_argument(
        "--bins", type=int, metavar="N", help=f"default: of {rdf.BIN_WIDTH_A:g} A each"
    )


def run(args: argparse.Namespace) -> int:
    """Measure and publish."""
    measure.positive(args, "r_max_A", "bins")
    return measure.publish(
        args, lambda data: rdf.measure(data, r_max_A=args.r_max_A, n_bins=args.bins)
    )
