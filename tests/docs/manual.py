"""Files of ``docs`` as modules, and the pages of the manual."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")


def part_of_the_manual(name: str) -> ModuleType:
    """A file of ``docs`` as a module: the folder is no package."""
    name_here = f"manual_{Path(name).stem}"
    spec = importlib.util.spec_from_file_location(name_here, DOCS / name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name_here] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


help_pages = part_of_the_manual("_ext/help_pages.py")
shared_pages = part_of_the_manual("_ext/shared_pages.py")
api_pages = part_of_the_manual("_ext/api_pages.py")
structure = part_of_the_manual("structure.py")
OWN = [ROOT / "README.md", *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]
# the files whose text the manual shows; the changelog speaks of earlier versions
SHOWN = [ROOT / path for path in sorted(shared_pages.shown(DOCS)) if path != "CHANGELOG.md"]
