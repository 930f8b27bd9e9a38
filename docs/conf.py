"""Sphinx configuration of the manual: ``make docs``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "_ext")]

from ncforce_ipi import __version__  # noqa: E402 - after the path of our own extensions

project = "ncforce_ipi"
author = "the authors of ncforce_ipi"
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    # of this folder
    "api_pages",
    "help_pages",
    "mathml",
    "shared_pages",
    "structure_picture",
]
exclude_patterns = ["_build", "_ext"]
templates_path: list[str] = []

myst_enable_extensions = ["deflist", "dollarmath", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a page of the repository may begin below level 1

autodoc_typehints = "none"  # shapes and units stand in the docstrings
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
default_role = "code"  # a single backtick in a docstring is a name

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"ncforce_ipi {release}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_show_copyright = html_copy_source = html_show_sourcelink = False
copybutton_prompt_text = "$ "
