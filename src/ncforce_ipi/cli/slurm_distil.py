"""``ncforce slurm distil``: a job script for a distillation, from its own words."""

from __future__ import annotations

import argparse
import logging
import tempfile
from dataclasses import replace
from pathlib import Path

from ncforce_ipi.cli import distil
from ncforce_ipi.cli.slurm import add_of_job, hand_over, settings_of
from ncforce_ipi.cli.spelling import words_of
from ncforce_ipi.cluster import script
from ncforce_ipi.cluster.layout import Gpus, Layout
from ncforce_ipi.cluster.settings import Settings
from ncforce_ipi.distil.request import Request, conditions
from ncforce_ipi.distil.state import FILE, State, check_free
from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.processes.timelimit import TimeLimit, seconds_of
from ncforce_ipi.launch.progress.estimate import jobs_in_all

log = logging.getLogger(__name__)

OURS = {"out", "force", "resume", "device"}  # the script says these in its own way
EXAMPLES = (
    (
        "a partner of SevenNet-0 for a molten salt, in jobs of four hours",
        "slurm distil sevennet:7net-0 --structure nacl.xyz --temperature-K 1300 --minutes 600 "
        "--gpus 1 --time 4:00:00 --out pair",
    ),
    (
        "go on with one that was begun without Slurm",
        "slurm distil --resume --minutes 1200 --gpus 1 --time 4:00:00 --out pair",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce distil``, and those of the job."""
    add_of_job(parser, "one GPU, for the models and the training")
    distil.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write or show the script; submit it if that is asked for."""
    settings = replace(settings_of(args), ipi_partition=None)
    _check(args)
    if args.resume:
        distil.check_resume(args)
        state = State.read(args.out)
        request, spent_s = Request.of(state.record["request"]), state.seconds
        request = replace(request, minutes=args.minutes or request.minutes)
        words, longer = [], words_of(_parser(), args, OURS)
    else:
        request, spent_s = _new(args), 0.0
        words, longer = words_of(_parser(), args, OURS), []
    _say_jobs(request, spent_s, settings)
    layout = _layout(args, request)
    if layout.gpus and not args.resume:
        words += ["--device", request.device or "cuda"]
    elif request.device and not args.resume:
        words += ["--device", request.device]
    return hand_over(
        args,
        script.Ask(
            args.out.absolute(), words, layout, settings, Path.cwd(),
            longer=longer, verb="distil", record=FILE,
        ),
    )  # fmt: skip


def _check(args: argparse.Namespace) -> None:
    if args.recipe:
        raise InputError("--recipe prints what is chosen: ncforce distil ... --recipe; no job")
    if args.add:
        raise InputError(
            "--add: a job may begin several times, and would add the frames each time; add them "
            "with ncforce distil --resume --add, which can be stopped, then give --resume here"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ncforce distil")
    distil.add_arguments(parser)
    return parser


def _new(args: argparse.Namespace) -> Request:
    """What is asked for, checked as far as that can be without the teacher."""
    request = distil.request_of(args)
    check_free(args.out, force=False)
    with tempfile.TemporaryDirectory() as folder:
        conditions(request, Path(folder))
    return request


def _layout(args: argparse.Namespace, request: Request) -> Layout:
    """One node: i-PI, teacher and student side by side, and one GPU at most."""
    gpus = Gpus.parse(args.gpus) if args.gpus else None
    device = request.device or ("cuda" if gpus and not args.resume else "cpu")
    on_gpu = device.startswith(("cuda", "hip"))
    if gpus and not on_gpu:
        raise InputError(f"--gpus, but the models run on {device}; leave one of them out")
    if gpus and gpus.n > 1:
        log.warning("%d GPUs, but a distillation uses one: the script asks for 1", gpus.n)
    kind = gpus.kind if gpus else None
    return Layout(1, 1, int(on_gpu), kind, request.threads, other_driver=True)


def _say_jobs(request: Request, spent_s: float, settings: Settings) -> None:
    """How many jobs a budget of minutes is, at most."""
    if not request.minutes or settings.time is None:
        return
    left_s = 60.0 * request.minutes - spent_s
    limit = TimeLimit(seconds_of(settings.time))
    if left_s > 0.0:
        log.info("%.0f minutes: %s at most", left_s / 60.0, jobs_in_all(left_s, limit))
