"""``ncforce slurm``: a job script for a run, from the words of ``ncforce run``."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ncforce_ipi.cli import job as jobs
from ncforce_ipi.cli import run as runs
from ncforce_ipi.cli.array import check_array
from ncforce_ipi.cli.paths import path
from ncforce_ipi.cli.spelling import words_of
from ncforce_ipi.cluster import script, writing
from ncforce_ipi.cluster.layout import Gpus, Layout, lay_out
from ncforce_ipi.cluster.settings import Settings, default_file, read_settings
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.service import Service
from ncforce_ipi.inputs.systems import system
from ncforce_ipi.launch import run as launcher
from ncforce_ipi.launch.directory import claim
from ncforce_ipi.launch.jobs.job import Job, from_record, service_of_record
from ncforce_ipi.launch.processes.timelimit import TimeLimit, seconds_of
from ncforce_ipi.launch.progress.estimate import of_what_is_left
from ncforce_ipi.models.words import words_of_model, words_of_text
from ncforce_ipi.rundir import read_record, replica_directories

log = logging.getLogger(__name__)

OURS = {"out", "force", "resume", "device", "drivers"}  # the script says these in its own way
EXAMPLES = (
    (
        "ten ns of water in jobs of a day, one after the other until it is done",
        "slurm water --mts 8 --time-ps 10000 --gpus 1 --time 24:00:00 --out prod",
    ),
    (
        "a path integral on four GPUs",
        "slurm water --ensemble langevin --beads 32 --gpus 4 --time 24:00:00 --out pimd",
    ),
    (
        "four runs with the seeds 1 to 4",
        "slurm water --ensemble svr --array 1-4 --gpus 1 --time 12:00:00 --out four",
    ),
    (
        "i-PI on a node of the partition cpu, drivers on eight GPUs of two nodes",
        "slurm water --beads 32 --gpus 8 --nodes 2 --ipi-partition cpu --time 4:00:00 --out two",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce run``, and those of the job."""
    add = add_of_job(parser, "GPUs on all nodes together; a driver on each")
    add("--nodes", type=int, default=1, metavar="N", help="nodes of the drivers, default 1")
    add("--ipi-partition", metavar="NAME",
        help="i-PI on a CPU node of this partition, the drivers elsewhere (heterogeneous job)",
        )  # fmt: skip
    add("--array", metavar="I-J", help="runs with the seeds I to J, each in its own directory")
    runs.add_arguments(parser)


def add_of_job(parser: argparse.ArgumentParser, gpus: str) -> Callable[..., argparse.Action]:
    """Options of any job; what adds more of them.

    Parameters
    ----------
    gpus : help of ``--gpus``
    """
    add = parser.add_argument_group(
        "job", f"Defaults of the site stand in {default_file()} (TOML, the same names)."
    ).add_argument
    add("--gpus", metavar="[TYPE:]N", help=gpus)
    add("--time", metavar="TIME", help="wall time of a job, as Slurm writes it: 24:00:00")
    add("--partition", metavar="NAME", help="default: the cluster's own")
    add("--account", metavar="NAME", help="who pays")
    add("--qos", metavar="NAME", help="quality of service")
    add("--sbatch", metavar="WORDS", help="more options of sbatch, in quotes: '--mem=32G'")
    add("--site", type=path, metavar="FILE", help="settings from FILE instead")
    add("--dry-run", action="store_true", help="show the script, write nothing")
    add("--submit", action="store_true", help="hand it to Slurm")
    return add


def run(args: argparse.Namespace) -> int:
    """Write or show the script; submit it if that is asked for."""
    settings = settings_of(args).with_options(ipi_partition=args.ipi_partition)
    if args.array and (args.seed is not None or args.resume):
        raise InputError("--array gives each run its index as seed; leave --seed and --resume out")
    words = [] if args.resume else words_of(_parser_of_run(), args, OURS)
    longer = ["--time-ps", str(args.time_ps)] if args.resume and args.time_ps else []
    job = _begun(args, settings) if args.resume else _new(args)
    return hand_over(args, replace(_ask(args, settings, job, words), longer=longer))


def hand_over(args: argparse.Namespace, ask: script.Ask) -> int:
    """Show the script, or write it, and submit it if that is asked for."""
    text = script.job_script(ask)
    if args.dry_run:
        sys.stdout.write(text)
        return 0
    where = writing.write_script(args.out, text, args.force)
    if args.submit:
        sys.stdout.write(f"{where}: {writing.submit(where)}\n")
    else:
        sys.stdout.write(f"{where}; submit it with: sbatch {shlex.quote(str(where))}\n")
    return 0


def settings_of(args: argparse.Namespace) -> Settings:
    """Of the site, with the options of the job in their places; says what makes no sense."""
    settings = read_settings(args.site).with_options(
        partition=args.partition, account=args.account, qos=args.qos, time=args.time,
        sbatch=tuple(words_of_text(args.sbatch or "", "--sbatch")),
    )  # fmt: skip
    if args.time_limit is not None:
        raise InputError("the script gives --time-limit itself; say --time, the wall time of a job")
    if settings.time is None:
        log.warning("no --time: the cluster's default; the number of jobs can't be estimated then")
    if args.dry_run and args.submit:
        raise InputError("--dry-run shows a script that --submit would submit; leave one out")
    return settings


def _parser_of_run() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ncforce run")
    runs.add_arguments(parser)
    return parser


def _new(args: argparse.Namespace) -> Job:
    """The job of these words, checked as ``ncforce run`` would."""
    if not args.array:
        claim.check(args.out, force=False)
    filled = argparse.Namespace(**vars(args))
    args.n_runs = runs.n_replicas(args)
    job = runs.job_of(filled)
    if args.array:
        check_array(args.array, args.replicas or 1, is_random=jobs.is_random(filled))
    launcher.check(job)
    return job


def _begun(args: argparse.Namespace, settings: Settings) -> Job:
    """The job of a run that has begun; says how long the rest of it takes."""
    runs.check_resume(argparse.Namespace(**vars(args) | {"force": False}))
    directories = replica_directories(args.out) or [args.out]
    args.n_runs = len(directories)
    record = min(map(read_record, directories), key=lambda record: record.get("steps_done", 0))
    job = from_record(args.out, record)
    job = replace(job, recipe=replace(job.recipe, service=service_of_record(read_record(args.out))))
    job = launcher.extended(job, args.time_ps)
    plan, limit = job.recipe.plan, TimeLimit(seconds_of(settings.time or "UNLIMITED"))
    if record["steps_done"] >= plan.n_outer:
        raise InputError(f"{args.out} is done ({plan.time_ps:g} ps); give a longer --time-ps")
    if left := of_what_is_left(record, plan, limit):
        log.info("%s: %s", args.out, left)
    return job


def _ask(args: argparse.Namespace, settings: Settings, job: Job, words: list[str]) -> script.Ask:
    gpus = Gpus.parse(args.gpus) if args.gpus else None
    structures = job.recipe.ensemble.beads * args.n_runs
    apart = settings.ipi_partition is not None
    layout, said = lay_out(job.service, structures, gpus, args.nodes, apart)
    for text in said:
        log.warning("%s", text)
    remote = layout.nodes > 1 or apart
    if remote and args.n_runs > 1:
        raise InputError("replicas share the drivers of one node; --array runs them as jobs")
    if remote and args.remote:
        raise InputError("drivers on other nodes: the script gives --remote itself; leave it out")
    if remote and job.recipe.transport.port is not None:
        raise InputError(
            "drivers on other nodes come through a port that is free when the job begins; leave "
            "--port out"
        )
    _say_drivers(args, job.service, layout, apart=remote)
    if words and remote:  # i-PI divides the beads by their number
        words = [*words, *(["--drivers", str(layout.drivers)] if layout.drivers > 1 else [])]
    elif words:
        words = [*_with_other_device(words, args, layout), *_of_drivers(args, layout)]
    return script.Ask(
        args.out.absolute(), words, layout, settings, Path.cwd(),
        _remote(job, settings, layout) if remote else (), args.array or "",
    )  # fmt: skip


def _say_drivers(
    args: argparse.Namespace, service: Service, layout: Layout, *, apart: bool
) -> None:
    """Say that GPUs have no use, or that another number of drivers is started than was asked for.

    Parameters
    ----------
    apart : whether they are on other nodes, where each has a GPU
    """
    if args.gpus and not service.slow_driver and set(service.devices) == {"cpu"}:
        log.warning(
            "--gpus %s, but --device %s: %s", args.gpus, service.device,
            "drivers on other nodes use them all the same" if apart else "no driver uses them",
        )  # fmt: skip
    by_gpus = args.gpus and not args.device
    if by_gpus and args.drivers not in (None, layout.drivers):
        log.warning(
            "--drivers %d isn't used: the script starts a driver on each GPU (%d); --device "
            "cuda:0,cuda:1 with --drivers starts more than one on each", args.drivers,
            layout.drivers,
        )  # fmt: skip


def _of_drivers(args: argparse.Namespace, layout: Layout) -> list[str]:
    """Devices and number of the drivers that the run starts itself."""
    device = args.device or layout.devices
    words = ["--device", device] if device else []
    if args.drivers is not None and (args.device or not args.gpus):
        words += ["--drivers", str(args.drivers)]
    return words


def _with_other_device(words: list[str], args: argparse.Namespace, layout: Layout) -> list[str]:
    """The same words with a GPU of its own for the other model, if there is one."""
    if layout.other_device is None or "--device" in words_of_model(args.slow or ""):
        return words
    named = args.slow or args.model or system(args.system).model
    spec = (
        f"{shlex.quote(named) if Path(named).is_file() else named} --device {layout.other_device}"
    )
    return [*words_of(_parser_of_run(), args, {*OURS, "slow"}), "--slow", spec]


def _remote(job: Job, settings: Settings, layout: Layout) -> list[list[str]]:
    return script.remote_drivers(job, script.program(settings), layout.gpus)
