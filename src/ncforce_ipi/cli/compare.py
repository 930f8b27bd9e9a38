"""``ncforce compare``: one start with different forces, or finished runs, side by side."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ncforce_ipi.cli import job as jobs
from ncforce_ipi.cli import measure
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.systems import NAMES, SYSTEMS
from ncforce_ipi.launch import compare
from ncforce_ipi.launch import run as runs
from ncforce_ipi.launch.compare import has_tables
from ncforce_ipi.launch.directory.files import results_in, set_aside
from ncforce_ipi.launch.jobs.job import DEFAULT_M, Job
from ncforce_ipi.observables import comparison
from ncforce_ipi.observables.comparison import Entry, conditions_of, entry_of
from ncforce_ipi.observables.conditions import open_conditions
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import DISCARD_PS, Options
from ncforce_ipi.provenance import Provenance

log = logging.getLogger(__name__)
TIME_PS = 5.0
RESUME_HELP = (
    "keep the runs that are done, go on with the others; a longer --time-ps lengthens all of them"
)
FIGURES = ("compare", "rdf", "vdos")
FILES = (
    "compare.json",
    "compare.csv",
    *(f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")),
)


EXAMPLES = (
    (
        "slow, fast and MTS forces from one start",
        "compare water --mts 4 8 --time-ps 5",
    ),
    (
        "finished runs side by side",
        "compare demo prod --out both",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce compare``."""
    add = parser.add_argument_group("comparison").add_argument
    add("--out", type=path, default=Path("compare"), metavar="DIR",
        help="directory of the tables and figures, and of runs that are made; default compare"
        )  # fmt: skip
    add("--mts", type=int, nargs="+", metavar="M", help="one or several M, default 8")
    add("--time-ps", type=float, metavar="X", help=f"of each run, default {TIME_PS:g} ps")
    add("--resume", action="store_true", help=RESUME_HELP)
    add("--force", action="store_true",
        help="move earlier runs, tables and figures in --out to previous-N there")  # fmt: skip
    add("--discard-ps", type=float, metavar="X",
        help="of runs that are there: time left out at the start of everything, ps; default: a "
        f"tenth of the run, at most {DISCARD_PS:g} ps")  # fmt: skip
    jobs.add_system(
        parser, several="or runs that are there (directories, or files of them), any number"
    )
    jobs.add_driver(parser)


def run(args: argparse.Namespace) -> int:
    """Compare the directories that are named, or make the runs of a system and compare them."""
    names: list[str] = args.system
    there = [path(name) for name in names if name not in SYSTEMS]
    if there:
        _check_words(args, names, there)
        measure.check_discard(args)
        return _compare_runs(args.out, there, args.discard_ps, force=args.force)
    if len(names) > 1:
        raise InputError(f"{' and '.join(names)}; expected one SYSTEM, or directories of runs")
    if args.discard_ps is not None:
        raise InputError("--discard-ps is for directories of runs; leave it out")
    args.system = names[0] if names else None
    args.mts = args.mts or [DEFAULT_M]
    return run_all(args, "compare")


def run_all(
    args: argparse.Namespace,
    verb: str,
    more: Callable[[Sequence[Entry]], None] | None = None,
    check_jobs: Callable[[Sequence[Job]], None] | None = None,
) -> int:
    """Run what isn't done yet and write the comparison; then ``more`` of it.  The exit code.

    ``check_jobs`` may refuse the runs before any of them begins.
    """
    if args.resume and args.force:
        raise InputError("--resume keeps what --force replaces; give one of them")
    jobs.fill(args)
    if args.time_ps is None:
        args.time_ps = (compare.begun_ps(args.out) if args.resume else None) or TIME_PS
    ratios = sorted(set(args.mts))
    base = jobs.job(
        args, Plan.from_time("mts", ratios[0], args.timestep_fs, args.time_ps), args.out
    )
    all_jobs = compare.jobs_of(base, ratios, args.time_ps)
    if check_jobs:
        check_jobs(all_jobs)
    compare.check(args.out, all_jobs, resume=args.resume, force=args.force)
    if args.resume:
        compare.check_begun(all_jobs)
    checked = {} if args.resume else runs.check_all(all_jobs)
    with compare.claimed(args.out, all_jobs, resume=args.resume, force=args.force):
        failures = []
        for job in all_jobs:
            outcome = compare.run_one(job, checked.get(job.name))
            if outcome is None:
                log.info("%s: kept as it is", job.directory)
            elif outcome.ending.on_request:
                sys.stderr.write(
                    f"ncforce {verb}: {outcome.ending.reason}; go on with the same command and "
                    "--resume\n"
                )
                return outcome.ending.exit_code
            elif outcome.ending.state == "failed":
                failures.append(f"{job.name}: {outcome.ending.reason}")
        entries = _write(args, [job.directory for job in all_jobs])
        if failures:
            raise RunError("; ".join(failures))
        if more:
            more(entries)
    return 0


def _write(args: argparse.Namespace, directories: Sequence[Path]) -> Sequence[Entry]:
    """Write and print the comparison; the runs that are in it."""
    from ncforce_ipi.report import comparison as report  # matplotlib: only when all is done

    runs = [open_dataset([directory]) for directory in directories]
    entries = [entry_of(data, data.first.name) for data in runs]
    files = [file for data in runs for file in data.files()]
    provenance = Provenance.of(files, runs[0].model_sha256)
    written = report.write_files(entries, provenance, args.out)
    sys.stdout.write(report.table(entries) + "\n")
    log.info("wrote %s", ", ".join(str(path) for path in written))
    return entries


def _compare_runs(
    folder: Path, paths: Sequence[Path], discard_ps: float | None, *, force: bool
) -> int:
    """Measure all, write, print the table.

    Raises
    ------
    InputError
        Files of an earlier comparison are there, a run is named twice, or isn't one.
    """
    from ncforce_ipi.report import comparison as report
    from ncforce_ipi.report import overlay

    options = Options(discard_ps=discard_ps)
    there = [name for name in FILES if (folder / name).exists()]
    if there and not force:
        raise InputError(
            f"{folder / there[0]} exists; choose another --out, or --force to move the tables "
            "and figures there aside"
        )
    if there and not has_tables(folder):
        raise InputError(
            f"{folder / there[0]} exists, and no comparison of ncforce is in {folder}; "
            "choose another --out"
        )
    runs = conditions_of([open_conditions([run], options, whole=True) for run in paths])
    for data in runs.values():
        measure.say_what_goes_on(data)
    with results_in(folder):
        found = comparison.compare(runs)
        provenance = Provenance.of(found.files(), found.model_sha256)
        set_aside(folder, [folder / name for name in there])
        written = report.write_files(
            found.entries, provenance, folder, named=True, analyses=found.analyses
        )
        written += overlay.write_overlaid(found.analyses, ("rdf", "vdos"), folder, provenance)
    sys.stdout.write(report.table(found.entries, named=True) + "\n")
    log.info("wrote %s", ", ".join(str(path) for path in written))
    return 0


def _check_words(args: argparse.Namespace, names: Sequence[str], paths: Sequence[Path]) -> None:
    """Refuse a mixture of both forms, and what isn't there."""
    systems = [name for name in names if name in SYSTEMS]
    if systems:
        raise InputError(
            f"{systems[0]} is a system, {paths[0]} isn't; expected one SYSTEM, of which the "
            f"runs are made, or only directories of runs (./{systems[0]} if it is one)"
        )
    for run in paths:
        if not run.exists():
            raise InputError(
                f"{run} is missing; expected the directory of a run, a file of one, or a system "
                f"({NAMES})"
            )
    useless = [name for name in (*jobs.given(args), "mts", "time_ps", "resume") if name != "system"]
    useless = [name for name in useless if getattr(args, name)]
    if useless:
        words = ", ".join("--" + name.replace("_", "-") for name in useless)
        raise InputError(f"runs that are there are compared as they are; leave out {words}")
