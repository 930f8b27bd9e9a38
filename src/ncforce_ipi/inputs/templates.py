"""Files of ``xml_inputs/``, and the filling of its parts: text with ``$names`` to be replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any


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
    return Template(text).substitute(values)


def shipped_file(name: str) -> Path:
    """A file of ``xml_inputs/``, which is installed beside the package."""
    return Path(str(resources.files("ncforce_ipi.xml_inputs"))) / name
