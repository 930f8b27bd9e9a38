"""What the diagnostics' verbs share: the model that is looked at, provenance, files of results."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ncforce_ipi.backend import Backend, Kind
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError
from ncforce_ipi.provenance import Provenance, sha256
from ncforce_ipi.result import write_csv, write_json
from ncforce_ipi.serve.load import FORMS, load_model

log = logging.getLogger(__name__)
HELP = FORMS


def opened(spec: str, kind: Kind | None = None, threads: int = 1) -> Backend:
    """The model or driver that ``spec`` names; see ``ncforce_ipi.serve.load.load_model``."""
    return load_model(spec, kind=kind, threads=threads)


def say_unused(model: str | None, slow: str | None, fast: str | None) -> None:
    """Say that no force is that of ``--model``, where each has a model of its own."""
    if model and slow and fast and model not in (slow, fast):
        log.warning("--model %s isn't used: --slow and --fast name a model for each force", model)


def identity(spec: str, backend: Backend) -> dict[str, str | None]:
    """What stands for a model in results: its name, what was loaded, SHA-256 of its file."""
    digest = sha256(backend.source) if backend.source else None
    return {"name": spec, "description": backend.description, "sha256": digest}


def provenance(models: Iterable[dict[str, str | None]]) -> Provenance:
    """Version, command and models, for every file of results."""
    return Provenance.of([], models=models)


def add_files(parser: argparse.ArgumentParser, of: str) -> None:
    """``--json``, ``--csv``, ``--plot`` and ``--force``; what goes ``of`` into CSV and figure."""
    group = parser.add_argument_group("files")
    group.add_argument("--json", type=path, metavar="FILE", help="all numbers")
    group.add_argument("--csv", type=path, metavar="FILE", help=of)
    group.add_argument("--plot", type=path, metavar="FILE", help="a PNG of it")
    group.add_argument("--force", action="store_true", help="replace files that exist")


def write_files(
    args: argparse.Namespace, provenance: Provenance, report: Any, results: Any
) -> None:
    """What was asked for, from ``record``, ``columns`` and ``draw`` of a report module."""
    written = []
    if args.json:
        numbers = {"results": report.record(results)}
        written.append(write_json(args.json, numbers, provenance))
    if args.csv:
        written.append(write_csv(args.csv, report.columns(results), provenance))
    if args.plot:
        written.append(report.draw(results, args.plot, provenance.lines()))
    if written:
        log.info("wrote %s", ", ".join(str(path) for path in written))


def check_outputs(paths: list[Path | None], force: bool) -> None:
    """Refuse to replace files, before anything is computed, and to write into no folder."""
    chosen = [path for path in paths if path is not None]
    if there := [str(path) for path in chosen if path.exists() and not force]:
        raise InputError(f"{' and '.join(there)} exist; choose other names or add --force")
    if lost := [str(path.parent) for path in chosen if not path.parent.is_dir()]:
        raise InputError(f"there is no folder {' nor '.join(lost)}; make it first")
