"""Runs of ``ncforce run`` that are begun, or taken further, as far as there is time."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NCFORCE = [sys.executable, "-m", "ncforce_ipi"]
LIMIT_S = 300.0  # of an analysis
OBSERVABLES = ("drift", "temperature", "diffusion", "power")
Numbers = dict[str, Any]


def record_of(directory: Path) -> Numbers:
    """``run.json`` of a run; {} where there is none."""
    path = directory / "run.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def command(
    directory: Path, system: str, words: Sequence[str], device: str, ps: float
) -> list[str] | None:
    """What begins a run or takes it further; None if it is finished."""
    record = record_of(directory)
    if record.get("state") == "finished" and record["plan"]["time_ps"] >= 0.999 * ps:
        return None
    run = [*NCFORCE, "run"]
    if record and list(directory.rglob("RESTART")):  # of replicas, in folders of their own
        return [*run, "--resume", "--out", str(directory), "--time-ps", str(ps)]
    again = ["--force"] if directory.exists() else []
    return [*run, system, *words, "--device", device, "--time-ps", str(ps), *again,
            "--out", str(directory)]  # fmt: skip


@functools.cache
def replicas_known() -> bool:
    """Whether ``ncforce run`` takes several replicas side by side."""
    told = subprocess.run([*NCFORCE, "run", "--help"], capture_output=True, text=True, check=False)
    return "--replicas" in told.stdout


def members(directory: Path) -> list[Path]:
    """Directories of the replicas of a run; its own where it is one alone."""
    several = record_of(directory).get("replicas") or []
    return [directory / one["directory"] for one in several] or [directory]


def steps_done(directory: Path) -> int:
    """Outer steps by now, of the replica that has the fewest."""
    return min(int(record_of(one).get("steps_done") or 0) for one in members(directory))


def analysed(directory: Path, options: Sequence[str] = (), limit_s: float = LIMIT_S) -> Numbers:
    """What ``ncforce analyze`` finds, in short; what it says where it finds nothing."""
    record = record_of(directory)
    steps = steps_done(directory)
    done: Numbers = {"state": record.get("state"), "steps": steps}
    done["ps"] = 1e-3 * steps * record["plan"]["outer_step_fs"] if record else 0.0
    done["ms_per_inner_step"] = (record.get("timings") or {}).get("ms_per_inner_step")
    done["replicas"] = len(members(directory))
    words = [*NCFORCE, "analyze", str(directory), "--force", *options]
    try:
        told = subprocess.run(
            words, capture_output=True, text=True, timeout=limit_s, check=False
        ).stderr
        summary = json.loads((directory / "analysis" / "summary.json").read_text())
    except subprocess.TimeoutExpired:
        return done | {"unavailable": f"no analysis in {limit_s:.0f} s"}
    except (OSError, ValueError):
        return done | {"unavailable": (told.strip().splitlines() or ["no analysis"])[-1]}
    picked = {name: summary[name] for name in OBSERVABLES if name in summary}
    return done | {"plan": summary["plan"]} | picked
