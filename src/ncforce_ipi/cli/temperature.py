"""``ncforce temperature``: of each species, equipartition, Maxwell's distribution."""

from __future__ import annotations

import argparse

from ncforce_ipi.cli import measure
from ncforce_ipi.observables import temperature

EXAMPLES = (
    (
        "a run of ours",
        "temperature demo",
    ),
    (
        "any velocities",
        "temperature md.vel_0.xyz --masses-u H=1.008,O=15.999",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    measure.add_files(parser, "velocities (i-PI's xyz or ase, extxyz)")
    measure.add_trajectory(parser)
    measure.add_velocities(parser)
    measure.add_temperature(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and publish."""
    return measure.publish(args, temperature.measure)
