"""Long runs of water on a device, as long as the minutes allow; they go on where they stopped.

Thermostatted runs with slow, fast and MTS forces (do hydrogen and oxygen have the same
temperature?) and runs in NVE (does energy stay?), as many side by side as the processors take.
When the time is over they are stopped, analysed by ``ncforce analyze`` and put side by side by
``ncforce compare``; another call of the same command takes them further::

    OMP_NUM_THREADS=1 python benchmarks/gpu_runs.py --device cuda --minutes 8 --out DIR
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

from resumable import analysed, command, compared, record_of

MTS = ["--forces", "mts", "--mts", "8"]
FAST, SLOW = ["--forces", "fast"], ["--forces", "slow"]
SVR = ["--ensemble", "svr", "--tau-fs", "10"]
RUNS = {
    "svr_fast": [*SVR, *FAST],
    "svr_mts": [*SVR, *MTS],
    "svr_slow": [*SVR, *SLOW],
    "langevin_10": ["--ensemble", "langevin", "--tau-fs", "10", *FAST],
    "langevin_100": ["--ensemble", "langevin", "--tau-fs", "100", *FAST],
    "langevin_1000": ["--ensemble", "langevin", "--tau-fs", "1000", *FAST],
    "nve_fast": ["--ensemble", "nve", *FAST],
    "nve_mts": ["--ensemble", "nve", *MTS],
}
SMALL = ("svr_fast", "nve_mts")
TARGET_PS, SMALL_PS = 1000.0, 0.02
STOP_S = 60.0  # for a checkpoint after the signal
Numbers = dict[str, Any]


def go(directory: Path, words: Sequence[str], device: str, ps: float, until: float) -> None:
    """Run until the clock says ``until`` or the last step is done."""
    todo = command(directory, "water", words, device, ps)
    if todo is None or until - time.monotonic() < 1.0:
        return
    with directory.with_suffix(".log").open("ab") as log:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0, help="of all runs together")
    parser.add_argument("--small", action="store_true", help="two runs of 0.02 ps")
    parser.add_argument("--capture", action="store_true", help="forces by captured graphs")
    parser.add_argument("--side-by-side", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--out", type=Path, required=True, help="directory of runs and results")
    args = parser.parse_args()
    names = SMALL if args.small else tuple(RUNS)
    ps = SMALL_PS if args.small else TARGET_PS
    args.out.mkdir(parents=True, exist_ok=True)
    k = args.side_by_side
    waves = [names[first : first + k] for first in range(0, len(names), k)]
    more = ["--driver-options=--capture"] if args.capture else []
    end = time.monotonic() + 60.0 * args.minutes
    with ThreadPoolExecutor(k) as pool:
        for left, wave in zip(range(len(waves), 0, -1), waves, strict=True):
            until = time.monotonic() + (end - time.monotonic()) / left
            where = [args.out / name for name in wave]
            what = [[*RUNS[name], *more] for name in wave]
            list(pool.map(go, where, what, *map(repeat, (args.device, ps, until))))
        there = [name for name in names if record_of(args.out / name)]
        results = dict(zip(there, pool.map(lambda n: analysed(args.out / n), there), strict=True))
    record = {"target_ps": ps, "capture": args.capture, "runs": results, "compare": ""}
    write(args.out, record)
    record["compare"] = compared([args.out / n for n in there], args.out / "compared")
    write(args.out, record)
    for name in there:
        print(name, results[name].get("steps"), results[name].get("unavailable", ""), flush=True)


def write(out: Path, record: Numbers) -> None:
    """``runs.json``."""
    (out / "runs.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
