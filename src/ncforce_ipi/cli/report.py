"""``ncforce report RUN...``: one HTML page of one or several runs that needs nothing but itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ncforce_ipi.api.runs import Run, write_report
from ncforce_ipi.cli import measure
from ncforce_ipi.cli.paths import path
from ncforce_ipi.observables.conditions import open_conditions

EXAMPLES = (
    (
        "a page of one run",
        "report demo --out demo.html",
    ),
    (
        "two runs side by side",
        "report slow mts8 --out both.html",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    add = parser.add_argument
    add("runs", nargs="+", type=path, metavar="RUN",
        help=f"{measure.RUN}; several are put side by side")  # fmt: skip
    add("--out", type=path, default=Path("report.html"), metavar="FILE", help="default report.html")
    add("--title", default="", help="default: the names of the runs")
    measure.add_discard(parser)
    add("--no-view", action="store_true", help="without the view of the trajectory (3 MB)")
    add("--force", action="store_true", help="replace FILE")
    measure.add_trajectory(parser)
    measure.add_velocities(parser)
    measure.add_temperature(parser)
    measure.add_atoms(parser)


def run(args: argparse.Namespace) -> int:
    """Measure everything, write the page."""
    options = measure.options(args)
    runs = []
    for place in args.runs:
        for one in open_conditions([place], options, whole=True):
            measure.say_what_goes_on(one.data)
            runs.append(Run(one.data, one.name))
    write_report(runs, args.out, title=args.title, view=not args.no_view, force=args.force)
    sys.stdout.write(f"{args.out}\n")
    return 0
