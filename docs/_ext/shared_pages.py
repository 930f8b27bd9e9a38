"""Pages whose text lives elsewhere in the repository: benchmarks, model cards, the changelog.

A page that begins with the comment ``<!-- text of PATH -->`` gets the text of PATH (from the root
of the repository) instead of its own, which is a link for those who read the source.  Links in it
are turned: to the page of the manual that shows the file, to the file itself as a download, or, for
folders and what isn't there, to plain text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx


ROOT = Path(__file__).parents[2]
MARK = re.compile(r"\A<!-- text of (\S+) -->")
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^()\s]+)\)")
ELSEWHERE = re.compile(r"^(https?:|mailto:|#)")


def shown(source_dir: Path) -> dict[str, str]:
    """Page of the manual (without suffix) that shows each file of the repository."""
    pages = {}
    for page in source_dir.rglob("*.md"):
        if found := MARK.match(page.read_text(encoding="utf-8")):
            pages[found[1]] = page.relative_to(source_dir).with_suffix("").as_posix()
    return pages


def turned(text: str, source: str, page: str, pages: dict[str, str], manual: Path) -> str:
    """``text`` of the file ``source``, its links made relative to ``page`` of the manual."""
    folder, here = (ROOT / source).parent, (manual / page).parent

    def turn(link: re.Match[str]) -> str:
        target, _, anchor = link["target"].partition("#")
        if ELSEWHERE.match(link["target"]):
            return link[0]
        path = Path(os.path.normpath(folder / target))
        name = os.path.relpath(path, ROOT)
        shown_by = pages.get(name)
        if path.is_relative_to(manual) and path.suffix == ".md":
            shown_by = path.relative_to(manual).with_suffix("").as_posix()
        if shown_by:
            where = os.path.relpath(manual / shown_by, here) + ".md"
            return f"[{link['text']}]({where}{'#' * bool(anchor)}{anchor})"
        if path.is_file():
            return f"{link['image']}[{link['text']}]({os.path.relpath(path, here)})"
        return link["text"]

    return LINK.sub(turn, text)


def _read(app: Sphinx, page: str, content: list[str]) -> None:
    found = MARK.match(content[0])
    if not found:
        return
    path = ROOT / found[1]
    app.env.note_dependency(str(path))
    text = path.read_text(encoding="utf-8")
    content[0] = turned(text, found[1], page, shown(Path(app.srcdir)), Path(app.srcdir))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
