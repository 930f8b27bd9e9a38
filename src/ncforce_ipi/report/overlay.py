"""Curves of several runs in one figure.  Owns what stands beside what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ncforce_ipi import plots
from ncforce_ipi.observables.analyse import Analysis
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.result import Result

OVERLAID = {
    "drift": ("time_ps", ("conserved_", "temperature_"), "time (ps)"),
    "rdf": ("r_A", ("g_",), "distance $r$ (Å)"),
    "vdos": ("wavenumber_per_cm", ("cvv_",), "wavenumber (cm$^{-1}$)"),
}
"""For each observable the abscissa, what the names of its curves begin with, the label."""
NAMES = {
    "conserved_minus_start_meV_per_atom": "conserved, from start\n(meV/atom)",
    "temperature_K": "temperature (K)",
}
ERROR = "_standard_error"


def overlaid(named: Sequence[tuple[str, Result]], verb: str) -> Figure:
    """Curves of all runs with their bands, one panel for each curve that one of them has.

    Parameters
    ----------
    named : name of each run, and its result of this observable
    verb : one of `OVERLAID`
    """
    abscissa, starts, label = OVERLAID[verb]
    every = [(run, result.columns()) for run, result in named]
    all_names = dict.fromkeys(name for _, columns in every for name in columns)
    names = [name for name in all_names if name.startswith(starts) and ERROR not in name]
    figure, panels = plots.figure(len(names), share_x=True, height_in=2.3)
    shown: set[str] = set()
    shades = plots.shades(len(named))
    for panel, name in zip(panels, names, strict=True):
        highest = 0.0
        for rank, (run, columns) in enumerate(every):
            if name not in columns:
                continue
            x, y = columns[abscissa], columns[name]
            # bonds of molecules would hide the rest of g(r)
            highest = max(highest, float(np.max(y[x > 2.0], initial=0.0)))
            error = columns.get(_error_of(name), np.full(len(y), np.nan))
            x, y, error = plots.thin(x, y, error)
            plots.band(panel, x, y, error, shades[rank])
            panel.lines[-1].set_label("_" if run in shown else plots.words(run))
            shown.add(run)
        panel.set(ylabel=_pretty(name))
        if name not in NAMES:
            panel.set_ylim(0.0, 1.2 * highest or 1.0)
    panels[-1].set(xlabel=label)
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def write_overlaid(
    analyses: Mapping[str, Analysis],
    verbs: Sequence[str],
    folder: Path,
    provenance: Provenance,
) -> list[Path]:
    """The figures of these observables as PNG and PDF, where at least one run has curves."""
    written = []
    with plots.style():
        for verb in verbs:
            named = [
                (name, analysis.available[verb])
                for name, analysis in analyses.items()
                if verb in analysis.available
            ]
            if named:
                drawn = overlaid(named, verb)
                written += plots.save_both(drawn, folder / verb, provenance.lines())
    return written


def _error_of(column: str) -> str:
    unit = "_K_cm" if column.endswith("_K_cm") else ""
    return column.removesuffix(unit) + ERROR + unit


def _pretty(column: str) -> str:
    if column in NAMES:
        return NAMES[column]
    if column.startswith("g_"):
        return plots.of_pair(column[2:])
    return f"$c_{{vv}}$ of {plots.words(column.removeprefix('cvv_').removesuffix('_K_cm'))} (K cm)"
