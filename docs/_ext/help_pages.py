"""``--help`` of every verb on one page, made from the parsers themselves.

The comment ``<!-- help of every verb -->`` in a page is replaced by one section for each verb.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ncforce_ipi import cli
from ncforce_ipi.cli.families import FamilyParser

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARK = "<!-- help of every verb -->"
WIDTH = "88"


def parser_of(*words: str) -> argparse.ArgumentParser:
    """The parser behind ``ncforce WORDS``: a verb, and for ``driver`` a family too."""
    parser = cli._parser(list(words))
    for word in words:
        parser = subparsers(parser)[word]
    return parser.filled() if isinstance(parser, FamilyParser) else parser


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Verbs or families below a parser, by name; none if it has no such level."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _read(app: Sphinx, page: str, content: list[str]) -> None:
    if MARK in content[0]:
        content[0] = content[0].replace(MARK, "\n\n".join(_section(verb) for verb in cli.VERBS))


def _section(verb: str) -> str:
    parser = parser_of(verb)
    return f"## ncforce {verb}\n\n```text\n{parser.format_help().rstrip()}\n```"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx; help is wrapped at one width on every machine."""
    os.environ["COLUMNS"] = WIDTH
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
