"""Runs that are there, side by side: one table, CSV, JSON and overlaid figures."""

from __future__ import annotations

import logging
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.compare import has_tables
from ncforce_ipi.launch.directory import set_aside

log = logging.getLogger(__name__)
FIGURES = ("compare", "rdf", "vdos")
FILES = (
    "compare.json",
    "compare.csv",
    *(f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")),
)


def run(folder: Path, directories: Sequence[Path], discard_ps: float | None, *, force: bool) -> int:
    """Measure all, write, print the table.

    Raises
    ------
    InputError
        Files of an earlier comparison are there, a directory is named twice, or isn't of a run.
    """
    from ncforce_ipi.observables.entries import DISCARD_PS, read_entry
    from ncforce_ipi.reading.replicas import Given
    from ncforce_ipi.report import comparison as comparison_report
    from ncforce_ipi.report import overlay
    from ncforce_ipi.result import Finding, plain

    if discard_ps is not None and not discard_ps >= 0.0:
        raise InputError(f"--discard-ps {discard_ps:g}; expected 0 or more")
    there = [name for name in FILES if (folder / name).exists()]
    if there and not force:
        raise InputError(
            f"{folder / there[0]} exists; choose another --out, or --force to move the tables "
            "and figures there aside"
        )
    if there and not has_tables(folder):
        raise InputError(
            f"{folder / there[0]} exists, and no comparison of ncforce is in {folder}; "
            "choose another --out"
        )
    names = names_of(directories)
    discard_ps = DISCARD_PS if discard_ps is None else discard_ps
    entries = [
        read_entry(directory, name, discard_ps=discard_ps)
        for directory, name in zip(directories, names, strict=True)
    ]
    shortest_ps = min(float(entry.time_ps[-1]) for entry in entries)
    given = Given(discard_ps=min(discard_ps, 0.5 * shortest_ps))
    found = {
        name: overlay.measure_all(directory, given)
        for directory, name in zip(directories, names, strict=True)
    }
    more: dict[str, dict[str, Any]] = {
        name: {
            verb: plain(one.numbers) if isinstance(one, Finding) else one
            for verb, one in of_run.items()
        }
        for name, of_run in found.items()
    }
    facts = _facts(directories)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise InputError(f"{folder} can't be made: {err.strerror}") from err
    set_aside(folder, [folder / name for name in there])
    written = comparison_report.write_files(entries, facts, folder, named=True, more=more)
    written += overlay.write_overlaid(found, ("rdf", "vdos"), folder, facts)
    sys.stdout.write(comparison_report.table(entries, named=True) + "\n")
    log.info("wrote %s", ", ".join(str(path) for path in written))
    return 0


def names_of(directories: Sequence[Path]) -> list[str]:
    """The last part of each path, or as much of its end as tells it from the others."""
    paths = [directory.resolve() for directory in directories]
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise InputError(f"{twice[0]} is named twice; expected different runs")
    length = [1] * len(paths)
    while True:
        names = ["/".join(path.parts[-n:]) for path, n in zip(paths, length, strict=True)]
        counts = Counter(names)
        if len(counts) == len(names):
            return names
        length = [n + (counts[name] > 1) for name, n in zip(names, length, strict=True)]


def _facts(directories: Sequence[Path]) -> dict[str, str]:
    """Where the numbers come from."""
    from ncforce_ipi.cli import measure
    from ncforce_ipi.reading.metadata import look_around
    from ncforce_ipi.result import Origin

    command = shlex.join(["ncforce", *sys.argv[1:]])
    inputs = [path for directory in directories for path in measure.inputs([directory])]
    models = dict.fromkeys(look_around(directory).model_sha256 for directory in directories)
    return Origin(command, inputs, ", ".join(filter(None, models))).facts()
