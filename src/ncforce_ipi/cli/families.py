"""Families of models on the command line: ``--list``, and the parser of each.

The list says where families come from, and what installs those that aren't here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
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


class FamilyParser(argparse.ArgumentParser):
    """Gets its arguments only when it parses: a family that nobody calls isn't imported.

    Parameters
    ----------
    family : the family
    fill : adds its arguments to a parser
    more : argparse's own
    """

    def __init__(
        self,
        *,
        family: families.Family,
        fill: Callable[[argparse.ArgumentParser, families.Family], None],
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._family, self._fill, self._filled = family, fill, False

    def filled(self) -> FamilyParser:
        """With its arguments.

        Raises
        ------
        ModelError
            The family can't be used.
        """
        if not self._filled:
            self._fill(self, self._family)
            self._filled = True
        return self

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; a family that can't be used is one line."""
        try:
            self.filled()
        except (ModelError, argparse.ArgumentError) as err:
            self.exit(1, f"{self.prog}: {err}\n")
        return super().parse_known_args(args, namespace)
