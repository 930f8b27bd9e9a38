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

OURS = {"out", "force", "resume"}  # the script says these in its own way
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
    add_of_job(parser, "GPUs of one node, which label together; runs and training use the first")
    distil.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write or show the script; submit it if that is asked for."""
    settings = replace(settings_of(args), ipi_partition=None)
    _check(args)
    gpus = Gpus.parse(args.gpus) if args.gpus else None
    if gpus and not args.device:
        args.device = ",".join(f"cuda:{i}" for i in range(gpus.n))
    request, spent_s = _begun(args) if args.resume else (_new(args), 0.0)
    _say_jobs(request, spent_s, settings)
    words = words_of(_parser(), args, OURS)
    return hand_over(
        args,
        script.Ask(
            args.out.absolute(), [] if args.resume else words, _layout(request, gpus), settings,
            Path.cwd(), longer=words if args.resume else [], verb="distil", record=FILE,
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


def _begun(args: argparse.Namespace) -> tuple[Request, float]:
    """What one that has begun was asked for, or is now; and the seconds that it has taken."""
    distil.check_resume(args)
    state = State.read(args.out)
    now = {name: getattr(args, name) for name in ("minutes", "device", "threads", "drivers")}
    now = {name: value for name, value in now.items() if value is not None}
    return replace(Request.of(state.record["request"]), **now), state.seconds


def _layout(request: Request, gpus: Gpus | None) -> Layout:
    """One node: processes that label, or i-PI, teacher and student side by side."""
    n = len({name for name in request.devices if name.startswith(("cuda", "hip"))})
    if gpus and gpus.n != n:
        raise InputError(f"--gpus {gpus.n}, but --device names {n}; leave --device out")
    if n > 1:
        log.info("%d GPUs label together; runs and training use the first of them alone", n)
    kind = gpus.kind if gpus else None
    return Layout(max(2, request.n_drivers), 1, n, kind, request.threads)


def _say_jobs(request: Request, spent_s: float, settings: Settings) -> None:
    """How many jobs a budget of minutes is, at most."""
    if not request.minutes or settings.time is None:
        return
    left_s = 60.0 * request.minutes - spent_s
    limit = TimeLimit(seconds_of(settings.time))
    if left_s > 0.0:
        log.info("%.0f minutes: %s at most", left_s / 60.0, jobs_in_all(left_s, limit))
