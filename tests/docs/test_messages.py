"""What the page on errors quotes is what the program says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .manual import CODE, DOCS, ROOT


def said_by_the_program() -> list[list[str]]:
    """Words of every string in the sources; those with a value in them are ``*``."""
    strings = []
    for folder in ("src", "ipi_drivers"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [getattr(part, "value", None) for part in node.values]
                    strings.append("".join(p if isinstance(p, str) else "\0" for p in parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    strings.append(re.sub("%[a-z]", "\0", node.value))
    return [["*" if "\0" in word else word for word in text.split()] for text in strings]


def says(source: list[str], quoted: list[str]) -> bool:
    """Whether a quotation is part of a message, whose ``*`` stands for up to three words."""

    def follows(i: int, j: int) -> bool:
        if j == len(quoted):
            return True
        if i == len(source):
            return False
        if source[i] == "*":
            return any(follows(i + 1, k) for k in range(j + 1, min(j + 3, len(quoted)) + 1))
        return source[i].strip(",;:") == quoted[j].strip(",;:") and follows(i + 1, j + 1)

    return any(follows(i, 0) for i in range(len(source)))


def sayers(strings: list[list[str]], quoted: list[str]) -> Iterator[list[str]]:
    """Those of which a quotation has two words at least: a message that is one value says all."""
    words = set(quoted) - {"*"}
    return (source for source in strings if len(words.intersection(source)) > 1)


def quotations() -> list[str]:
    """What the terms of the page on errors quote, in pieces where ``...`` leaves words out."""
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    terms = re.findall(r"^(.+)\n: ", text, re.MULTILINE)
    pieces = [piece for term in terms for code in CODE.findall(term) for piece in code.split("...")]
    return [piece.strip(" :;") for piece in pieces if len(piece.split()) > 2]


def test_quoted_messages_are_those_of_the_program():
    sources = said_by_the_program()
    strange = []
    for quoted in quotations():
        words = quoted.split()
        if not any(says(source, words) for source in sayers(sources, words)):
            strange.append(quoted)
    assert strange == []


def test_quotations_that_nobody_says_are_noticed():
    message = ["model", "*", "is", "neither", "a", "file", "nor", "a", "shipped", "*"]
    assert len(quotations()) > 30
    assert says(message, ["model", "NAME", "is", "neither", "a", "file"])
    assert not says(message, ["model", "NAME", "is", "either", "a", "file"])
    assert not list(sayers([["*", "*"]], ["model", "NAME", "is", "neither", "a", "file"]))
