"""Figures.  Owns how they look; takes arrays and results, reads no files and computes no physics.

matplotlib's object-oriented interface, whose Agg canvas writes the PNG: no pyplot, no window, no
global state but the style, which holds only inside ``with style():``.  A figure of one's own::

    with plots.style():
        figure, (axes,) = plots.figure(1)
        axes.plot(time_ps, drift, color=plots.colour("mts"), label="MTS, M = 8")
        axes.set(xlabel="time (ps)", ylabel="conserved quantity (meV/atom)")
        plots.save(figure, path)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers; black leads
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MEANING = {
    "H": "#0072B2",
    "O": "#D55E00",
    "slow": "#0072B2",
    "fast": "#D55E00",
    "mts": "#009E73",
    "all": "#000000",
    "line": "#000000",
}
WIDTH_IN = 7.2
PANEL_HEIGHT_IN = 2.9
DOTS_PER_IN = 200
STYLE: dict[Any, Any] = {
    "font.size": 13.0,  # 6.5 points when the figure is set at half its width: one text column
    "axes.titlesize": 13.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 13.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 1.0,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.xmargin": 0.0,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 12.0,
    "legend.handlelength": 1.6,
    "savefig.dpi": DOTS_PER_IN,
    "savefig.facecolor": "white",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the house style inside this block; matplotlib's settings come back after it."""
    with mpl.rc_context(STYLE):
        yield


def colour(meaning: str) -> str:
    """The fixed colour of a species, a kind of run or ``all``; black for a name without one."""
    return MEANING.get(meaning, "#000000")


def figure(
    n_rows: int, n_columns: int = 1, *, height_in: float = PANEL_HEIGHT_IN, share_x: bool = False
) -> tuple[Figure, list[Axes]]:
    """An empty figure of panels, row by row, each ``height_in`` inches high."""
    drawing = Figure(figsize=(WIDTH_IN, height_in * n_rows), layout="constrained")
    panels = drawing.subplots(n_rows, n_columns, squeeze=False, sharex=share_x)
    return drawing, list(panels.flat)


def save(drawing: Figure, path: Path) -> Path:
    """Write a figure as a PNG file; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, format="png")
    return path
