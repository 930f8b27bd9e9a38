"""``ncforce drift``: drift of the conserved quantity and of the temperature."""

from __future__ import annotations

import argparse

from ncforce_ipi.cli import measure
from ncforce_ipi.observables import drift

EXAMPLES = (
    (
        "a run of ours",
        "drift demo",
    ),
    (
        "the properties file of any i-PI run",
        "drift simulation.out --atoms 192 --json drift.json",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    measure.add_files(parser, "i-PI's properties file")
    measure.add_atoms(parser)
    measure.add_temperature(parser)
    measure.add_centre(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and publish."""
    return measure.publish(args, drift.measure)
