"""What the diagnostics' verbs share: the model that is looked at, provenance, files of results."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from ncforce_ipi import __version__
from ncforce_ipi.backend import Backend, Kind
from ncforce_ipi.errors import InputError
from ncforce_ipi.provenance import sha256
from ncforce_ipi.serve.load import FORMS, load_model

log = logging.getLogger(__name__)
HELP = FORMS


def opened(spec: str, kind: Kind | None = None, threads: int = 1) -> Backend:
    """The model or driver that ``spec`` names; see ``ncforce_ipi.serve.load.load_model``."""
    return load_model(spec, kind=kind, threads=threads)


def identity(spec: str, backend: Backend) -> dict[str, str | None]:
    """What stands for a model in results: its name, what was loaded, SHA-256 of its file."""
    digest = sha256(backend.source) if backend.source else None
    return {"name": spec, "description": backend.description, "sha256": digest}


def provenance(models: list[dict[str, str | None]]) -> dict[str, Any]:
    """Version, command and models, for every file of results."""
    from ncforce_ipi.launch.record import command_line

    return {"version": __version__, "command": command_line(), "models": models}


def add_files(parser: argparse.ArgumentParser, of: str) -> None:
    """``--json``, ``--csv``, ``--plot`` and ``--force``; what goes ``of`` into CSV and figure."""
    group = parser.add_argument_group("files")
    group.add_argument("--json", type=Path, metavar="FILE", help="all numbers")
    group.add_argument("--csv", type=Path, metavar="FILE", help=of)
    group.add_argument("--plot", type=Path, metavar="FILE", help="a PNG of it")
    group.add_argument("--force", action="store_true", help="replace files that exist")


def write_files(args: argparse.Namespace, facts: dict[str, Any], report: Any, results: Any) -> None:
    """What was asked for, from ``record``, ``columns`` and ``draw`` of a report module."""
    from ncforce_ipi.diagnostics import files

    written = []
    if args.json:
        written.append(files.write_json(args.json, facts, report.record(results)))
    if args.csv:
        written.append(files.write_csv(args.csv, facts, report.columns(results)))
    if args.plot:
        written.append(report.draw(results, args.plot, files.lines(facts)))
    if written:
        log.info("wrote %s", ", ".join(str(path) for path in written))


def check_outputs(paths: list[Path | None], force: bool) -> None:
    """Refuse to replace files, before anything is computed, and to write into no folder."""
    chosen = [path for path in paths if path is not None]
    if there := [str(path) for path in chosen if path.exists() and not force]:
        raise InputError(f"{' and '.join(there)} exist; choose other names or add --force")
    if lost := [str(path.parent) for path in chosen if not path.parent.is_dir()]:
        raise InputError(f"there is no folder {' nor '.join(lost)}; make it first")
