"""``ncforce run``: molecular dynamics from a start structure to its last step."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from ncforce_ipi.cli import job as jobs
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.launch import run as runs
from ncforce_ipi.launch.estimate import ns_per_day, of_what_is_left
from ncforce_ipi.launch.job import Job
from ncforce_ipi.launch.timelimit import TimeLimit, seconds_of

EXAMPLES = (
    (
        "a picosecond of liquid water with multiple time steps",
        "run water --forces mts --mts 8 --time-ps 1 --out demo",
    ),
    (
        "a foundation model slow, a small one fast",
        "run --slow sevennet:7net-0 --fast my.pt --structure start.xyz --ensemble svr "
        "--time-ps 10 --out prod",
    ),
    (
        "for an hour of wall time at most, to go on later with run --resume",
        "run water --time-ps 100 --time-limit 1:00:00 --out prod",
    ),
    (
        "go on with a run, longer",
        "run --resume --out demo --time-ps 10",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce run``."""
    add = parser.add_argument_group("run").add_argument
    add("--out", required=True, type=path, metavar="DIR", help="directory of the run")
    add("--forces", choices=("slow", "fast", "mts"), help="default mts")
    add("--mts", type=int, metavar="M", help="inner steps in an outer step, default 8")
    add("--time-ps", type=float, metavar="X", help="physical time, default 1 ps")
    add("--resume", action="store_true", help="continue the run in DIR; --time-ps may be longer")
    add("--force", action="store_true",
        help="move an earlier run in DIR to previous-N there and begin anew")  # fmt: skip
    jobs.add_system(parser)
    jobs.add_outputs(parser)
    jobs.add_driver(parser)
    add("--port", type=int, metavar="N",
        help="TCP on 127.0.0.1, ports N and N + 1, instead of unix sockets")  # fmt: skip
    add("--time-limit", metavar="TIME",
        help="wall time, as Slurm writes it (24:00:00, 2-12:00:00): the run stops before its "
        "end with a checkpoint and exit code 75, to go on with --resume")  # fmt: skip
    add("--max-temperature-K", dest="max_temperature_K", type=float, metavar="X",
        help="stop a run that gets hotter; without it a run is stopped when it is hotter than 10 "
        "times --temperature-K and its conserved quantity changed by as much as that heat takes: "
        "9 times 3/2 k T per atom")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Start or continue; 0 only if the last step was done."""
    limit = None if args.time_limit is None else TimeLimit(seconds_of(args.time_limit))
    outcome = _resume(args, limit) if args.resume else _start(args, limit)
    ending, record = outcome.ending, outcome.record
    if ending.on_request:
        left = of_what_is_left(record, outcome.job.recipe.plan, limit) if limit else ""
        sys.stderr.write(
            f"ncforce run: {ending.reason} after step {record['steps_done']} of "
            f"{record['plan']['n_outer']}{f' ({left})' * bool(left)}; go on with: ncforce run "
            f"--resume --out {shlex.quote(str(args.out))}\n"
        )
        return ending.exit_code
    if ending.state != "finished":
        raise RunError(ending.reason)
    sys.stdout.write(_summary(args.out, outcome) + "\n")
    return 0


def _start(args: argparse.Namespace, limit: TimeLimit | None) -> runs.Outcome:
    return runs.start(job_of(args), args.force, limit)


def job_of(args: argparse.Namespace) -> Job:
    """The job of a new run; fills in defaults."""
    jobs.fill(args)
    args.forces = args.forces or "mts"
    args.time_ps = 1.0 if args.time_ps is None else args.time_ps
    return jobs.job(args, jobs.plan(args), args.out)


def _resume(args: argparse.Namespace, limit: TimeLimit | None) -> runs.Outcome:
    check_resume(args)
    return runs.go_on(args.out, args.time_ps, limit)


def check_resume(args: argparse.Namespace) -> None:
    """Refuse options of a start where a run goes on."""
    fixed = [*jobs.given(args), *(name for name in ("forces", "mts") if getattr(args, name))]
    fixed = [name for name in fixed if name != "system"]
    if args.force or fixed:
        names = ", ".join("--" + name.replace("_", "-") for name in (fixed or ["force"]))
        raise InputError(f"--resume continues the run as it was begun; leave out {names}")


def _summary(directory: Path, outcome: runs.Outcome) -> str:
    plan, timings = outcome.job.recipe.plan, outcome.record["timings"]
    speed, pace = timings["ms_per_inner_step"], ""
    if speed:
        ns = ns_per_day(1e-3 * speed * plan.mts, plan.outer_step_fs)
        pace = f", {speed:.1f} ms per inner step, {ns:.3g} ns/day"
    return (
        f"{directory}: {plan.n_outer} outer steps of {plan.outer_step_fs:g} fs = "
        f"{plan.time_ps:g} ps done{pace}; next: ncforce analyze {directory}"
    )
