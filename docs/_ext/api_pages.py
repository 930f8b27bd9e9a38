"""The API reference, filled from what a module says is public.

The comment ``<!-- members of MODULE -->`` in a page is replaced by the documentation of each name
in ``MODULE.__all__``, in that order, or of what the module defines itself where it has none.  Names
that a module imports lazily are found too.  A module that isn't there is left out.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx


MARK = re.compile(r"<!-- members of (\S+) -->")


def names(module: ModuleType) -> list[str]:
    """What is public: ``__all__``, else constants and what is defined in the module."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not name.startswith("__")]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (name.isupper() or getattr(value, "__module__", None) == module.__name__)
    ]


def _directive(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        return f".. {kind}:: {module.__name__}.{name}\n   :members:\n"
    if callable(value):
        return f".. autofunction:: {module.__name__}.{name}\n"
    return f".. py:data:: {module.__name__}.{name}\n   :value: {value!r}\n   :no-contents-entry:\n"


def members(name: str) -> str:
    """A section in Markdown for the module ``name``; nothing if it isn't there."""
    if importlib.util.find_spec(name) is None:
        return ""
    module = importlib.import_module(name)
    blocks = "\n".join(_directive(module, member) for member in names(module))
    return f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :no-members:\n\n{blocks}```"


def _read(app: Sphinx, page: str, content: list[str]) -> None:
    content[0] = MARK.sub(lambda found: members(found[1]), content[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
