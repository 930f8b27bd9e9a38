"""Files that are whole and on the disk: every file that we write ourselves goes through here.

It is written beside its place, made durable, moved there, and then its name is made durable.  A
reader, a crash or a loss of power meets the old file or the new one, never a part, and what was
said to be written is there afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to be written in the block, which then takes its place.

    If the block fails, ``path`` is as it was.  A link stays one; a device or pipe is written as it
    is.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    place = path.resolve() if path.is_symlink() else path
    partial = place.with_name(place.name + SUFFIX)
    try:
        yield partial
        sync(partial)
        partial.replace(place)
    except BaseException as err:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(err, OSError) and str(err.filename or partial) == str(partial):
            raise OSError(err.errno, err.strerror, str(path)) from err  # the user's own name
        raise
    sync(place.parent)


def write_text(path: Path, text: str) -> None:
    """A text file, UTF-8."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def staged(path: Path, text: str) -> Path:
    """Write the text beside ``path``, safe on the disk, to take its place later; where."""
    partial = path.with_name(path.name + SUFFIX)
    try:
        partial.write_text(text, encoding="utf-8")
        sync(partial)
    except OSError as err:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OSError(err.errno, err.strerror, str(path)) from err
    return partial


def sync(path: Path) -> None:
    """Make a file, or the names in a directory, durable; in a directory where that can be."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # file systems of networks may know no such thing
            raise
    finally:
        os.close(descriptor)
