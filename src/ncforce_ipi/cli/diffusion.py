"""``ncforce diffusion``: diffusion coefficients from displacements and from velocities."""

from __future__ import annotations

import argparse

from ncforce_ipi.cli import measure
from ncforce_ipi.cli.paths import path
from ncforce_ipi.observables import diffusion
from ncforce_ipi.observables.conditions import one_condition

EXAMPLES = (
    (
        "a run of ours",
        "diffusion demo --from-ps 1 --lag-ps 5",
    ),
    (
        "the ratio to a run with conservative forces",
        "diffusion fast --reference slow",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    default = diffusion.Fit()
    measure.add_files(parser, "unwrapped positions (i-PI's are), velocities, or both")
    measure.add_trajectory(parser)
    measure.add_velocities(parser)
    measure.add_temperature(parser)
    add = parser.add_argument
    add("--from-ps", type=float, default=default.from_ps, metavar="X",
        help="start of the line through the displacement, default %(default)s ps")  # fmt: skip
    add("--lag-ps", type=float, default=default.lag_ps, metavar="X",
        help="its end, an eighth of a shorter run; default %(default)s ps")  # fmt: skip
    add("--memory-ps", type=float, default=default.memory_ps, metavar="X",
        help="longest lag of the velocities, which forget in half of it; default "
        "%(default)s ps")  # fmt: skip
    add("--viscosity-mPa-s", type=float, metavar="X",
        help="of the liquid: gives Yeh and Hummer's correction of a cubic box")  # fmt: skip
    add("--reference", type=path, action="append", default=[], metavar="FILE",
        help="files or directory of the run to compare with")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Measure and publish."""
    measure.positive(args, "from_ps", "lag_ps", "memory_ps", "viscosity_mPa_s")
    fit = diffusion.Fit(args.from_ps, args.lag_ps, args.memory_ps, args.viscosity_mPa_s)
    options = measure.options(args)
    reference = one_condition(args.reference, options) if args.reference else None
    return measure.publish(args, lambda data: diffusion.measure(data, fit, reference))
