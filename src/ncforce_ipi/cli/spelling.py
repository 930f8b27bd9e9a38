"""From parsed arguments back to the words of a command line."""

from __future__ import annotations

import argparse
from collections.abc import Collection


def words_of(
    parser: argparse.ArgumentParser, args: argparse.Namespace, without: Collection[str] = ()
) -> list[str]:
    """The words with which this parser gives the same arguments, but for those that are left out.

    Parameters
    ----------
    args : may have more than the parser knows
    without : names of arguments
    """
    words: list[str] = []
    done = {*without, "help"}
    for action in sorted(parser._actions, key=lambda action: bool(action.option_strings)):
        value = getattr(args, action.dest, None)
        if action.dest in done or value in (None, action.default):
            continue
        done.add(action.dest)
        words += _spelled(action, value)
    return words


def _spelled(action: argparse.Action, value: object) -> list[str]:
    if isinstance(value, dict):  # H=4,O=10
        value = ",".join(f"{key}={one}" for key, one in value.items())
    values = [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]
    if not action.option_strings:
        return values
    name = action.option_strings[0]
    if value is False:  # of an option that can be negated
        return [action.option_strings[-1]]
    if value is True or action.nargs == 0:
        return [name]
    if isinstance(action, argparse._AppendAction):
        return [word for one in values for word in (name, one)]
    if action.nargs is None:  # its type has read a list
        values = [",".join(values)]
    if len(values) == 1 and values[0].startswith("-"):
        return [f"{name}={values[0]}"]
    return [name, *values]
