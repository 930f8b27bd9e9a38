"""Which families of models there are: names, what is installed, and what installs the rest.

A family is a file of ``ipi_drivers`` with ``FORCES`` (one line on its kinds of force),
``add_arguments(parser)`` and ``load(args)``, and a file of ``ipi_drivers/requirements`` whose first
requirement is its library.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

FAMILIES = ("metatomic", "sevennet", "orb", "mace", "equiformer", "fairchem", "ase", "analytic")


def module(family: str) -> ModuleType:
    """The driver file of a family; model libraries aren't imported."""
    return importlib.import_module(f"ncforce_ipi.drivers.{family}")


def requirements(family: str) -> Path:
    """The requirements file of a family."""
    return (
        Path(str(importlib.import_module("ncforce_ipi.drivers").__file__)).with_name("requirements")
        / f"{family}.txt"
    )


def library(family: str) -> str | None:
    """The distribution that a family needs first of all; None if numpy is enough."""
    first = _first_requirement(family)
    return re.split(r"[<>=!~;\[ ]", first)[0] if first else None


def installed(family: str) -> str | None:
    """Name and version of a family's library here; None if it isn't here.

    Another major version isn't it: fairchem-core 1 and 2 belong to two families.
    """
    name = library(family)
    if name is None:
        return "needs numpy only"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
    wanted = re.search(r"==(\d+)", _first_requirement(family))
    if wanted and wanted[1] != version.split(".")[0]:
        return None
    return f"{name} {version}"


def _first_requirement(family: str) -> str:
    lines = requirements(family).read_text(encoding="utf-8").splitlines()
    words = [line.split("#")[0].strip() for line in lines]
    return next((word for word in words if word and not word.startswith("-")), "")


def table(families: tuple[str, ...] = FAMILIES) -> str:
    """Lines for a terminal: family, what is installed, forces, and the command for the rest."""
    lines = [f"{'family':12} {'installed':24} forces"]
    for family in families:
        here = installed(family)
        lines.append(f"{family:12} {here or 'no':24} {module(family).FORCES}")
        if here is None:
            lines.append(f"{'':12} {sys.executable} -m pip install -r {requirements(family)}")
    return "\n".join(lines) + "\n"


class ListFamilies(argparse.Action):
    """``--list``: print the table and leave, as ``--version`` does."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print to stdout; exit code 0."""
        sys.stdout.write(table())
        parser.exit()
