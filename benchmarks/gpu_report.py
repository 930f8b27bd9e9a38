"""Results of ``gpu.py``: reading what a part wrote, and all of them as one page of Markdown."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bounded import table

Numbers = dict[str, Any]
RUN_COLUMNS = {
    "T, K": "temperature_all_K",
    "error": "temperature_all_standard_error_K",
    "T(H), K": "temperature_H_K",
    "error ": "temperature_H_standard_error_K",
    "T(O), K": "temperature_O_K",
    "error  ": "temperature_O_standard_error_K",
}
DRIFT_COLUMNS = {  # of the conserved quantity, which holds the thermostat's heat
    "drift, meV/atom/ps": "mean_drift_conserved_meV_per_atom_per_ps",
    "95 %": "mean_drift_conserved_meV_per_atom_per_ps_ci95",
}


def read(path: Path) -> Numbers:
    """A result as JSON; of pytest's XML, the numbers of tests and the names of those that failed.

    Raises
    ------
    OSError, ValueError, SyntaxError
        There is none, or half of one.
    """
    if path.suffix != ".xml":
        return dict(json.loads(path.read_text()))
    cases: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None
        state = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
        cases[state].append(str(case.get("name")))
    return dict(cases)


def finished(runs: Numbers) -> bool:
    """Whether all runs have reached their time."""
    return all(run["state"] == "finished" for run in runs["runs"].values())


def of_rows(rows: Sequence[Numbers]) -> list[str]:
    """A table of records with the same keys."""
    if not rows:
        return ["nothing was measured"]
    return table(list(rows[0]), [list(row.values()) for row in rows])


def captured(result: Numbers) -> list[str]:
    """Milliseconds of calls by captured graphs and through metatomic."""
    return ["Milliseconds of a call; `replay` is the graph alone.", "", *of_rows(result["rows"])]


def device_calls(result: Numbers) -> list[str]:
    """Milliseconds of a call for each size."""
    rows = [rows for rows in result.values() if isinstance(rows, list)]
    return ["Milliseconds of a call:", "", *of_rows(rows[0] if rows else [])]


def tests(result: Numbers) -> list[str]:
    """How many passed, and which didn't."""
    counts = ", ".join(f"{len(names)} {state}" for state, names in result.items())
    return [f"{counts}.", *[f"- failed: `{name}`" for name in result["failed"]]]


def overhead(result: Numbers) -> list[str]:
    """The table of mts_overhead.py."""
    lines = ["Milliseconds of an inner step; layouts as in `benchmarks/mts_overhead.py`.", ""]
    for title, found in result.items():
        if isinstance(found, dict) and "rows" in found:
            rows = [
                [row["what"], row["ms"], row["over_fast"], row.get("over_limit")]
                for row in found["rows"]
            ]
            lines += [title, "", *table(["what", "ms", "/ fast", "/ limit"], rows), ""]
    return lines


def batches(result: Numbers) -> list[str]:
    """Milliseconds of a structure in batches."""
    lines = ["Milliseconds of a call for each structure in it.", ""]
    lines += (
        [f"Not captured: {result['why_not_captured']}.", ""] if result["why_not_captured"] else []
    )
    return lines + of_rows(result["rows"])


def replicas(result: Numbers) -> list[str]:
    """Milliseconds of a replica's inner step with one driver for all."""
    how = f"`--{result['how']}`" if result.get("how") else "calls through metatomic"
    return [f"Milliseconds of an inner step; forces by {how}.", "", *of_rows(result["rows"])]


def runs(result: Numbers) -> list[str]:
    """Temperatures of species and drift of each run, of all its replicas together."""
    rows = []
    for name, run in result["runs"].items():
        temperature, drift = run.get("temperature", {}), run.get("drift", {})
        row = [name, run["state"], run["replicas"], run["ps"]]
        row += [temperature.get(key) for key in RUN_COLUMNS.values()]
        row += [drift.get(key) for key in DRIFT_COLUMNS.values()]
        rows.append([*row, run.get("unavailable")])
    how = "compiled code in captured graphs" if result.get("compile") else "calls through metatomic"
    columns = ["run", "state", "replicas", "ps of each", *RUN_COLUMNS, *DRIFT_COLUMNS, "note"]
    return [f"Forces by {how}.", "", *table(columns, rows)]


SECTIONS: dict[str, Callable[[Numbers], list[str]]] = {
    "captured": captured,
    "device_calls": device_calls,
    "tests": tests,
    "overhead": overhead,
    "overhead_captured": overhead,
    "batches": batches,
    "replicas": replicas,
    "runs": runs,
}


def summary(records: dict[str, Numbers]) -> str:
    """The page; each part says its device, for parts may come from different machines."""
    lines = ["# GPU results", ""]
    for name, record in records.items():
        where = [record["device"], f"torch {record['torch']}", record["processor"]]
        where += [f"driver {record['driver']}"] if "driver" in record else []
        lines += [
            f"## {name}",
            "",
            f"{', '.join(where)}; {record['state']} in {record['seconds']} s.",
        ]
        lines += [f"**{record['why']}**"] if record["why"] else []
        lines += ["Smallest numbers, as a test."] if record["small"] else []
        lines += [""]
        if "result" in record:
            lines += [*SECTIONS[name](record["result"]), ""]
    return "\n".join(lines)
