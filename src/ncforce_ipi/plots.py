"""How figures look, and the few things that all of them are made of.  Takes arrays; no physics.

matplotlib's object-oriented interface, whose Agg canvas writes the PNG: no pyplot, no window, no
global state but the style, which holds only inside ``with style():``.  A figure of one's own::

    with plots.style():
        figure, (axes,) = plots.figure(1)
        axes.plot(time_ps, drift, color=plots.colour("mts"), label="MTS, M = 8")
        axes.set(xlabel="time (ps)", ylabel="conserved quantity (meV/atom)")
        plots.save(figure, path)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ncforce_ipi import durable
from ncforce_ipi.analysis.drift import Drift
from ncforce_ipi.analysis.statistics import with_error

# Okabe and Ito's palette, told apart by colour-blind readers; black leads
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MEANING = {
    "H": "#0072B2",
    "O": "#D55E00",
    "slow": "#0072B2",
    "fast": "#D55E00",
    "mts": "#009E73",
    "all": "#000000",
    "line": "#009E73",
}
WIDTH_IN = 7.2
PANEL_HEIGHT_IN = 2.9
DOTS_PER_IN = 200
MOST_POINTS = 4000  # three for each dot of the width
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


def colour(meaning: str, rank: int = 0) -> str:
    """The fixed colour of a species, a kind of run or ``all``; else the palette's ``rank``-th."""
    return MEANING.get(meaning, PALETTE[rank % len(PALETTE)])


def shades(n: int) -> list[str]:
    """Colours for ``n`` things that have no order; from dark to light where the palette ends."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    scale = mpl.colormaps["viridis"]
    return [to_hex(scale(x)) for x in np.linspace(0.0, 0.9, n)]


def words(text: str) -> str:
    """A name from a file as a label: no mathematics, and none that matplotlib leaves out."""
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def of_pair(symbols: str) -> str:
    """g(r) of a pair as mathematics, ``g_OH(r)``; in plain words where a name is no word."""
    return f"$g_\\mathrm{{{symbols}}}(r)$" if symbols.isalnum() else f"g(r) of {words(symbols)}"


def figure(
    n_rows: int, n_columns: int = 1, *, height_in: float = PANEL_HEIGHT_IN, share_x: bool = False
) -> tuple[Figure, list[Axes]]:
    """An empty figure of panels, row by row, each ``height_in`` inches high."""
    drawing = Figure(figsize=(WIDTH_IN, height_in * n_rows), layout="constrained")
    panels = drawing.subplots(n_rows, n_columns, squeeze=False, sharex=share_x)
    return drawing, list(panels.flat)


def save(drawing: Figure, path: Path, provenance: Iterable[str] = ()) -> Path:
    """Write a figure as PNG, PDF or SVG (the suffix), with lines of provenance in its metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.removeprefix(".")
    key = "Subject" if kind == "pdf" else "Description"
    with durable.replacing(path) as partial:
        drawing.savefig(partial, format=kind, metadata={key: "\n".join(provenance)})
    return path


def save_both(drawing: Figure, stem: Path, provenance: Iterable[str] = ()) -> list[Path]:
    """Write a figure as PNG and as PDF; return the two paths."""
    lines = list(provenance)
    return [save(drawing, stem.with_name(f"{stem.name}.{kind}"), lines) for kind in ("png", "pdf")]


def band(
    panel: Axes,
    abscissa: NDArray[np.float64],
    value: NDArray[np.float64],
    error: NDArray[np.float64],
    shade: str,
) -> None:
    """A curve ``(n_points,)`` with the band of its error; no band where the error is NaN."""
    panel.fill_between(abscissa, value - error, value + error, color=shade, alpha=0.3, linewidth=0)
    panel.plot(abscissa, value, color=shade)


def thin(*series: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Every n-th sample of series of one length, so that about 4000 points are drawn."""
    every = -(-len(series[0]) // MOST_POINTS)
    return [values[::every] for values in series]


def trend(panel: Axes, drift: Drift, unit: str, shade: str = MEANING["line"]) -> None:
    """The fitted line, the band of its slope's 95 % interval, and both in words above the panel."""
    time_ps = np.array([drift.start_ps, 0.5 * (drift.start_ps + drift.end_ps), drift.end_ps])
    line = drift.at(time_ps)
    panel.plot(time_ps, line, color=shade)
    words = f"drift {drift.slope:.3g} {unit}, too short for an interval"
    if np.isfinite(drift.ci95):
        width = drift.ci95 * np.abs(time_ps - time_ps[1])
        panel.fill_between(time_ps, line - width, line + width, color=shade, alpha=0.3, linewidth=0)
        words = f"drift {with_error(drift.slope, drift.ci95)} {unit} (95 %)"
    panel.set_title(words.replace("+-", "±"), color=shade, loc="left")


def mark(panel: Axes, x: float, y: float, text: str) -> None:
    """Name a peak at its top, or at the panel's upper edge where it stands out of the panel."""
    top = panel.get_ylim()[1]
    beyond = y > 0.9 * top
    panel.annotate(
        f"{text} ↑" if beyond else text,
        (x, 0.88 * top if beyond else y),
        textcoords="offset points",
        xytext=(9, 0) if beyond else (0, 9),
        ha="left" if beyond else "center",
        fontsize=12.0,
    )
