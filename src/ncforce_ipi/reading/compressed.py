"""Files compressed by gzip, bzip2 or xz, unpacked once into a folder that goes with the program."""

from __future__ import annotations

import atexit
import bz2
import gzip
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError

_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


def readable(path: Path) -> Path:
    """The file itself, or its unpacked copy where its first bytes say that it's compressed.

    Raises
    ------
    InputError
        It's damaged or cut, or there is no room for the copy.
    """
    with path.open("rb") as file:
        first = file.read(6)
    if not any(first.startswith(magic) for magic in _OPENERS):
        return path
    status = path.stat()
    return _unpacked(path.absolute(), status.st_mtime_ns, status.st_size)


@cache
def _unpacked(path: Path, changed_ns: int, n_bytes: int) -> Path:
    """A copy of what is in the file now; of what is in it later, another."""
    with path.open("rb") as file:
        first = file.read(6)
    opener = next(opener for magic, opener in _OPENERS.items() if first.startswith(magic))
    folder = Path(tempfile.mkdtemp(dir=_folder()))
    copy = folder / path.with_suffix("").name
    try:
        with opener(path, "rb") as packed, copy.open("wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, OSError) as err:
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(
            f"{path} can't be unpacked into {folder.parent}: {err}; expected a whole file and "
            "room there (TMPDIR): unpack it yourself"
        ) from err
    return copy


@cache
def _folder() -> str:
    folder = tempfile.mkdtemp(prefix="ncforce-unpacked-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
