"""All observables of a run as files and as text: what ``ncforce analyze`` writes and prints."""

from __future__ import annotations

from pathlib import Path

from ncforce_ipi import plots
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.analyse import HEADINGS, Analysis
from ncforce_ipi.observables.headline import headline
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.result import Unavailable, table, write_csv, write_json

SUMMARY = "summary.json"
REPEATED = ("run", "errors")  # labels that every observable has


def text(analysis: Analysis) -> str:
    """The headline, then each observable under its heading."""
    parts = [table(headline(analysis))]
    for name, heading in HEADINGS.items():
        found = analysis.results[name]
        if isinstance(found, Unavailable):
            lines = [("none", found.reason)]
        else:
            lines = [line for line in found.lines() if line[0] not in REPEATED]
        parts.append(f"{heading}\n" + "".join(f"  {line}\n" for line in table(lines).splitlines()))
    parts.append("Errors: 95 % intervals of drifts and power, one standard error of all else.\n")
    return "\n".join(parts)


def write(analysis: Analysis, folder: Path, provenance: Provenance) -> list[Path]:
    """summary.json, and a CSV file and a figure (PNG, PDF) of each observable; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [write_json(folder / SUMMARY, analysis.to_dict(), provenance)]
    with plots.style():
        for name, found in analysis.available.items():
            written.append(write_csv(folder / f"{name}.csv", found.columns(), provenance))
            try:
                drawn = found.figure()
            except InputError:  # a diffusion coefficient without displacements
                continue
            written += plots.save_both(drawn, folder / name, provenance.lines())
    return written
