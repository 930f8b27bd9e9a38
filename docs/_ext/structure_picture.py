"""Draws the picture of the package's structure before the manual is built."""

from __future__ import annotations

from pathlib import Path

import structure
from sphinx.application import Sphinx


def _draw(app: Sphinx) -> None:
    path = Path(app.srcdir) / "_generated" / "structure.svg"
    path.parent.mkdir(exist_ok=True)
    text = structure.picture(structure.package_map("ncforce_ipi"))
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", _draw)
    return {"parallel_read_safe": True}
