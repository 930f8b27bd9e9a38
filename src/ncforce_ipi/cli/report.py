"""``ncforce report DIR...``: one HTML page of one or several runs that needs nothing but itself."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from pathlib import Path

from ncforce_ipi.cli import measure
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.metadata import look_around
from ncforce_ipi.report import overlay, page, view
from ncforce_ipi.result import Origin

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    add = parser.add_argument
    add("directories", nargs="+", type=Path, metavar="DIR",
        help="of 'ncforce run', or of any i-PI run; several are put side by side")  # fmt: skip
    add("--out", type=Path, default=Path("report.html"), metavar="FILE", help="default report.html")
    add("--title", default="", help="default: the names of the directories")
    add("--discard-ps", type=float, default=0.1, metavar="X",
        help="time left out at the start, ps, default %(default)s")  # fmt: skip
    add("--no-view", action="store_true", help="without the view of the trajectory (3 MB)")
    add("--force", action="store_true", help="replace FILE")
    measure.add_trajectory(parser)
    measure.add_velocities(parser)
    measure.add_temperature(parser)
    measure.add_atoms(parser)


def run(args: argparse.Namespace) -> int:
    """Measure everything, write the page."""
    if args.out.exists() and not args.force:
        raise InputError(f"{args.out} exists; expected none: give --force to replace it")
    given = measure.given(args)
    command = shlex.join(["ncforce", *sys.argv[1:]])
    runs = []
    for directory in args.directories:
        if not directory.is_dir():
            raise InputError(f"{directory} is no directory; expected that of a run")
        origin = Origin(command, measure.inputs([directory]), look_around(directory).model_sha256)
        runs.append(
            page.Run(
                name=str(directory.absolute().name),
                findings=overlay.measure_all(directory, given),
                view=None if args.no_view else view.of_directory(directory),
                facts=origin.facts(),
            )
        )
    title = args.title or ", ".join(run.name for run in runs)
    args.out.write_text(page.render(runs, title), encoding="utf-8")
    sys.stdout.write(f"{args.out}\n")
    return 0
