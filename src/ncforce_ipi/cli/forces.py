"""Which forces a diagnostic looks at: models and drivers by one word, or some in quotes.

::

    water                                    a shipped model, or the file of a metatomic model
    sevennet:7net-0                          FAMILY:MODEL
    'orb --model orb-v2 --device cpu'        FAMILY and options of its driver
    '/other/env/bin/ncforce driver mace --model m.model'   a driver that is started, at a socket
    unix:NAME   tcp:PORT                     a driver that comes to /tmp/ipi_NAME or localhost:PORT
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ncforce_ipi import __version__
from ncforce_ipi.backend import Backend, Kind
from ncforce_ipi.cli import families
from ncforce_ipi.errors import InputError
from ncforce_ipi.provenance import sha256

log = logging.getLogger(__name__)
HELP = (
    "a shipped model (water), a metatomic file, FAMILY:MODEL, 'FAMILY --model MODEL OPTIONS', "
    "'[PATH/]ncforce driver FAMILY --model ...', or a driver that comes by itself: unix:NAME, "
    "tcp:PORT"
)


class _Parser(argparse.ArgumentParser):
    """Ends with one line, as all mistakes here do."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(f"{self.prog}: {message}")


@contextlib.contextmanager
def opened(spec: str, kind: Kind | None = None, threads: int = 1) -> Iterator[Backend]:
    """The model or driver that ``spec`` names, closed at the end.

    Parameters
    ----------
    kind : of the forces of a driver at a socket, which doesn't say; None: conservative

    Raises
    ------
    InputError, ModelError
        It makes no sense, or can't be loaded.
    """
    backend = open_backend(spec, kind, threads)
    try:
        yield backend
    finally:
        close = getattr(backend, "close", None)
        if close:
            close()


def open_backend(spec: str, kind: Kind | None = None, threads: int = 1) -> Backend:
    """As ``opened``, for callers that close it themselves."""
    words = shlex.split(spec)
    if not words:
        raise InputError(f"expected {HELP}; got nothing")
    if words[1:2] == ["driver"]:
        return _started(words, kind or "conservative")
    head, colon, rest = words[0].partition(":")
    if head in ("unix", "tcp") and colon:
        return _awaited(spec, head, rest, kind or "conservative")
    if colon and head in families.FAMILIES:
        words = [head, "--model", rest, *words[1:]]
    elif len(words) == 1:
        words = ["metatomic", "--model", spec]
    if words[0] not in families.FAMILIES:
        raise InputError(f"{spec!r}: expected {HELP}; families: {', '.join(families.FAMILIES)}")
    module = families.module(words[0])
    backend: Backend = module.load(_options(module, words, threads))
    return backend


def _options(module: Any, words: list[str], threads: int) -> argparse.Namespace:
    """What ``load`` of a family reads, with the driver's own defaults."""
    parser = _Parser(prog=words[0], add_help=False)
    parser.add_argument("--model", required=True)
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--trust", action="store_true")
    parser.set_defaults(direct_energy=False, direct_virial=False)
    module.add_arguments(parser)
    return parser.parse_args(words[1:])


def _started(words: list[str], kind: Kind) -> Backend:
    from ncforce_ipi.serve.remote import RemoteBackend

    program = shutil.which(words[0])
    if not program:
        raise InputError(f"{words[0]} is no program; expected ncforce or the path of one")
    role = ["--role", "slow", "--slow-kind", kind]

    def command(structure: Path) -> list[str]:
        return [program, *words[1:], *role, "--structure", str(structure)]

    return RemoteBackend(kind, {}, command, shlex.join(words[2:]))


def _awaited(spec: str, transport: str, rest: str, kind: Kind) -> Backend:
    from ncforce_ipi.serve.remote import RemoteBackend

    if transport == "unix" and rest and "/" not in rest:
        return RemoteBackend(kind, {"unixsocket": rest}, None, spec)
    if transport == "tcp" and rest.isdigit() and 0 < int(rest) < 65536:
        return RemoteBackend(kind, {"port": int(rest)}, None, spec)
    raise InputError(f"{spec!r}: expected unix:NAME (of /tmp/ipi_NAME) or tcp:PORT")


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
