"""Long runs of water on a device, as long as the minutes allow; they go on where they stopped.

Runs of ``reproduce.py``, by their names there: thermostatted with slow, fast and MTS forces (do
hydrogen and oxygen have the same temperature?) and in NVE (does energy stay?).  All go side by
side, each as so many replicas that share a driver, so that the device has work while i-PI steps.
When the time is over they are stopped with a checkpoint and analysed; another call of the same
command takes them further, and one with ``--minutes 0`` only analyses::

    OMP_NUM_THREADS=1 python benchmarks/gpu_runs.py --device cuda --compile --minutes 8 --out DIR
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import resumable
from bounded import machine, write_json
from reproduction.parts import tasks_of
from reproduction.tasks import Choice, Md

RUNS = ("svr10-slow", "svr10-mts4", "svr10-mts8", "nve-water-mts8")
SMALL = ("svr10-fast", "nve-water-mts8")
STOP_S = 60.0  # for a checkpoint after the signal
Numbers = dict[str, Any]


def go(task: Md, choice: Choice, until: float) -> None:
    """Run until the clock says ``until`` or the last step is done."""
    todo = task.command(choice, task.ps)
    if todo is None or until - time.monotonic() < 1.0:
        return
    with choice.folder(task.name).with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(todo, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            process.wait(max(until - time.monotonic(), 1.0))
        except subprocess.TimeoutExpired:
            pass
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, on which the launcher writes a checkpoint; SIGKILL if that takes too long."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def chosen(names: list[str]) -> list[Md]:
    """Tasks of ``reproduce.py``; all of them with replicas.

    Raises
    ------
    ValueError
        One isn't there, or no run of molecular dynamics.
    """
    tasks = {task.name: task for task in tasks_of(names) if isinstance(task, Md)}
    if unknown := [name for name in names if name not in tasks]:
        raise ValueError(f"no run {', '.join(unknown)}; runs: svr10-mts8, nve-water-fast, ...")
    return [replace(tasks[name], replicated=True) for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", help=f"tasks of reproduce.py; default: {','.join(RUNS)}")
    parser.add_argument("--minutes", type=float, default=8.0, help="of the runs (default 8)")
    parser.add_argument("--replicas", type=int, default=16, help="of each run (default 16)")
    parser.add_argument("--small", action="store_true", help="two runs, the shortest, as a test")
    parser.add_argument("--compile", action="store_true", help="compile the model")
    parser.add_argument("--later", action="store_true", help="leave the analysis to another call")
    parser.add_argument("--out", type=Path, required=True, help="directory of runs and results")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(SMALL if args.small else RUNS)
    try:
        tasks = chosen(names)
    except ValueError as err:
        parser.error(str(err))
    n_replicas = 2 if args.small else args.replicas
    choice = Choice(args.out.resolve(), args.device, args.small, None, n_replicas, args.compile)
    (choice.out / "raw").mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60.0 * args.minutes
    with ThreadPoolExecutor(len(tasks)) as pool:
        list(pool.map(lambda task: go(task, choice, until), tasks))
        there = [task for task in tasks if resumable.record_of(choice.folder(task.name))]
        print({task.name: f"{task.done_ps(choice):.4g} ps" for task in there}, flush=True)
        if args.later:
            return
        found = pool.map(lambda task: task.result(choice), there)
        results = {task.name: result for task, result in zip(there, found, strict=True)}
    write_json(choice.out / "runs.json", {"replicas": n_replicas, "compile": args.compile,
                                          "runs": results})  # fmt: skip
    for task in there:
        record: Numbers = {"task": task.name, "small": args.small, **machine(args.device)}
        finished = task.done_ps(choice) >= 0.999 * task.ps
        record |= {"state": "done" if finished or args.small else "goes on", "why": ""}
        record["result"] = results[task.name]
        write_json(choice.out / f"{task.name}.json", record)
        print(task.name, json.dumps(results[task.name].get("temperature"))[:300], flush=True)


if __name__ == "__main__":
    main()
