"""All measurements of several runs, and their curves in one figure.

Owns which measurements there are, and what stands beside what.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ncforce_ipi import plots
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import diffusion, drift, power, rdf, temperature, vdos
from ncforce_ipi.reading.replicas import Given
from ncforce_ipi.result import Finding

log = logging.getLogger(__name__)

VERBS: dict[str, tuple[str, Callable[[Sequence[Path], Given], Finding]]] = {
    "drift": ("Drift", drift.measure),
    "temperature": ("Temperature", temperature.measure),
    "rdf": ("g(r)", rdf.measure),
    "vdos": ("Velocity spectra", lambda paths, given: vdos.measure(paths, given, vdos.Transform())),
    "diffusion": ("Diffusion", lambda paths, given: diffusion.measure(paths, given,
                                                                       diffusion.Fit())),
    "power": ("Power of non-conservative forces", power.measure),
}  # fmt: skip
OVERLAID = {
    "drift": ("time_ps", ("conserved_", "temperature_"), "time (ps)"),
    "rdf": ("r_A", ("g_",), "distance $r$ (Å)"),
    "vdos": ("wavenumber_per_cm", ("cvv_",), "wavenumber (cm$^{-1}$)"),
}
"""For each verb the abscissa, what the names of its curves begin with, the label."""
NAMES = {
    "conserved_minus_start_meV_per_atom": "conserved, from start\n(meV/atom)",
    "temperature_K": "temperature (K)",
}
ERROR = "_standard_error"


def measure_all(directory: Path, given: Given) -> dict[str, Finding | str]:
    """Every measurement of a directory, or why there is none."""
    found: dict[str, Finding | str] = {}
    for verb, (_, measure) in VERBS.items():
        try:
            found[verb] = measure([directory], given)
        except InputError as err:
            found[verb] = str(err)
            log.info("%s: no %s: %s", directory, verb, err)
    return found


def overlaid(named: Sequence[tuple[str, Finding]], verb: str) -> Figure:
    """Curves of all runs with their bands, one panel for each curve that one of them has.

    Parameters
    ----------
    named : name and finding of each run, the finding of this verb
    verb : one of `OVERLAID`
    """
    abscissa, starts, label = OVERLAID[verb]
    every = dict.fromkeys(name for _, finding in named for name in finding.columns)
    names = [name for name in every if name.startswith(starts) and ERROR not in name]
    figure, panels = plots.figure(len(names), share_x=True, height_in=2.3)
    shown: set[str] = set()
    shades = plots.shades(len(named))
    for panel, name in zip(panels, names, strict=True):
        highest = 0.0
        for rank, (run, finding) in enumerate(named):
            if name not in finding.columns:
                continue
            x, y = finding.columns[abscissa], finding.columns[name]
            # bonds of molecules would hide the rest of g(r)
            highest = max(highest, float(np.max(y[x > 2.0], initial=0.0)))
            error = finding.columns.get(_error_of(name), np.full(len(y), np.nan))
            x, y, error = plots.thin(x, y, error)
            plots.band(panel, x, y, error, shades[rank])
            panel.lines[-1].set_label("_" if run in shown else run)
            shown.add(run)
        panel.set(ylabel=_pretty(name))
        if name not in NAMES:
            panel.set_ylim(0.0, 1.2 * highest or 1.0)
    panels[-1].set(xlabel=label)
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def write_overlaid(
    found: Mapping[str, Mapping[str, Finding | str]],
    verbs: Sequence[str],
    folder: Path,
    provenance: Mapping[str, str],
) -> list[Path]:
    """The figures of these verbs as PNG and PDF, where at least one run has curves."""
    lines = [f"{key}: {value}" for key, value in provenance.items()]
    written = []
    with plots.style():
        for verb in verbs:
            findings = [(name, of_run[verb]) for name, of_run in found.items()]
            named = [(name, one) for name, one in findings if isinstance(one, Finding)]
            if named:
                written += plots.save_both(overlaid(named, verb), folder / verb, lines)
    return written


def _error_of(column: str) -> str:
    unit = "_K_cm" if column.endswith("_K_cm") else ""
    return column.removesuffix(unit) + ERROR + unit


def _pretty(column: str) -> str:
    if column in NAMES:
        return NAMES[column]
    if column.startswith("g_"):
        return f"$g_\\mathrm{{{column[2:]}}}(r)$"
    return f"$c_{{vv}}$ of {column.split('_')[1]} (K cm)"
