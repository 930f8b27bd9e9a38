"""``ncforce vdos``: velocity spectra of each species."""

from __future__ import annotations

import argparse

from ncforce_ipi.analysis.vdos import WINDOWS
from ncforce_ipi.cli import measure
from ncforce_ipi.observables import vdos
from ncforce_ipi.observables.velocities import Transform

EXAMPLES = (
    (
        "a run of ours, with a figure",
        "vdos demo --plot vdos.png",
    ),
    (
        "velocities every 2 fs of another program",
        "vdos vel.extxyz --timestep-fs 2 --masses-u N=14.007",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    default = Transform()
    measure.add_files(parser, "velocities (i-PI's xyz or ase, extxyz)")
    measure.add_trajectory(parser)
    measure.add_velocities(parser)
    add = parser.add_argument
    add("--lag-ps", type=float, default=default.lag_ps, metavar="X",
        help="longest lag of the autocorrelation, a quarter of a shorter run; "
        "default %(default)s")  # fmt: skip
    add("--window", choices=WINDOWS, default=default.window, help="default %(default)s")
    add("--padding", type=int, default=default.padding, metavar="N",
        help="zeros make the axis finer by N, default %(default)s")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Measure and publish."""
    measure.positive(args, "lag_ps", "padding")
    how = Transform(args.lag_ps, args.window, args.padding, at_rest=False)
    return measure.publish(args, lambda data: vdos.measure(data, how))
