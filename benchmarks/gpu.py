"""All parts of ``gpu.sh``, each in a bounded process of its own, its result written when found.

A part's command writes into ``OUT/raw/PART``; what is found there, complete or not, becomes
``OUT/PART.json`` and a section of ``OUT/summary.md``.  Parts that are done are skipped when the
command is given again, those not tried yet come before those that failed::

    bash benchmarks/gpu.sh OUT [--parts a,b] [--minutes N] [--small] [--device cuda|cpu]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_report
from bounded import bounded, has_gpu, machine, state_of, write

HERE = Path(__file__).parent
LEAST_S = 20.0  # no part begins with less left
MARGIN_S = 100.0  # of the runs' minutes: their checkpoints and analyses


@dataclass(frozen=True)
class Choice:
    """What the command line says; ``seconds`` is what the part may take."""

    device: str
    small: bool
    raw: Path
    seconds: float = 0.0


@dataclass(frozen=True)
class Part:
    """A command, the most minutes that it gets, and the file that it writes.

    With less than ``least`` minutes left it doesn't begin.  ``endless`` parts take what minutes
    there are, and are taken further by each call.  What ``needs_gpu`` is left out on a CPU.
    """

    command: Callable[[Choice], list[str]]
    minutes: float
    file: str
    least: float = 0.0
    endless: bool = False
    needs_gpu: bool = False


def script(name: str, *words: str) -> list[str]:
    """A benchmark beside this file."""
    return [sys.executable, str(HERE / name), *words]


def captured(choice: Choice) -> list[str]:
    words = ["--device", choice.device, "--out", str(choice.raw)]
    few = ["--copies", "1", "--calls", "1"] if choice.small else []
    return script("captured_calls.py", *words, *few)


def device_calls(choice: Choice) -> list[str]:
    words = ["--devices", choice.device, "--out", str(choice.raw)]
    few = ["--copies", "1", "--calls", "2"] if choice.small else ["--calls", "10"]
    return script("device_calls.py", *words, *few)


def tests(choice: Choice) -> list[str]:
    words = ["-q", "-p", "no:cacheprovider", "-k", "not compiled"]
    junit = f"--junitxml={choice.raw / 'tests.xml'}"
    return [sys.executable, "-m", "pytest", *words, junit, str(HERE.parent / "tests/test_gpu.py")]


def overhead(choice: Choice) -> list[str]:
    words = ["--device", choice.device, "--out", str(choice.raw)]
    few = ["--copies", "1", "--rounds", "1"] if choice.small else ["--rounds", "4"]
    return script("mts_overhead.py", *words, *few)


def overhead_captured(choice: Choice) -> list[str]:
    one_size = [] if choice.small else ["--copies", "1"]
    return [*overhead(choice), *one_size, "--capture"]


def batches(choice: Choice) -> list[str]:
    words = ["--device", choice.device, "--out", str(choice.raw)]
    few = (
        ["--sizes", "1", "2", "--calls", "1"] if choice.small else ["--sizes", "1", "4", "16", "64"]
    )
    return script("batched_calls.py", *words, *few)


def replicas(choice: Choice) -> list[str]:
    words = ["--device", choice.device, "--out", str(choice.raw)]
    few = ["--replicas", "2", "--steps", "2", "--rounds", "1"] if choice.small else [
        "--replicas", "1", "4", "16", "64", "--steps", "50", "--rounds", "1",
    ]  # fmt: skip
    return script("replicas.py", *words, *few, *(["--how", how] if (how := best(choice)) else []))


def best(choice: Choice) -> str:
    """The quickest way to call the model that an earlier part has found nothing wrong with."""
    found = choice.raw.parent / "captured" / "captured_calls.json"
    rows = json.loads(found.read_text())["rows"] if found.exists() else []
    ways = {"compile": "compiled, why not", "capture": "fused, why not"}
    return next((way for way, why in ways.items() if passed(rows, why)), "")


def runs(choice: Choice) -> list[str]:
    minutes = str(max(choice.seconds - MARGIN_S, LEAST_S) / 60.0)
    words = ["--device", choice.device, "--out", str(choice.raw), "--minutes", minutes]
    compiled = ["--compile"] * (best(choice) == "compile")
    return script("gpu_runs.py", *words, *compiled, *["--small"] * choice.small)


def passed(rows: list[dict[str, Any]], why: str) -> bool:
    """Whether all graphs of a way passed their gates."""
    return bool(rows) and all(row.get(why) == "" for row in rows)


PARTS = {  # most important first
    "captured": Part(captured, 5.0, "captured_calls.json", least=1.0),
    "device_calls": Part(device_calls, 3.0, "device_calls.json", least=1.0),
    "tests": Part(tests, 4.0, "tests.xml", least=1.5),
    "overhead": Part(overhead, 5.0, "mts_overhead.json", least=2.0),
    "overhead_captured": Part(overhead_captured, 3.0, "mts_overhead.json", 1.0, needs_gpu=True),
    "batches": Part(batches, 8.0, "batched_calls.json", least=1.0),
    "replicas": Part(replicas, 8.0, "replicas.json", least=1.5),
    "runs": Part(runs, 1e9, "runs.json", least=3.0, endless=True),
}


def run_part(name: str, choice: Choice, out: Path) -> dict[str, Any]:
    """Run a part and write its JSON file."""
    part = PARTS[name]
    choice.raw.mkdir(parents=True, exist_ok=True)
    if not part.endless:  # what an earlier call found there isn't this one's
        (choice.raw / part.file).unlink(missing_ok=True)
    begin = time.monotonic()
    why = bounded(part.command(choice), choice.raw / "log.txt", choice.seconds)
    record: dict[str, Any] = {"part": name, "state": state_of(why), "why": why}
    record |= {"seconds": round(time.monotonic() - begin, 1), **machine(choice.device)}
    record["small"] = choice.small
    try:
        record["result"] = gpu_report.read(choice.raw / part.file)
    except (OSError, ValueError, SyntaxError) as err:
        record |= {"state": "failed", "why": why or f"no result: {err}"}
    if part.endless and not why:
        record["state"] = "done" if gpu_report.finished(record["result"]) else "goes on"
    write(out / f"{name}.json", json.dumps(record, indent=1) + "\n")
    return record


def states(out: Path) -> dict[str, dict[str, Any]]:
    """What is known of each part from its file, in the order of the parts."""
    paths = {name: out / f"{name}.json" for name in PARTS}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def order(names: list[str], known: dict[str, dict[str, Any]], small: bool) -> list[str]:
    """The parts to do: not those that are done, and those that failed last."""
    todo = [
        n for n in names if known.get(n, {}).get("state") != "done" or known[n]["small"] != small
    ]
    return sorted(todo, key=lambda n: known.get(n, {}).get("state") in ("failed", "stopped"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="directory of the results")
    parser.add_argument("--parts", help=f"default: {','.join(PARTS)}")
    parser.add_argument("--minutes", type=float, default=24.0, help="of this call (default 24)")
    parser.add_argument("--small", action="store_true", help="the smallest numbers, as a test")
    parser.add_argument("--device", default="cuda", help="default cuda")
    args = parser.parse_args()
    end_at = time.monotonic() + 60.0 * args.minutes
    on_cpu = args.device == "cpu"
    default = [name for name, part in PARTS.items() if not (part.needs_gpu and on_cpu)]
    names = args.parts.split(",") if args.parts else default
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; parts: {', '.join(PARTS)}")
    if not (on_cpu or has_gpu()):
        parser.error(
            f"--device {args.device}: torch finds no GPU here; --small --device cpu tries all"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    known = states(args.out)
    for name in order(names, known, args.small):
        left_s = end_at - time.monotonic()
        if left_s < max(LEAST_S, 0.0 if args.small else 60.0 * PARTS[name].least):
            print(f"{name}: no time left; give the same command again", flush=True)
            continue
        seconds = min(left_s, 60.0 * PARTS[name].minutes)
        choice = Choice(args.device, args.small, args.out / "raw" / name, seconds)
        record = run_part(name, choice, args.out)
        print(f"{name}: {record['state']} in {record['seconds']} s {record['why']}", flush=True)
        known[name] = record
        write(args.out / "summary.md", gpu_report.summary(states(args.out)))
    bad = [name for name in names if known.get(name, {}).get("state") in ("failed", "stopped")]
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
