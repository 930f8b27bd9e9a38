"""Keyword arguments of a function as options: names, types, defaults, help; and their values.

The signature and the NumPy docstring of a family's ``load`` are the only place that says which
options it has: the command line (``cli.options``), words in quotes, parameters of an i-PI input and
Python's keywords are all read through this module.
"""

from __future__ import annotations

import inspect
import itertools
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ncforce_ipi.errors import InputError, ModelError

TYPES = (str, int, float, bool, Path)
OF_TYPES = ("str", "int", "float", "bool", "Path", "Mapping", "Literal", "dict", "list", "tuple",
            "Sequence", "None", "optional", "default", "or", "of", "True", "False")  # fmt: skip
SPOKEN = {str: "a text", int: "an integer", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Option:
    """A keyword argument.

    Attributes
    ----------
    name : of the keyword
    type : str, int, float, bool, Path, or dict for a JSON object
    default : its value unless it is given; ``inspect.Parameter.empty`` if it must be
    choices : all values that it may have; empty: any of the type
    help : from the docstring, in one line
    """

    name: str
    type: type
    default: Any = inspect.Parameter.empty
    choices: tuple[str, ...] = ()
    help: str = ""

    @property
    def flag(self) -> str:
        """Its spelling on a command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is inspect.Parameter.empty

    def read(self, value: object) -> Any:
        """The value of the right type, from a word of a command line or from Python.

        Raises
        ------
        InputError
            One line with what was expected.
        """
        if value is None and self.default is None:
            return None
        if self.choices and value not in self.choices:
            expected = " or ".join(self.choices)
            raise InputError(f"{self.flag}: expected {expected}, got {value!r}")
        if self.type is dict:
            return dict(value) if isinstance(value, Mapping) else parse_object(value, self.flag)
        if self.type is bool:
            return self._read_bool(value)
        try:
            found = self.type(str(value))
            return found.expanduser() if isinstance(found, Path) else found
        except (ValueError, RuntimeError) as err:  # RuntimeError: ~ of no user
            spoken = SPOKEN.get(self.type, self.type.__name__)
            raise InputError(f"{self.flag}: expected {spoken}, got {value!r}") from err

    def _read_bool(self, value: object) -> bool:
        found = {"true": True, "false": False}.get(str(value).lower())
        if found is None:
            raise InputError(f"{self.flag}: expected true or false, got {value!r}")
        return found


def options_of(function: Callable[..., Any]) -> dict[str, Option]:
    """The options of a function or dataclass, by name, in the order of its signature.

    Raises
    ------
    ModelError
        A parameter of a type that no word of a command line can stand for.
    """
    where = f"{function.__module__}.{function.__qualname__}"
    try:
        hints = typing.get_type_hints(function)
    except NameError as err:
        raise ModelError(f"{where}: its annotations can't be read: {err}") from err
    words = descriptions(inspect.getdoc(function) or "")
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        plain = type(parameter.default) if type(parameter.default) in TYPES else str
        kind, choices = _type(hints.get(name, plain), f"{where}: {name}")
        found[name] = Option(name, kind, parameter.default, choices, words.get(name, ""))
    return found


def _type(hint: Any, where: str) -> tuple[type, tuple[str, ...]]:
    """Type and choices of an annotation; ``None`` beside it is taken off."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [each for each in typing.get_args(hint) if each is not type(None)]
        hint = rest[0] if len(rest) == 1 else hint
    origin = typing.get_origin(hint) or hint
    if origin is Literal and all(isinstance(each, str) for each in typing.get_args(hint)):
        return str, typing.get_args(hint)
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return dict, ()
    if origin in TYPES:
        return origin, ()
    raise ModelError(
        f"{where}: expected str, int, float, bool, Path, Mapping or a Literal of texts, each with "
        f"or without None, got {hint}"
    )


def descriptions(doc: str) -> dict[str, str]:
    """One line for each name in the Parameters or Attributes of a NumPy docstring.

    ``name : text``, which may go on in indented lines, or ``name : type`` with the text in those.
    """
    found: dict[str, list[str]] = {}
    names: list[str] = []
    inside = False
    for line, following in itertools.pairwise([*doc.splitlines(), ""]):
        if set(following.strip()) == {"-"}:  # the underline of a section
            inside = line.strip() in ("Parameters", "Attributes")
        elif inside and (entry := re.match(r"(\w+(?:, \w+)*)(?: : (.*))?$", line)):
            names = entry[1].split(", ")
            found |= {name: [entry[2] or ""] for name in names}
        elif inside and line.startswith(" ") and line.strip():
            for name in names:
                found[name].append(line.strip())
    return {name: " ".join(_without_type(text)) for name, text in found.items()}


def _without_type(text: list[str]) -> list[str]:
    """Lines of an entry without the first if that is a type and more follow."""
    words = re.findall(r"\w+", re.sub(r"[{(\[].*[})\]]", "", text[0]))
    return text[1:] if len(text) > 1 and all(word in OF_TYPES for word in words) else text


def parse_words(options: Mapping[str, Option], words: Sequence[str], what: str) -> dict[str, Any]:
    """Values of the options in words of a command line: ``--name value``, ``--name=value``.

    Flags are ``--name`` and ``--no-name``.

    Parameters
    ----------
    options : what there is, by name
    words : without the program
    what : they belong to, for the message

    Raises
    ------
    InputError
        An option that isn't there, or a value that can't be read.
    """
    flags = {option.flag: option for option in options.values()}
    found: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word, equals, value = rest.pop(0).partition("=")
        option = flags.get(word) or flags.get(word.replace("--no-", "--", 1))
        if option is None or (option.flag != word and option.type is not bool):
            raise InputError(f"{what} has no option {word}; it has {', '.join(flags)}")
        if option.type is bool and not equals:
            found[option.name] = option.flag == word
            continue
        if not (equals or rest):
            raise InputError(f"{what}: {word} expects a value")
        found[option.name] = option.read(value if equals else rest.pop(0))
    return found


def read_all(
    options: Mapping[str, Option], values: Mapping[str, object], what: str
) -> dict[str, Any]:
    """Values by name, each read as its option says.

    Raises
    ------
    InputError
        A name that isn't one of the options, or a value that can't be read.
    """
    if unknown := [name for name in values if name not in options]:
        raise InputError(f"{what} has no option {unknown[0]}; it has {', '.join(options)}")
    return {name: options[name].read(value) for name, value in values.items()}


def without(options: Mapping[str, Option], names: Iterable[str]) -> dict[str, Option]:
    """The options but for those of these names."""
    left_out = set(names)
    return {name: option for name, option in options.items() if name not in left_out}


def parse_object(text: object, what: str) -> dict[str, Any]:
    """The JSON object in ``text``; ``what`` it is, for the message.

    Raises
    ------
    InputError
        It is not JSON, or no object.
    """
    try:
        value = json.loads(str(text))
    except json.JSONDecodeError as err:
        raise InputError(f"{what} is not JSON: {err}; got {str(text)[:80]!r}") from err
    if not isinstance(value, dict):
        raise InputError(f'{what}: expected an object, {{"name": value}}, got {str(text)[:80]!r}')
    return value
