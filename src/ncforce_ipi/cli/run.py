"""``ncforce run``: molecular dynamics from a start structure to its last step."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from pathlib import Path

from ncforce_ipi.cli import job as jobs
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs.systems import SYSTEMS, system
from ncforce_ipi.launch import replicas as replica_runs
from ncforce_ipi.launch import run as runs
from ncforce_ipi.launch import sets
from ncforce_ipi.launch.jobs.door import Remote
from ncforce_ipi.launch.jobs.job import Job
from ncforce_ipi.launch.processes.timelimit import TimeLimit
from ncforce_ipi.launch.progress.agreement import RECORDED
from ncforce_ipi.launch.progress.estimate import ns_per_day, of_what_is_left
from ncforce_ipi.rundir import read_record, replica_directories

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
        "eight independent runs, and one at each of three temperatures",
        "run water --replicas 8 --time-ps 10 --out eight\n"
        "    ncforce run water --temperature-K 280,300,320 --ensemble svr --out three",
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
    add("--replicas", type=int, metavar="N",
        help="N independent runs side by side, with seeds --seed, --seed + 1 ...: each an ordinary "
        "run in DIR/replica-K; of several temperatures or structures N of each")  # fmt: skip
    jobs.add_system(parser, replicas=True)
    jobs.add_outputs(parser)
    jobs.add_driver(parser)
    add("--port", type=int, metavar="N",
        help="TCP on 127.0.0.1, ports N and N + 1, instead of unix sockets")  # fmt: skip
    add("--time-limit", metavar="TIME",
        help="wall time, as Slurm writes it (24:00:00, 2-12:00:00): the run stops before its "
        "end with a checkpoint and exit code 75, to go on with --resume")  # fmt: skip
    add("--remote", metavar="[HOST:]PORT",
        help="drivers come from other machines, to this port (0: a free one), with a secret; the "
        "command to type there is shown")  # fmt: skip
    add("--clear", action="store_true", help="with --remote: no encryption")
    add("--max-temperature-K", dest="max_temperature_K", type=float, metavar="X",
        help="stop a run that gets hotter; without it a run is stopped when it is hotter than 10 "
        "times --temperature-K and its conserved quantity changed by as much as that heat takes: "
        "9 times 3/2 k T per atom")  # fmt: skip
    add("--stop-on-disagreement", action="store_true",
        help="stop (exit code 3) where slow - fast leaves the band in card.json beside the fast "
        "model; without it that is said, and the run goes on")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Start or continue; 0 only if the last step was done, of every replica if there are any."""
    limit = None if args.time_limit is None else TimeLimit.of_this_process(args.time_limit)
    outcome = _resume(args, limit) if args.resume else _start(args, limit)
    if isinstance(outcome, sets.Outcomes):
        return _end_of_replicas(outcome, limit)
    ending, record = outcome.ending, outcome.record
    if ending.on_request:
        left = of_what_is_left(record, outcome.job.recipe.plan, limit) if limit else ""
        done, n_outer = record["steps_done"], record["plan"]["n_outer"]
        _say_stopped(args.out, ending.reason, f"{done} of {n_outer}", left)
        return ending.exit_code
    if ending.state != "finished":
        raise RunError(ending.reason)
    sys.stdout.write(_summary(args.out, outcome) + "\n")
    return 0


def _start(args: argparse.Namespace, limit: TimeLimit | None) -> runs.Outcome | sets.Outcomes:
    if not _are_several(args):
        return runs.start(job_of(args), args.force, limit)
    _without_remote(args)
    starts, heats_K = args.structure or [None], args.temperature_K or [jobs.DEFAULT_K]
    kinds = sets.combine(starts, heats_K, 1 if args.replicas is None else args.replicas)
    args.replicas = len(kinds)
    _fill(args)

    def make(structure: str | None, temperature_K: float, seed: int) -> Job:
        args.structure, args.temperature_K, args.seed = structure, temperature_K, seed
        return _job(args)

    return replica_runs.start(sets.replicas_of(make, kinds, args.seed), args.force, limit)


def n_replicas(args: argparse.Namespace) -> int:
    """How many runs side by side are asked for."""
    several = (args.structure, args.temperature_K)
    return math.prod([args.replicas or 1, *(len(each or [None]) for each in several)])


def _are_several(args: argparse.Namespace) -> bool:
    """Whether replicas are asked for."""
    lists = (args.structure, args.temperature_K)
    return args.replicas is not None or any(len(several or ()) > 1 for several in lists)


def job_of(args: argparse.Namespace) -> Job:
    """The job of a new run, or of the first of several replicas; fills in defaults."""
    _fill(args)
    return _job(args)


def _fill(args: argparse.Namespace) -> None:
    if _are_several(args) and args.seed is None:
        args.seed = 1  # of velocities of its own
    args.structure = args.structure and args.structure[0]
    args.temperature_K = args.temperature_K and args.temperature_K[0]
    jobs.fill(args)
    args.forces = args.forces or "mts"
    args.time_ps = 1.0 if args.time_ps is None else args.time_ps


def _job(args: argparse.Namespace) -> Job:
    return jobs.job(args, jobs.plan(args), args.out, _remote(args))


def _remote(args: argparse.Namespace) -> Remote | None:
    """Where drivers of other machines come, if they do."""
    where, clear = getattr(args, "remote", None), getattr(args, "clear", False)
    if where is None and clear:
        raise InputError("--clear says how drivers of --remote connect; give --remote too")
    return None if where is None else Remote.parse(where, clear)


def _without_remote(args: argparse.Namespace) -> None:
    if _remote(args):
        raise InputError("--remote serves one run; start each replica as a run of its own")


def _resume(args: argparse.Namespace, limit: TimeLimit | None) -> runs.Outcome | sets.Outcomes:
    check_resume(args)
    if replica_directories(args.out):
        _without_remote(args)
        return replica_runs.go_on(args.out, args.time_ps, limit)
    return runs.go_on(args.out, args.time_ps, limit, _remote(args))


def check_resume(args: argparse.Namespace) -> None:
    """Refuse options of a start where a run goes on."""
    own = ("forces", "mts", "replicas", "max_temperature_K")
    own_given = [name for name in own if getattr(args, name) is not None]
    fixed = [name for name in (*jobs.given(args), *own_given) if name != "system"]
    fixed += ["stop_on_disagreement"] * args.stop_on_disagreement
    if args.force or fixed:
        names = ", ".join("--" + name.replace("_", "-") for name in (fixed or ["force"]))
        raise InputError(f"--resume continues the run as it was begun; leave out {names}")
    if args.system is not None:
        _check_system(args.system, args.out)


def _check_system(name: str, directory: Path) -> None:
    """Refuse to go on with runs of which the system that is named is no part."""
    wanted = system(name)
    for record in map(read_record, replica_directories(directory) or [directory]):
        structure, driver = record.get("structure"), record.get("driver") or {}
        models = [driver.get("model"), *(driver.get("slow_driver") or ())]
        if structure != name and (structure in SYSTEMS or wanted.model not in models):
            raise InputError(
                f"the run in {directory} is of {structure} with model {models[0]}, not of {name}; "
                f"leave {name} out to go on with it"
            )


def _end_of_replicas(outcomes: sets.Outcomes, limit: TimeLimit | None) -> int:
    """Say how they ended; the exit code."""
    records = [record for record in outcomes.records.values() if record]
    stopped = outcomes.stopped
    if outcomes.failed:
        raise RunError(outcomes.complaint())
    if stopped:
        furthest = sorted(records, key=lambda record: record["steps_done"])
        ends = dict.fromkeys(f"{record['steps_done']}" for record in (furthest[0], furthest[-1]))
        done = f"{' to '.join(ends)} of {furthest[-1]['plan']['n_outer']}"
        plan = outcomes.common.recipe.plan
        left = of_what_is_left(furthest[0], plan, limit) if limit else ""
        _say_stopped(outcomes.directory, stopped.reason, done, left)
        return stopped.exit_code
    sys.stdout.write(_summary_of_replicas(outcomes) + "\n")
    return 0


def _say_stopped(directory: Path, reason: str, steps: str, left: str) -> None:
    sys.stderr.write(
        f"ncforce run: {reason} after step {steps}{f' ({left})' * bool(left)}; go on with: ncforce "
        f"run --resume --out {shlex.quote(str(directory))}\n"
    )


def _summary(directory: Path, outcome: runs.Outcome) -> str:
    plan, timings = outcome.job.recipe.plan, outcome.record["timings"]
    speed, pace = timings["ms_per_inner_step"], ""
    if speed:
        ns = ns_per_day(1e-3 * speed * plan.mts, plan.outer_step_fs)
        pace = f", {speed:.1f} ms per inner step, {ns:.3g} ns/day"
    rms = outcome.record.get(RECORDED, {}).get("rms_eV_per_A")
    pace += f", slow - fast {rms:.3g} eV/A" if rms is not None else ""
    return (
        f"{directory}: {plan.n_outer} outer steps of {plan.outer_step_fs:g} fs = "
        f"{plan.time_ps:g} ps done{pace}; next: ncforce analyze {shlex.quote(str(directory))}"
    )


def _summary_of_replicas(outcomes: sets.Outcomes) -> str:
    plan, records = outcomes.common.recipe.plan, outcomes.records.values()
    speeds = [record["timings"]["ms_per_inner_step"] for record in records]
    rate, pace = sum(1.0 / speed for speed in speeds if speed), ""
    if rate:  # of all that ran side by side
        ns = ns_per_day(1e-3 * plan.mts / rate, plan.outer_step_fs)
        pace = f", {1.0 / rate:.1f} ms per inner step of a replica, {ns:.3g} ns/day together"
    return (
        f"{outcomes.directory}: {len(speeds)} replicas of {plan.n_outer} outer steps of "
        f"{plan.outer_step_fs:g} fs = {plan.time_ps:g} ps each done{pace}; next: "
        f"ncforce analyze {shlex.quote(str(outcomes.directory))}"
    )
