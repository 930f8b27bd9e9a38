"""Warnings about a file, each said once: a verb may open a file several times."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

log = logging.getLogger(__name__)


def warn(path: Path, words: str) -> None:
    """Warn of something in a file, unless it has been said since the file was changed."""
    _say(path, words, path.stat().st_mtime_ns)


@lru_cache(maxsize=4096)
def _say(path: Path, words: str, changed_ns: int) -> None:
    log.warning("%s: %s", path, words)
