"""The paper's tables and figures on our models: run what there is time for, write the page.

    python benchmarks/reproduce.py --out results [--only nve,speed] [--device cuda] [--hours 8]

First a call of each model is timed, from which the hours of each task are estimated.  Tasks run one
after another, each bounded; one that fails doesn't stop the rest.  ``--resume`` goes on with what
is in OUT, so that several short calls do as well as one; ``--hours 0`` only writes the page.  What
hasn't run here is filled in from ``benchmarks/results`` where it was measured before.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import resumable
from bounded import bounded, has_gpu, machine, state_of, write, write_json
from reproduction import budget, page
from reproduction.parts import PARTS, REPLICAS, tasks_of
from reproduction.tasks import HERE, Call, Choice, Md, Numbers, Task, is_done, load, module, names

PAGE = HERE.parent / "docs" / "reproduction.md"
LEAST_PS = 0.01
SLACK = 2.0  # a machine with other jobs takes longer than was estimated
LEAST_S = 600.0


def measured(choice: Choice) -> Choice:
    """With milliseconds of calls, measured once for each device."""
    how = f"{choice.device.replace(':', '')}{'-compiled' if choice.compiled else ''}"
    path = choice.out / f"calls-{how}.json"
    if not path.exists():
        folder = choice.folder("calls")
        folder.mkdir(parents=True, exist_ok=True)
        words = ["--device", choice.device, *(["--compile"] if choice.compiled else [])]
        why = start(module("calls", folder, *words), folder, LEAST_S)
        if why:
            print(f"calls: {why}; hours are guessed", flush=True)
            return choice
        write_json(path, load(folder / "calls.json"))
    return replace(choice, ms=load(path))


def start(command: list[str], folder: Path, seconds: float) -> str:
    """Run a command with this folder on its path; '' or why it didn't succeed."""
    log = folder.with_suffix(".log")
    paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def tick() -> None:
        if sys.stderr.isatty():
            lines = log.read_text(errors="replace").strip().splitlines()
            print(f"\r\033[K    {(lines or [''])[-1][:100]}", end="", file=sys.stderr, flush=True)

    why = bounded(command, log, seconds, tick, environment)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return why


def run_task(task: Task, choice: Choice, goal_ps: float, seconds: float) -> Numbers:
    """Run or take further; its record."""
    folder = choice.folder(task.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    record: Numbers = {"task": task.name, "small": choice.small, **machine(choice.device)}
    begin = time.monotonic()
    if isinstance(task, Call) and (lacking := task.missing()):
        return record | {"state": "left out", "why": lacking, "seconds": 0.0}
    if isinstance(task, Call):
        folder.mkdir(exist_ok=True)
        command: list[str] | None = task.command(choice, folder)
    else:
        command = task.command(choice, goal_ps)
    why = start(command, folder, seconds) if command else ""
    record |= {"state": state_of(why), "why": why}
    try:
        record["result"] = task.result(choice if isinstance(task, Md) else folder)  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError) as err:
        record |= {"state": "failed", "why": why or f"no result: {err}"}
    if isinstance(task, Md) and record["state"] in ("done", "stopped") and not choice.small:
        finished = task.done_ps(choice) >= 0.999 * task.ps
        record["state"] = "done" if finished else "goes on"
    return record | {"seconds": round(time.monotonic() - begin, 1)}


def pending(tasks: list[Task], records: dict[str, Numbers], choice: Choice) -> list[Task]:
    """Those that aren't done, those that failed last."""
    todo = [task for task in tasks if not is_done(task, records.get(task.name, {}), choice)]
    return budget.order(todo, {name: one["state"] for name, one in records.items()})


def work(tasks: list[Task], choice: Choice, hours: float) -> list[str]:
    """Run what there is time for; the names of those that failed."""
    end = time.monotonic() + 3600.0 * hours
    todo = pending(tasks, page.records(choice.out), choice)
    goals = budget.goals_ps(todo, choice, hours)
    failed = []
    for n, task in enumerate(todo, 1):
        left_s, estimate_h = end - time.monotonic(), task.hours(choice)
        goal = goals.get(task.name, 0.0)
        if isinstance(task, Md) and not choice.small:
            more_ps = goal - task.done_ps(choice)
            if more_ps < LEAST_PS:
                continue
            estimate_h *= more_ps / max(task.ps - task.done_ps(choice), LEAST_PS)
        if 3600.0 * estimate_h > 1.01 * left_s:
            print(f"[{n}/{len(todo)}] {task.name}: {estimate_h:.2g} h, no time left", flush=True)
            continue
        ahead = f"about {estimate_h:.2g} h of {left_s / 3600:.2g} h left"
        print(f"[{n}/{len(todo)}] {task.name}: {ahead}", flush=True)
        seconds = min(left_s, max(LEAST_S, 3600.0 * SLACK * estimate_h))
        record = run_task(task, choice, goal, seconds)
        write_json(page.record_file(choice.out, task.name), record)
        print(f"    {record['state']} in {record['seconds']} s {record['why']}", flush=True)
        failed += [task.name] if record["state"] in ("failed", "stopped") else []
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="directory of runs and results")
    parser.add_argument(
        "--only", help=f"parts, or single tasks such as svr10-mts8; default: {','.join(PARTS)}"
    )
    parser.add_argument("--replicas", type=int, default=REPLICAS, help=f"default {REPLICAS}")
    parser.add_argument("--device", default="cpu", help="default cpu")
    parser.add_argument("--compile", action="store_true", help="compile the models of runs")
    parser.add_argument("--hours", type=float, default=8.0, help="of this call (default 8)")
    parser.add_argument("--resume", action="store_true", help="go on with what is in OUT")
    parser.add_argument("--small", action="store_true", help="the smallest numbers, as a test")
    parser.add_argument("--page", type=Path, default=PAGE, help="default docs/reproduction.md")
    args = parser.parse_args()
    chosen = args.only.split(",") if args.only else list(PARTS)
    known = {*PARTS, *names(tasks_of(list(PARTS)))}
    if unknown := [name for name in chosen if name not in known]:
        parser.error(f"no part {', '.join(unknown)}; parts: {', '.join(PARTS)}")
    if args.replicas < 1:
        parser.error(f"--replicas must be at least 1, got {args.replicas}")
    if page.records(args.out) and not args.resume:
        parser.error(f"{args.out} has results; --resume goes on with them, or give another --out")
    if args.device != "cpu" and not has_gpu():
        parser.error(f"--device {args.device}: torch finds no GPU here")
    if args.small and args.page == PAGE:
        parser.error("--small: its numbers are for tests; give a --page of your own")
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    choice = Choice(args.out.resolve(), args.device, args.small, compiled=args.compile)
    if resumable.replicas_known():
        choice = replace(choice, replicas=2 if args.small else args.replicas)
    if not args.small and args.hours > 0:
        choice = measured(choice)
    failed = work(tasks_of(chosen, args.small), choice, args.hours) if args.hours > 0 else []
    write(args.page, page.text(choice, args.page))
    print(f"wrote {args.page}", flush=True)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
