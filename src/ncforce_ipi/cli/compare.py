"""``ncforce compare``: the same start with slow, fast and MTS forces, side by side."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ncforce_ipi import __version__
from ncforce_ipi.cli import job as jobs
from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.launch import compare, provenance
from ncforce_ipi.mts import Plan

if TYPE_CHECKING:
    from ncforce_ipi.comparison import Entry

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce compare``."""
    add = parser.add_argument
    add("--out", type=Path, default=Path("compare"), metavar="DIR",
        help="directory of the runs and tables, default compare")  # fmt: skip
    add("--mts", type=int, nargs="+", default=[jobs.DEFAULT_M], metavar="M",
        help="one or several M, default 8")  # fmt: skip
    add("--time-ps", type=float, default=5.0, metavar="X", help="of each run, default 5 ps")
    add("--resume", action="store_true", help="keep the runs that are done, go on with the others")
    add("--force", action="store_true", help="replace earlier runs in DIR")
    jobs.add_system(parser)
    jobs.add_driver(parser)


def run(args: argparse.Namespace) -> int:
    """Run all, then write the tables and figures."""
    code, _ = run_all(args, "compare")
    return code


def run_all(args: argparse.Namespace, verb: str) -> tuple[int, Sequence[Entry]]:
    """Run what isn't done yet and write the comparison; exit code, and the runs if it is 0."""
    from ncforce_ipi import comparison, comparison_report  # matplotlib: only when all is done

    if args.resume and args.force:
        raise InputError("--resume keeps what --force replaces; give one of them")
    jobs.fill(args)
    base = jobs.job(args, Plan.from_time("slow", 1, args.timestep_fs, args.time_ps), args.out)
    all_jobs = compare.jobs_of(base, sorted(set(args.mts)), args.time_ps)
    if not (args.resume or args.force):
        compare.check_new(args.out)
    failures = []
    for job in all_jobs:
        outcome = compare.run_one(job, resume=args.resume, force=args.force)
        if outcome is None:
            log.info("%s: kept as it is", job.directory)
        elif outcome.ending.signal is not None:
            sys.stderr.write(
                f"ncforce {verb}: {outcome.ending.reason}; go on with the same command and "
                "--resume\n"
            )
            return 128 + outcome.ending.signal, ()
        elif outcome.ending.state == "failed":
            failures.append(f"{job.name}: {outcome.ending.reason}")
    entries = [comparison.read_entry(job.directory) for job in all_jobs]
    identity = provenance.model_identity(args.model, args.family)
    facts = {
        "version": __version__,
        "command": provenance.command_line(),
        "model_sha256": identity["sha256"] or "",
    }
    written = comparison_report.write_files(entries, facts, args.out)
    sys.stdout.write(comparison_report.table(entries) + "\n")
    log.info("wrote %s", ", ".join(str(path) for path in written))
    if failures:
        raise RunError("; ".join(failures))
    return 0, entries
