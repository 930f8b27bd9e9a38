"""``ncforce input``: the files of a run, to be run by hand or changed first."""

from __future__ import annotations

import argparse
import logging
import sys

from ncforce_ipi.cli import job as jobs
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import preflight
from ncforce_ipi.inputs.recipe import write_input
from ncforce_ipi.launch.run import start_of
from ncforce_ipi.rundir import INPUT_FILE, STRUCTURE_FILE, VELOCITIES_FILE

log = logging.getLogger(__name__)


EXAMPLES = (
    (
        "input.xml and init.xyz for i-PI, to be started by hand",
        "input water --forces mts --mts 8 --out by-hand",
    ),
    (
        "the same over TCP",
        "input water --port 31415 --out by-hand",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce input``."""
    add = parser.add_argument_group("input").add_argument
    add("--out", required=True, type=path, metavar="DIR", help="directory for the two files")
    add("--forces", choices=("slow", "fast", "mts"), default="mts", help="default mts")
    add("--mts", type=int, metavar="M", help="inner steps in an outer step, default 8")
    add("--time-ps", type=float, default=1.0, metavar="X", help="physical time, default 1 ps")
    add("--force", action="store_true", help="replace the two files if they exist")
    add("--port", type=int, metavar="N",
        help="TCP on 127.0.0.1, ports N and N + 1, instead of unix sockets")  # fmt: skip
    jobs.add_system(parser)
    jobs.add_outputs(parser)
    jobs.add_service(parser)


def run(args: argparse.Namespace) -> int:
    """Write ``input.xml`` and ``init.xyz``."""
    jobs.fill(args)
    job = jobs.job(args, jobs.plan(args), args.out)
    recipe, atoms = job.recipe, start_of(job)
    for warning in preflight.check(recipe, atoms).warnings:
        log.warning("%s", warning)
    paths = [args.out / name for name in (INPUT_FILE, STRUCTURE_FILE)]
    if job.velocities is not None:
        paths.append(args.out / VELOCITIES_FILE)
    there = [str(path) for path in paths if path.exists()]
    if there and not args.force:
        raise InputError(f"{' and '.join(there)} exist; choose another --out or use --force")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise InputError(f"{args.out} can't be made: {err.strerror}") from err
    write_input(args.out, recipe, atoms)
    sys.stdout.write("".join(f"{path}\n" for path in paths))
    return 0
