"""``ncforce analyze DIR``: numbers and pictures of a run, into ``DIR/analysis``."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from pathlib import Path

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import figures
from ncforce_ipi.observables.analysis_of_run import DISCARD_PS, Options, analyse
from ncforce_ipi.report import table as report

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    chosen = Options()
    parser.add_argument("directory", type=Path, metavar="DIR", help="a directory of 'ncforce run'")
    parser.add_argument("--force", action="store_true", help="replace an earlier DIR/analysis")
    parser.add_argument(
        "--discard-ps",
        type=float,
        help=f"time left out at the start, ps (default: a tenth, at most {DISCARD_PS:g} ps)",
    )
    parser.add_argument(
        "--r-max-A",
        type=float,
        default=None,
        help="end of g(r), A (default: half the smallest height of the cell)",
    )
    parser.add_argument(
        "--lag-ps",
        type=float,
        default=chosen.lag_ps,
        help="longest lag of the velocity autocorrelation, ps; a quarter of the run if that is "
        "shorter (default %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Analyse, write, print the table."""
    options = _options(args)
    folder = args.directory / "analysis"
    if folder.exists() and not args.force:
        raise InputError(f"{folder} exists; expected none: give --force to replace its files")
    results = analyse(args.directory, options)
    provenance = report.Provenance.of(results, shlex.join(["ncforce", *sys.argv[1:]]))
    written = report.write_files(results, provenance, folder)
    written += figures.write_figures(results, folder, provenance.lines())
    sys.stdout.write(report.table(results) + "\n")
    log.info("wrote %s", ", ".join(str(path) for path in written))
    return 0


def _options(args: argparse.Namespace) -> Options:
    if args.discard_ps is not None and not args.discard_ps >= 0.0:
        raise InputError(f"--discard-ps {args.discard_ps:g}; expected 0 or more")
    if not args.lag_ps > 0.0:
        raise InputError(f"--lag-ps {args.lag_ps:g}; expected a positive time in ps")
    if args.r_max_A is not None and not args.r_max_A > 0.0:
        raise InputError(f"--r-max-A {args.r_max_A:g}; expected a positive distance in A")
    return Options(discard_ps=args.discard_ps, r_max_A=args.r_max_A, lag_ps=args.lag_ps)
