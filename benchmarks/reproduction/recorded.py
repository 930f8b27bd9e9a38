"""Results in ``benchmarks/results`` that were measured before, as records of tasks."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reproduction import training
from reproduction.tasks import HERE, Numbers, load

RESULTS = HERE / "results"
COMPARED = {
    "water": "water", "graphene": "graphene", "amorphous-carbon": "amorphous-carbon",
    "aluminium": "aluminium", "o-on-cu3al": "cu3al-o",
}  # fmt: skip
NOTES = {
    "amorphous-carbon": {"note": "64 atoms at 1000 K"},
    "o-on-cu3al": {"note": "SevenNet-0 conservative"},
}


def records() -> dict[str, Numbers]:
    """By task."""
    found: dict[str, Numbers] = {}
    for name, path, result in (*_nve(), *_commands()):
        source = f"`{path.relative_to(HERE.parent)}`"
        if device := _device(path):
            source += f" ({device})"
        found[name] = {"task": name, "state": "recorded", "source": source, "result": result}
    return found


def _device(path: Path) -> str:
    """The name of what `reproduce.py` measured it on, if that was no CPU."""
    record = load(path) if path.is_relative_to(RESULTS / "reproduction") else {}
    return str(record["device"]) if record.get("device", "cpu") != "cpu" else ""


def _nve() -> Iterator[tuple[str, Path, Numbers]]:
    path = RESULTS / "water" / "drift_of_M.csv"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    for row in csv.DictReader(lines):
        if row["forces"] == "mts":
            yield f"nve-water-mts{row['M']}", path, _run({k: _number(v) for k, v in row.items()})
    for system, folder in COMPARED.items():
        path = RESULTS / folder / "compare.json"
        for row in load(path)["runs"]:
            yield f"nve-{system}-{row['run']}", path, _run(row) | NOTES.get(system, {})


def _run(row: Numbers) -> Numbers:
    """As of `resumable.analysed`."""
    plan = {"time_ps": row["time_ps"], "mts": row["M"]}
    return {"ps": row["time_ps"], "plan": plan, "drift": {"runs": [row]}}


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text or None


def _commands() -> Iterator[tuple[str, Path, Numbers]]:
    yield "overhead", (path := RESULTS / "overhead" / "mts_overhead.json"), load(path)
    path = RESULTS / "diagnostics" / "numbers.json"
    numbers = load(path)
    for name in ("jacobian", "loops", "optimisation"):
        yield name, path, numbers
    yield "catalysis", (path := RESULTS / "cu3al-o" / "catalysis.json"), load(path)
    path = HERE / "training" / "water" / "results" / "first_head"
    yield "training-long", path, training.curves_of(path)
    # made by reproduce.py and gpu_runs.py, with runs that are too large for the repository
    for path in sorted((RESULTS / "reproduction").glob("*.json")):
        record = json.loads(path.read_text())
        if "result" in record and not record["small"]:
            yield path.stem, path, record["result"]
