"""Files of ``xml_inputs/``, and the filling of its parts: text with ``$names`` to be replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from xml.etree import ElementTree

from ncforce_ipi.errors import InputError


def fill(part: str, values: Mapping[str, Any]) -> str:
    """A template part with its names replaced.

    A name that stands alone on its line keeps its indentation on every line of its value; where the
    value is empty, the line goes.
    """
    text = shipped_file(f"parts/{part}.xml").read_text(encoding="utf-8").rstrip()

    def block(match: re.Match[str]) -> str:
        value = str(values[match["name"]]).replace("$", "$$")
        lines = value.split("\n") if value else []
        return "".join(f"{match['indent']}{line}\n" if line else "\n" for line in lines)

    text = re.sub(r"^(?P<indent> +)\$(?P<name>\w+)\n", block, text, flags=re.MULTILINE)
    pieces = re.split(r"(<!--.*?-->)", text, flags=re.DOTALL)  # every second one is a comment
    said = {name: _in_comment(str(value)) for name, value in values.items()}
    return "".join(
        Template(piece).substitute(said if rank % 2 else values)
        for rank, piece in enumerate(pieces)
    )


def _in_comment(text: str) -> str:
    """Text of which no part ends a comment of XML."""
    return re.sub(r"-(?=-)", "- ", text).removesuffix("-")


def in_instruction(words: str) -> str:
    """Words for a shell that don't end an XML instruction: ``?>`` stands in quotes there."""
    return words.replace("?>", "?''>")


def require_xml(text: str) -> str:
    """The same text.

    Raises
    ------
    InputError
        It is not XML.
    """
    try:
        ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as err:
        raise InputError(
            f"the input would not be XML ({err}): is there a control character in a name?"
        ) from err
    return text


def shipped_file(name: str) -> Path:
    """A file of ``xml_inputs/``, which is installed beside the package."""
    return Path(str(resources.files("ncforce_ipi.xml_inputs"))) / name
