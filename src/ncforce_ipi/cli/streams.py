"""The standard streams of a program, made so that none of them can end it.

Messages and progress that nobody reads any more (``2>&1 | head``, a closed terminal, a full disk)
are dropped, and what was begun goes on.  Results on stdout that can't be written are an error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

N_STREAMS = 3  # descriptors of stdin, stdout and stderr


class Messages:
    """stderr that takes everything; what can't be written is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):  # ValueError: the stream was closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Send what can be sent."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal that is still there."""
        with suppress(OSError, ValueError):
            return self._stream.isatty()
        return False

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's own."""
        return getattr(self._stream, name)


@contextmanager
def standing() -> Iterator[None]:
    """Streams that hold while a verb runs; at its end nothing is left for the interpreter to fail.

    A stream that was closed (``2>&-``) becomes the null device: a file that a run opens would get
    its number otherwise, and with it what libraries print.  Characters that the encoding of the
    terminal lacks are written with a backslash.
    """
    _fill_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, messages = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, messages):
        with suppress(AttributeError, ValueError):  # a test's own stream
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stderr = cast("TextIO", Messages(messages))
    try:
        yield
    finally:
        _drop_the_rest(sys.stdout)
        _drop_the_rest(messages)
        sys.stdout, sys.stderr = before


def _fill_descriptors() -> None:
    """Open the null device for each standard descriptor that is closed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < N_STREAMS:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _drop_the_rest(stream: TextIO) -> None:
    """Flush; where that fails, point the descriptor at the null device, and flush there."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
            stream.flush()
