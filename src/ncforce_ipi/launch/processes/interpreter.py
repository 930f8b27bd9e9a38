"""The Python of child processes, which imports nothing from where it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_ELSEWHERE = (
    "import sys; sys.path.pop(0); from runpy import run_module; "
    "run_module({name!r}, run_name='__main__', alter_sys=True)"
)


def python_module(name: str) -> tuple[str, ...]:
    """The words that run a module.

    A file ``select.py`` in the directory of a run isn't imported: Python would put that directory
    first on its path.
    """
    if sys.version_info >= (3, 11):
        return (sys.executable, "-P", "-m", name)
    return (sys.executable, "-c", _ELSEWHERE.format(name=name))


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The variables of a child: ours, its own, and what makes Python the same everywhere.

    Names of files are UTF-8 in any locale.  ``-O`` isn't handed on: ASE reads extxyz wrongly with
    it.  Relative paths of modules stay those of where we are.
    """
    inherited = {key: text for key, text in os.environ.items() if key != "PYTHONOPTIMIZE"}
    if path := inherited.get("PYTHONPATH"):
        places = (Path(place).absolute() for place in path.split(os.pathsep))
        inherited["PYTHONPATH"] = os.pathsep.join(map(str, places))
    return {**inherited, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **own}
