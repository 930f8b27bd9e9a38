"""Messages of jobs that are made one after the other and are alike: each is said once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def each_said_once() -> Iterator[None]:
    """Drop log messages that were there before, within the block."""
    handlers = list(logging.getLogger().handlers)
    filters = [_New() for _ in handlers]
    for handler, one in zip(handlers, filters, strict=True):
        handler.addFilter(one)
    try:
        yield
    finally:
        for handler, one in zip(handlers, filters, strict=True):
            handler.removeFilter(one)


class _New(logging.Filter):
    """Lets a message through the first time."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Fulfil ``logging.Filter``."""
        words = record.getMessage()
        new = words not in self._said
        self._said.add(words)
        return new
