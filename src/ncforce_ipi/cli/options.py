"""From a signature to arguments of a command line, and from what was parsed to keywords.

What a signature means is ``ncforce_ipi.serve.options``; here it meets argparse.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError
from ncforce_ipi.serve.options import Option

METAVARS = {str: "NAME", int: "N", float: "X", Path: "PATH", dict: "JSON"}


def add_options(parser: argparse._ActionsContainer, options: Iterable[Option]) -> None:
    """One argument for each option.

    A flag can be negated, whatever its default, and a ``Literal`` has choices.
    """
    for option in options:
        more: dict[str, Any] = {"help": _help(option), "dest": option.name}
        if option.required:
            more["required"] = True
        else:
            more["default"] = option.default
        if option.type is bool:
            more["action"] = argparse.BooleanOptionalAction
        elif option.choices:
            more["choices"] = option.choices
        else:
            more |= {"type": _reader(option), "metavar": METAVARS[option.type]}
        parser.add_argument(option.flag, **more)


def keywords(options: Mapping[str, Option], args: argparse.Namespace) -> dict[str, Any]:
    """The options' values among the parsed arguments."""
    return {name: getattr(args, name) for name in options}


def _help(option: Option) -> str:
    text = option.help
    if not (option.required or option.type is bool or option.default in (None, "")):
        text += f" (default: {option.default})"
    return text.strip().replace("%", "%%")


def _reader(option: Option) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return option.read(text)
        except InputError as err:
            raise argparse.ArgumentTypeError(str(err).removeprefix(f"{option.flag}: ")) from err

    return read
