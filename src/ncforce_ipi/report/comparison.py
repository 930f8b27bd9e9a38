"""A comparison as a table for people, CSV and JSON for programs, and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ncforce_ipi import plots
from ncforce_ipi.analysis.drift import LAMBENCH_MEV_PER_ATOM_PER_PS, Drift
from ncforce_ipi.analysis.statistics import Mean, with_error
from ncforce_ipi.observables.analyse import HEADINGS, Analysis
from ncforce_ipi.observables.comparison import Entry, ratio_to_fast
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.result import write_csv, write_json

GOOD_DRIFT = LAMBENCH_MEV_PER_ATOM_PER_PS  # shaded: 2 K/ps, as an atom holds about 3 k_B T
WIDE = 20.0


def rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """One record for each run; every key states its unit, None where there is no number."""
    return [
        {
            "run": entry.name,
            "forces": entry.forces,
            "M": entry.mts or None,
            "state": entry.state,
            "reason": entry.reason,
            "n_atoms": entry.n_atoms,
            "time_ps": float(entry.time_ps[-1]),
            "runaway_ps": entry.runaway_ps,
            **_drift_numbers("drift_conserved", "meV_per_atom_per_ps", entry.drift_conserved),
            **_drift_numbers("drift_temperature", "K_per_ps", entry.drift_temperature),
            **_mean_numbers("temperature", entry.temperature),
            "temperature_split": entry.split_name,
            **_mean_numbers("temperature_split", entry.split),
            "ms_per_inner_step": entry.ms_per_inner_step,
            "model_ms_per_inner_step": entry.model_ms_per_inner_step,
            "ratio_to_fast": ratio_to_fast(entry, entries),
        }
        for entry in entries
    ]


def table(entries: Sequence[Entry], *, named: bool = False) -> str:
    """Aligned columns; drifts with their 95 % interval, temperatures with one standard error.

    ``named`` runs have their names and mean temperatures beside the forces.
    """
    splits = list(dict.fromkeys(entry.split_name for entry in entries if entry.split_name))
    split = f"{splits[0]}, K" if len(splits) == 1 else "split of T, K"
    columns = {
        "run" if named else "": [entry.name for entry in entries],
        "forces" if named else "run": [entry.kind for entry in entries],
        "ps": [f"{entry.time_ps[-1]:.4g}" for entry in entries],
        "drift, meV/atom/ps": [_text(entry.drift_conserved) for entry in entries],
        "drift of T, K/ps": [_text(entry.drift_temperature) for entry in entries],
        "T, K": [_text(entry.temperature) for entry in entries],
        split: [_text(entry.split) for entry in entries],
        "ms/inner step": [_plain(entry.ms_per_inner_step, 1) for entry in entries],
        "ratio to fast": [_plain(ratio_to_fast(entry, entries), 2) for entry in entries],
        " ": [_remark(entry) for entry in entries],
    }
    if not named:
        del columns[""], columns["T, K"]
    if not splits:
        del columns[split]
    lines = list(zip(*([head.strip(), *cells] for head, cells in columns.items()), strict=True))
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def write_files(
    entries: Sequence[Entry],
    provenance: Provenance,
    folder: Path,
    *,
    named: bool = False,
    analyses: Mapping[str, Analysis] | None = None,
) -> list[Path]:
    """Write compare.json, compare.csv and the figures, PNG and PDF; return their paths.

    ``named`` as for `table`; the numbers of ``analyses``, by run, go to the JSON file.
    """
    records = rows(entries)
    written = [folder / "compare.json", folder / "compare.csv"]
    every = {name: analysis.to_dict() for name, analysis in (analyses or {}).items()}
    runs = [one | {verb: every.get(one["run"], {}).get(verb) for verb in HEADINGS if every}
            for one in records]  # fmt: skip
    write_json(written[0], {"runs": runs}, provenance)
    columns = {name: [record[name] for record in records] for name in records[0]}
    write_csv(written[1], columns, provenance)
    lines = provenance.lines()
    with plots.style():
        written += plots.save_both(_draw_runs(entries, named), folder / "compare", lines)
        if sum(entry.forces == "mts" for entry in entries) > 1 and not named:
            written += plots.save_both(_draw_drifts(entries), folder / "drift_of_M", lines)
    return written


def _text(result: Drift | Mean | None) -> str:
    if result is None:
        return "-"
    if isinstance(result, Drift):
        value, error = result.slope, result.ci95
    else:
        value, error = result.value, result.error
    return with_error(value, error) if math.isfinite(error) else f"{value:.3g} (no error bar)"


def _plain(value: float | None, digits: int) -> str:
    return f"{value:.{digits}f}" if value else "-"


def _remark(entry: Entry) -> str:
    remarks = list(entry.remarks)
    if not remarks and entry.state not in ("", "finished"):
        remarks.append(entry.reason or entry.state)
    if entry.runaway_ps is not None:
        remarks.append(f"lost at {entry.runaway_ps:.3g} ps; numbers are from before")
    if entry.series.leaks:
        remarks.append("held cell: its drift isn't that of the forces")
    return "; ".join(remarks)


def _draw_runs(entries: Sequence[Entry], named: bool) -> Figure:
    """Conserved quantity and temperature of all runs over time."""
    figure, (energy, heat) = plots.figure(2, share_x=True)
    conserved = []
    for entry, shade in zip(entries, _shades(entries, named), strict=True):
        label = plots.words(entry.name) if named else entry.kind
        if entry.series.conserved_meV is not None:
            energy.plot(*plots.thin(entry.time_ps, entry.series.conserved_meV), color=shade)
            conserved.append(entry.series.conserved_meV)
        series = plots.thin(entry.time_ps, entry.series.temperature_K)
        heat.plot(*series, color=shade, linewidth=0.9, label=label)
    if conserved:
        _signed_scale(energy, np.concatenate(conserved))
    energy.set(ylabel="conserved, from start\n(meV/atom)")
    heat.set(xlabel="time (ps)", ylabel="temperature (K)")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _draw_drifts(entries: Sequence[Entry]) -> Figure:
    """Drift of the conserved quantity over M; runs with one force as horizontal lines."""
    figure, (panel,) = plots.figure(1, height_in=4.0)
    drifts = {e.mts: e.drift_conserved for e in entries if e.forces == "mts" and e.drift_conserved}
    slopes = [drift.slope for drift in drifts.values()]
    panel.errorbar(
        list(drifts),
        slopes,
        yerr=np.nan_to_num([drift.ci95 for drift in drifts.values()]),
        fmt="o-",
        color=plots.colour("mts"),
        capsize=3,
        label="MTS, with 95 % interval",
    )
    for entry in entries:
        if entry.forces != "mts" and entry.drift_conserved:
            slopes.append(entry.drift_conserved.slope)
            shade = plots.colour(entry.forces)
            panel.axhline(slopes[-1], color=shade, linestyle="--", label=entry.kind)
    panel.axhspan(-GOOD_DRIFT, GOOD_DRIFT, color="0.9", linewidth=0, zorder=0)
    _signed_scale(panel, np.array(slopes))
    panel.set_xticks(list(drifts))
    panel.set_xmargin(0.05)
    panel.set(xlabel="M, inner steps in an outer step", ylabel="drift (meV/atom/ps)")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _signed_scale(panel: Axes, values: np.ndarray) -> None:
    """Decades on both sides of zero where values span them, with plain numbers at the ticks."""
    sizes = np.abs(values[values != 0.0])
    if len(sizes) and sizes.max() > WIDE * max(np.median(sizes), GOOD_DRIFT):
        panel.set_yscale("symlog", linthresh=1.0)
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _shades(entries: Sequence[Entry], named: bool) -> list[str]:
    """Fixed colours for one force; shades from dark to light for MTS in the order of M.

    Named runs have no order.
    """
    if named:
        return plots.shades(len(entries))
    several = [entry.name for entry in entries if entry.forces == "mts"]
    shades = {entry.name: plots.colour(entry.forces) for entry in entries}
    if len(several) > 1:
        places = np.linspace(0.0, 0.9, len(several))
        scale = mpl.colormaps["viridis"]
        shades |= {name: to_hex(scale(x)) for name, x in zip(several, places, strict=True)}
    return [shades[entry.name] for entry in entries]


def _mean_numbers(name: str, mean: Mean | None) -> dict[str, float | None]:
    return {
        f"{name}_K": _number(mean.value if mean else None),
        f"{name}_standard_error_K": _number(mean.error if mean else None),
    }


def _drift_numbers(name: str, unit: str, drift: Drift | None) -> dict[str, float | None]:
    return {
        f"{name}_{unit}": drift.slope if drift else None,
        f"{name}_ci95_{unit}": _number(drift.ci95 if drift else None),
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
