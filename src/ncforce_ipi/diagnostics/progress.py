"""How a long calculation says how far it is: the caller decides what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], None]
"""Called with the number of things that are done."""
Progress = Callable[[str, int, str], AbstractContextManager[Advance]]
"""Called with a name, how many things there are to do, and what they are called."""


@contextmanager
def silent(name: str, total: int, unit: str) -> Iterator[Advance]:
    """Show nothing."""
    yield lambda done: None
