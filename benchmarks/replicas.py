"""Replicas with one driver against a single run: milliseconds of an inner step of one replica.

Real runs of ``ncforce run`` with 1, 2, 4 ... replicas, in turns with single ones, so that what else
the machine does meets all of them.  The time is that between i-PI's first and last line, of all
replicas together, divided by the inner steps of all; smallest of the rounds::

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

NCFORCE = [sys.executable, "-m", "ncforce_ipi", "run"]
INNER_STEP_FS = 0.5
Numbers = dict[str, Any]


def ran(directory: Path, words: list[str]) -> list[Numbers]:
    """Run; the records of all that ran side by side."""
    done = subprocess.run(
        [*NCFORCE, *words, "--out", str(directory)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads((directory / "run.json").read_text())
    if "replicas" not in found:
        return [found]
    names = [replica["directory"] for replica in found["replicas"]]
    return [json.loads((directory / name / "run.json").read_text()) for name in names]


def numbers(records: list[Numbers]) -> Numbers:
    """Of a step: ms of wall time of one replica, and those that one waits for its own."""
    each = [record["timings"]["ms_per_inner_step"] for record in records]
    model_s = [record["timings"]["model_s"] or {} for record in records]
    n_inner = [record["plan"]["n_outer"] * record["plan"]["mts"] for record in records]
    model_ms = sum(1e3 * sum(times.values()) for times in model_s) / sum(n_inner)
    return {
        "ms": 1.0 / sum(1.0 / ms for ms in each),
        "ms of each": sum(each) / len(each),
        "model ms": model_ms,
    }


def measure(args: argparse.Namespace, folder: Path) -> list[Numbers]:
    """A row for the single run and for each number of replicas."""
    words = [args.system, "--forces", "mts", "--mts", str(args.mts)]
    words += ["--time-ps", str(1e-3 * args.steps * args.mts * INNER_STEP_FS)]
    words += ["--device", args.device] if args.device else []
    words += ["--driver-options=--capture"] if args.capture else []
    kinds = {0: ["--seed", "1"], **{n: ["--replicas", str(n)] for n in args.replicas}}
    best: dict[int, Numbers] = {}
    for _ in range(args.rounds):
        for n, more in kinds.items():
            directory = folder / f"run-{n}"
            found = numbers(ran(directory, [*words, *more]))
            shutil.rmtree(directory)
            if n not in best or found["ms"] < best[n]["ms"]:
                best[n] = found
            print(n, found, flush=True)
    alone = best[0]["ms"]
    return [
        {"replicas": n or "a single run", **found, "/ single": found["ms"] / alone}
        for n, found in best.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default="water")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    parser.add_argument("--mts", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20, help="outer steps of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", help="default: the model's own choice")
    parser.add_argument("--capture", action="store_true", help="forces by captured graphs")
    parser.add_argument("--out", type=Path, required=True, help="directory of runs and results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = measure(args, args.out)
    record = {"system": args.system, "mts": args.mts, "steps": args.steps, "rows": rows}
    record |= {"rounds": args.rounds, "capture": args.capture}
    (args.out / "replicas.json").write_text(json.dumps(record, indent=1) + "\n")
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
