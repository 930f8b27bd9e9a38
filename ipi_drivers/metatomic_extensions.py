"""Libraries that a metatomic file asks to be loaded: from the user's directory, or not at all.

A file names TorchScript extensions in two records of its archive, each with a path.  metatomic
loads what is there, absolute paths included, and a library runs any code when it is loaded.  So the
records are read here first, and what they name must lie in the directory that the user has given.
"""

from __future__ import annotations

import json
import logging
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.provenance import sha256

log = logging.getLogger(__name__)
RECORDS = ("extra/extensions", "extra/extensions-deps")
NAME = re.compile(r"[A-Za-z0-9_.+-]+")
HOW = (
    "the one into which the model was exported (`mtt export -e DIR`), or the site-packages with it"
)


def check(path: Path, directory: Path | None) -> list[str]:
    """Let a file through that names no library, or only such as lie in the directory; their names.

    Raises
    ------
    InputError
        It needs libraries and no directory is given, or they aren't there.
    ModelError
        What it says of its libraries can't be read.
    """
    named = list(_named(path))
    if not named:
        return []
    names = ", ".join(name for name, _ in named)
    if directory is None:
        raise InputError(
            f"{path} asks for the libraries {names} (TorchScript extensions), which can run any "
            f"code; if you know where it comes from, give --extensions DIR: {HOW}"
        )
    root = directory.resolve()
    for name, where in named:
        library = (root / where).resolve()
        if not (NAME.fullmatch(name) and library.is_relative_to(root) and library.is_file()):
            raise InputError(
                f"{path} asks for the library {name} at {where}, which isn't in {directory}; "
                f"expected in --extensions: {HOW}"
            )
        log.info("library %s for %s, SHA-256 %.12s", library, path.name, sha256(library))
    return [name for name, _ in named]


def _named(path: Path) -> Iterator[tuple[str, str]]:
    """Name and path of every library; none for what is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            texts = [archive.read(member) for member in archive.infolist() if _is_record(member)]
        found = [entry for text in texts for entry in json.loads(text)]
        yield from [(str(entry["name"]), str(entry["path"])) for entry in found]
    except (OSError, zipfile.BadZipFile):
        return
    except (ValueError, LookupError, TypeError, RuntimeError, NotImplementedError) as err:
        raise ModelError(f"{path}: the libraries that it asks for can't be read: {err}") from err


def _is_record(member: zipfile.ZipInfo) -> bool:
    """Whether metatomic may take it for one, whatever the archive calls its top folder."""
    return member.filename.partition("/")[2] in RECORDS
