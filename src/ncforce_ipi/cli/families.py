"""``ncforce driver --list``: families of models, where they come from, what installs the rest."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from ncforce_ipi.errors import ModelError
from ncforce_ipi.serve import families


def table() -> str:
    """Lines for a terminal; a family that can't be imported has the reason in its line."""
    lines = [f"{'family':12} {'installed':24} {'from':20} forces"]
    for family in families.known().values():
        lines += _lines(family)
    lines += [
        f"{family.name:12} of {family.origin} is ignored: the name is taken"
        for family in families.ignored()
    ]
    return "\n".join(lines) + "\n"


def _lines(family: families.Family) -> Iterator[str]:
    here = families.installed(family.name) if family.own else family.origin
    try:
        forces = family.forces()
    except ModelError as err:
        here, forces = "broken", str(err)
    yield f"{family.name:12} {here or 'no':24} {family.origin:20} {forces}"
    if here is None:
        command = f"{sys.executable} -m pip install -r {families.requirements(family.name)}"
        yield f"{'':12} {command}"


class ListFamilies(argparse.Action):
    """``--list``: print the table and leave, as ``--version`` does."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print to stdout; exit code 0."""
        sys.stdout.write(table())
        parser.exit()
