"""``ncforce report DIR...``: one HTML page of one or several runs that needs nothing but itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ncforce_ipi.cli import measure
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.analyse import analyse
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.provenance import Provenance


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    add = parser.add_argument
    add("directories", nargs="+", type=Path, metavar="DIR",
        help="of 'ncforce run', or of any i-PI run; several are put side by side")  # fmt: skip
    add("--out", type=Path, default=Path("report.html"), metavar="FILE", help="default report.html")
    add("--title", default="", help="default: the names of the directories")
    measure.add_discard(parser)
    add("--no-view", action="store_true", help="without the view of the trajectory (3 MB)")
    add("--force", action="store_true", help="replace FILE")
    measure.add_trajectory(parser)
    measure.add_velocities(parser)
    measure.add_temperature(parser)
    measure.add_atoms(parser)


def run(args: argparse.Namespace) -> int:
    """Measure everything, write the page."""
    from ncforce_ipi.report import page, view

    if args.out.exists() and not args.force:
        raise InputError(f"{args.out} exists; expected none: give --force to replace it")
    options = measure.options(args)
    runs = []
    for directory in args.directories:
        if not directory.is_dir():
            raise InputError(f"{directory} is no directory; expected that of a run")
        data = open_dataset([directory], options)
        runs.append(
            page.Run(
                name=str(directory.absolute().name),
                analysis=analyse(data),
                view=None if args.no_view else view.of_directory(directory),
                provenance=Provenance.of(data.files(), data.model_sha256),
            )
        )
    title = args.title or ", ".join(run.name for run in runs)
    args.out.write_text(page.render(runs, title), encoding="utf-8")
    sys.stdout.write(f"{args.out}\n")
    return 0
