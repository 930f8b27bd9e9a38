"""Replicas with one driver against a single run: milliseconds of an inner step of one replica.

Real runs of ``ncforce run`` with 1, 2, 4 ... replicas, in turns with single ones, so that what else
the machine does meets all of them.  Each is run twice, of few steps and of more: the difference is
divided by the inner steps that it has more, so that what happens once (a compilation, a captured
graph) isn't in it; smallest of the rounds::

    OMP_NUM_THREADS=1 python benchmarks/replicas.py --out DIR
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from resumable import members

NCFORCE = [sys.executable, "-m", "ncforce_ipi", "run"]
INNER_STEP_FS = 0.5
FEW = 2  # outer steps in which every kind of call happens
Numbers = dict[str, Any]


def ran(directory: Path, words: list[str]) -> list[Numbers]:
    """Run; the records of all that ran side by side."""
    done = subprocess.run(
        [*NCFORCE, *words, "--out", str(directory)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    records = [json.loads((one / "run.json").read_text()) for one in members(directory)]
    shutil.rmtree(directory)
    return records


def numbers(few: list[Numbers], more: list[Numbers]) -> Numbers:
    """Of a step: ms of wall time of one replica, and those that one waits for its own."""
    longer = sum(map(n_inner, more)) - sum(map(n_inner, few))
    wall_s, model_s = (sum(map(part, more)) - sum(map(part, few)) for part in (wall, of_model))
    each = 1e3 * wall_s / longer
    return {"ms": each / len(more), "ms of each": each, "model ms": 1e3 * model_s / longer}


def n_inner(record: Numbers) -> int:
    """Inner steps of a run."""
    return int(record["plan"]["n_outer"]) * int(record["plan"]["mts"])


def wall(record: Numbers) -> float:
    """Seconds between i-PI's first and last line."""
    return 1e-3 * float(record["timings"]["ms_per_inner_step"]) * n_inner(record)


def of_model(record: Numbers) -> float:
    """Seconds in calls of the model."""
    return float(sum((record["timings"]["model_s"] or {}).values()))


def measure(args: argparse.Namespace, folder: Path) -> list[Numbers]:
    """A row for the single run and for each number of replicas."""
    words = [args.system, "--forces", "mts", "--mts", str(args.mts)]
    words += ["--device", args.device] if args.device else []
    words += [f"--driver-options=--{args.how}"] if args.how else []
    kinds = {0: ["--seed", "1"], **{n: ["--replicas", str(n)] for n in args.replicas}}
    best: dict[int, Numbers] = {}
    for _ in range(args.rounds):
        for n, more in kinds.items():
            found = numbers(*(
                ran(folder / f"run-{n}", [*words, *more, "--time-ps", ps_of(steps, args.mts)])
                for steps in (FEW, FEW + args.steps)
            ))  # fmt: skip
            if n not in best or found["ms"] < best[n]["ms"]:
                best[n] = found
            print(n, found, flush=True)
    alone = best[0]["ms"]
    return [
        {"replicas": n or "a single run", **found, "/ single": found["ms"] / alone}
        for n, found in best.items()
    ]


def ps_of(steps: int, mts: int) -> str:
    """So many outer steps."""
    return str(1e-3 * steps * mts * INNER_STEP_FS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default="water")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    parser.add_argument("--mts", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20, help="outer steps of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", help="default: the model's own choice")
    parser.add_argument("--how", choices=("capture", "compile"), help="forces by this option")
    parser.add_argument("--out", type=Path, required=True, help="directory of runs and results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = measure(args, args.out)
    record = {"system": args.system, "mts": args.mts, "steps": args.steps, "rows": rows}
    record |= {"rounds": args.rounds, "how": args.how}
    (args.out / "replicas.json").write_text(json.dumps(record, indent=1) + "\n")
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
