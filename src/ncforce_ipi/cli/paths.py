"""Paths among the words of a command line."""

from __future__ import annotations

from pathlib import Path


def path(text: str) -> Path:
    """A path; ``~`` is the home directory, which a shell leaves as it is in ``--out=~/run``."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~x, and no user is called x
        return Path(text)
