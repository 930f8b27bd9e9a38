"""``ncforce power``: power of non-conservative forces, in a thermostat."""

from __future__ import annotations

import argparse

from ncforce_ipi.cli import measure
from ncforce_ipi.observables import power

EXAMPLES = (
    (
        "heat that a thermostat takes out",
        "power prod",
    ),
    (
        "forces without an energy of their own",
        "power prod --without-potential",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    measure.add_files(parser, "i-PI's properties file")
    measure.add_atoms(parser)
    measure.add_temperature(parser)
    measure.add_centre(parser)
    parser.add_argument(
        "--without-potential",
        action="store_true",
        help="the potential energy isn't that of the forces: leave it out (it is where it's 0)",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and publish."""
    return measure.publish(
        args, lambda data: power.measure(data, without_potential=args.without_potential)
    )
