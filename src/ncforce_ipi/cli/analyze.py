"""``ncforce analyze RUN``: numbers and pictures of a run, into ``analysis`` beside its files."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from ncforce_ipi.cli import measure
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.directory.files import results_in
from ncforce_ipi.observables.analyse import Settings, analyse
from ncforce_ipi.observables.conditions import open_conditions
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.velocities import Transform
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.reading.directory import prefix_of
from ncforce_ipi.rundir import ANALYSIS

log = logging.getLogger(__name__)


EXAMPLES = (
    (
        "everything about a run",
        "analyze demo",
    ),
    (
        "three replicas together, the first 2 ps left out",
        "analyze r1 r2 r3 --discard-ps 2 --out together",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    chosen = Settings()
    add = parser.add_argument
    add("runs", type=path, nargs="+", metavar="RUN", help=f"{measure.RUN}; several are replicas")
    add(
        "--out",
        type=path,
        metavar="DIR",
        help="where results go; default: analysis in the run's directory, or PREFIX.analysis where "
        "a file says which run; of replicas at several temperatures: a folder there for each",
    )
    add("--force", action="store_true", help="replace an earlier analysis there")
    measure.add_discard(parser)
    add("--r-max-A", type=float, metavar="X",
        help="end of g(r), A; default: half the smallest height of the cell")  # fmt: skip
    add("--lag-ps", type=float, default=chosen.transform.lag_ps, metavar="X",
        help="longest lag of the velocity autocorrelation, ps; a quarter of the run if that is "
        "shorter (default %(default)s)")  # fmt: skip
    measure.add_trajectory(parser)
    measure.add_velocities(parser)
    measure.add_temperature(parser)
    measure.add_atoms(parser)


def run(args: argparse.Namespace) -> int:
    """Analyse, write, print."""
    from ncforce_ipi.report import files

    settings = Settings(r_max_A=args.r_max_A, transform=Transform(args.lag_ps))
    options = measure.options(args)
    conditions = open_conditions(args.runs, options, whole=True)
    for one in conditions:
        measure.say_what_goes_on(one.data)
    folder = args.out or _folder(conditions[0].data)
    if folder.exists() and not args.force:
        raise InputError(f"{folder} exists; expected none: give --force to replace its files")
    with results_in(folder):  # before the work: whether it can be written
        for one in conditions:
            part = folder / one.file_name
            analysis = analyse(one.data, settings)
            provenance = Provenance.of(one.data.files(), one.data.model_sha256)
            written = files.write(analysis, part, provenance)
            heading = f"{one.title}\n\n" if one.name else ""
            sys.stdout.write(heading + files.text(analysis) + "\n" * bool(heading))
            log.info("wrote in %s: %s", part, ", ".join(path.name for path in written))
    return 0


def _folder(data: Dataset) -> Path:
    """Of its own for each of several runs in a directory."""
    path = data.first.path
    named = "" if path.is_dir() else f"{prefix_of(path)}."
    return data.directory / f"{named}{ANALYSIS}"
