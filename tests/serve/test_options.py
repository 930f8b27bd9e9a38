"""Signatures and docstrings as options; words and values read by them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Optional

import pytest

from ncforce_ipi.cli.options import add_options, keywords
from ncforce_ipi.errors import InputError
from ncforce_ipi.serve.options import descriptions, options_of, parse_words, read_all


def example(
    model: str,
    *,
    dtype: Literal["float32", "float64"] | None = None,
    count: int = 3,
    length_A: Optional[float] = None,  # noqa: UP045  both spellings
    file: Path | None = None,
    arguments: Mapping[str, Any] | None = None,
    virial: bool = True,
    loud: bool = False,
) -> None:
    """Do nothing.

    Parameters
    ----------
    model : what it is; it can be
        anything
    dtype : of weights
    count, length_A : numbers: two
    file : Path, optional
        A file, or
        none.

    Raises
    ------
    virial : no parameter
    """


@dataclass(frozen=True)
class Settings:
    """Some.

    Attributes
    ----------
    steps : how many
    """

    steps: int = 2


OPTIONS = options_of(example)
EVERYTHING = {
    "model": "m",
    "dtype": "float64",
    "count": 5,
    "length_A": 0.5,
    "file": Path("x"),
    "arguments": {"a": [1]},
    "virial": False,
    "loud": True,
}
WORDS = ["--model", "m", "--dtype", "float64", "--count=5", "--length-A", "0.5", "--file", "x",
         "--arguments", '{"a": [1]}', "--no-virial", "--loud"]  # fmt: skip


def test_what_a_signature_says():
    assert {name: option.type for name, option in OPTIONS.items()} == {
        "model": str, "dtype": str, "count": int, "length_A": float, "file": Path,
        "arguments": dict, "virial": bool, "loud": bool,
    }  # fmt: skip
    assert OPTIONS["dtype"].choices == ("float32", "float64")
    assert OPTIONS["model"].required
    assert OPTIONS["count"].default == 3
    assert OPTIONS["length_A"].flag == "--length-A"


def test_what_a_docstring_says():
    found = descriptions(example.__doc__.replace("\n    ", "\n"))
    assert found == {name: OPTIONS[name].help for name in found}
    assert OPTIONS["model"].help == "what it is; it can be anything"
    assert OPTIONS["dtype"].help == "of weights"
    assert OPTIONS["count"].help == OPTIONS["length_A"].help == "numbers: two"
    assert OPTIONS["file"].help == "A file, or none."
    assert OPTIONS["virial"].help == ""
    assert options_of(Settings)["steps"].help == "how many"


def test_words_in_quotes_and_a_command_line_are_read_alike():
    assert parse_words(OPTIONS, WORDS, "it") == EVERYTHING
    parser = argparse.ArgumentParser()
    add_options(parser, OPTIONS.values())
    assert keywords(OPTIONS, parser.parse_args(WORDS)) == EVERYTHING


def test_values_of_python_and_of_an_input_are_read_alike():
    assert read_all(OPTIONS, EVERYTHING, "it") == EVERYTHING
    texts = {"count": "5", "length_A": "0.5", "virial": "False", "loud": "true", "file": "x"}
    assert read_all(OPTIONS, texts, "it") == {name: EVERYTHING[name] for name in texts}
    assert read_all(OPTIONS, {"length_A": None}, "it") == {"length_A": None}


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--what", "x"], "it has no option --what; it has --model, --dtype"),
        (["x"], "it has no option x"),
        (["--no-count", "3"], "it has no option --no-count"),
        (["--count"], "it: --count expects a value"),
        (["--count", "2.5"], "--count: expected an integer, got '2.5'"),
        (["--dtype", "float16"], "--dtype: expected float32 or float64, got 'float16'"),
        (["--arguments", "{"], "--arguments is not JSON"),
        (["--arguments", "[1]"], "--arguments: expected an object"),
        (["--loud=maybe"], "--loud: expected true or false, got 'maybe'"),
    ],
)
def test_words_that_cannot_be_read(words, match):
    with pytest.raises(InputError, match=match) as caught:
        parse_words(OPTIONS, words, "it")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [["--count", "x"], ["--arguments", "{"], ["--dtype", "half"]])
def test_the_command_line_ends_with_usage(words, capsys):
    parser = argparse.ArgumentParser()
    add_options(parser, OPTIONS.values())
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--model", "m", *words])
    assert f"argument {words[0]}: " in capsys.readouterr().err


def test_a_name_that_is_no_keyword():
    with pytest.raises(InputError, match="it has no option dype; it has model, dtype"):
        read_all(OPTIONS, {"dype": "float64"}, "it")
