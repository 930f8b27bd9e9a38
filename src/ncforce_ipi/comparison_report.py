"""A comparison as a table for people, CSV and JSON for programs, and figures."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import FuncFormatter

from ncforce_ipi import plots
from ncforce_ipi.analysis.drift import LAMBENCH_MEV_PER_ATOM_PER_PS, Drift
from ncforce_ipi.analysis.statistics import Mean, with_error
from ncforce_ipi.comparison import Entry, ratio_to_fast

GOOD_DRIFT = LAMBENCH_MEV_PER_ATOM_PER_PS  # shaded: 2 K/ps, as an atom holds about 3 k_B T
WIDE = 20.0


def rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """One record for each run; every key states its unit, None where there is no number."""
    return [
        {
            "run": entry.name,
            "forces": entry.forces,
            "M": entry.mts,
            "state": entry.record["state"],
            "reason": entry.record["reason"],
            "time_ps": float(entry.time_ps[-1]),
            "runaway_ps": entry.runaway_ps,
            **_drift_numbers("drift_conserved", "meV_per_atom_per_ps", entry.drift_conserved),
            **_drift_numbers("drift_temperature", "K_per_ps", entry.drift_temperature),
            "temperature_split": entry.split_name,
            "temperature_split_K": entry.split.value if entry.split else None,
            "temperature_split_standard_error_K": _number(
                entry.split.error if entry.split else None
            ),
            "ms_per_inner_step": entry.ms_per_inner_step,
            "model_ms_per_inner_step": entry.model_ms_per_inner_step,
            "ratio_to_fast": ratio_to_fast(entry, entries),
        }
        for entry in entries
    ]


def table(entries: Sequence[Entry]) -> str:
    """Aligned columns; drifts with their 95 % interval, the split with one standard error."""
    split_name = entries[0].split_name if entries else None
    head = ["run", "ps", "drift, meV/atom/ps", "drift of T, K/ps", f"{split_name}, K",
            "ms/inner step", "ratio to fast", ""]  # fmt: skip
    lines = [head, *(_cells(entry, entries) for entry in entries)]
    if split_name is None:
        lines = [[*line[:4], *line[5:]] for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def write_files(entries: Sequence[Entry], provenance: dict[str, str], folder: Path) -> list[Path]:
    """Write compare.json, compare.csv and the figures; return their paths."""
    records = rows(entries)
    written = [folder / "compare.json", folder / "compare.csv"]
    text = json.dumps({"provenance": provenance, "runs": records}, indent=2, allow_nan=False)
    written[0].write_text(text + "\n", encoding="utf-8")
    written[1].write_text(_csv(records, provenance), encoding="utf-8")
    lines = [f"{key}: {value}" for key, value in provenance.items()]
    with plots.style():
        written.append(_draw_runs(entries, folder / "compare.png", lines))
        if sum(entry.forces == "mts" for entry in entries) > 1:
            written.append(_draw_drifts(entries, folder / "drift_of_M.png", lines))
    return written


def _cells(entry: Entry, entries: Sequence[Entry]) -> list[str]:
    ratio, speed = ratio_to_fast(entry, entries), entry.ms_per_inner_step
    return [
        entry.label,
        f"{entry.time_ps[-1]:.4g}",
        _text(entry.drift_conserved),
        _text(entry.drift_temperature),
        _text(entry.split),
        f"{speed:.1f}" if speed else "-",
        f"{ratio:.2f}" if ratio else "-",
        _remark(entry),
    ]


def _text(result: Drift | Mean | None) -> str:
    if result is None:
        return "-"
    if isinstance(result, Drift):
        value, error = result.slope, result.ci95
    else:
        value, error = result.value, result.error
    return with_error(value, error) if math.isfinite(error) else f"{value:.3g}"


def _remark(entry: Entry) -> str:
    remarks = [str(entry.record["reason"])] if entry.record["state"] != "finished" else []
    if entry.runaway_ps is not None:
        remarks.append(f"drifts until T > 1.5 x start at {entry.runaway_ps:.3g} ps")
    return "; ".join(remarks)


def _csv(records: Sequence[dict[str, Any]], provenance: dict[str, str]) -> str:
    text = io.StringIO()
    text.writelines(f"# {key}: {value}\n" for key, value in provenance.items())
    writer = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _draw_runs(entries: Sequence[Entry], path: Path, provenance: Sequence[str]) -> Path:
    """Conserved quantity and temperature of all runs over time."""
    figure, (energy, heat) = plots.figure(2, share_x=True)
    shades = _shades(entries)
    for entry in entries:
        shade = shades[entry.name]
        energy.plot(entry.time_ps, entry.conserved_meV, color=shade, label=entry.label)
        heat.plot(entry.time_ps, entry.temperature_K, color=shade, linewidth=0.9)
    _signed_scale(energy, np.concatenate([entry.conserved_meV for entry in entries]))
    energy.set(ylabel="conserved, from start\n(meV/atom)")
    heat.set(xlabel="time (ps)", ylabel="temperature (K)")
    figure.legend(loc="outside upper center", ncols=3)
    return plots.save(figure, path, provenance)


def _draw_drifts(entries: Sequence[Entry], path: Path, provenance: Sequence[str]) -> Path:
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
            panel.axhline(slopes[-1], color=shade, linestyle="--", label=entry.label)
    panel.axhspan(-GOOD_DRIFT, GOOD_DRIFT, color="0.9", linewidth=0, zorder=0)
    _signed_scale(panel, np.array(slopes))
    panel.set_xticks(list(drifts))
    panel.set_xmargin(0.05)
    panel.set(xlabel="M, inner steps in an outer step", ylabel="drift (meV/atom/ps)")
    figure.legend(loc="outside upper center", ncols=3)
    return plots.save(figure, path, provenance)


def _signed_scale(panel: Axes, values: np.ndarray) -> None:
    """Decades on both sides of zero where values span them, with plain numbers at the ticks."""
    sizes = np.abs(values[values != 0.0])
    if len(sizes) and sizes.max() > WIDE * max(np.median(sizes), GOOD_DRIFT):
        panel.set_yscale("symlog", linthresh=1.0)
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _shades(entries: Sequence[Entry]) -> dict[str, str]:
    """Fixed colours for one force; shades from dark to light for MTS in the order of M."""
    several = [entry.name for entry in entries if entry.forces == "mts"]
    shades = {entry.name: plots.colour(entry.forces) for entry in entries}
    if len(several) > 1:
        places = np.linspace(0.0, 0.9, len(several))
        scale = mpl.colormaps["viridis"]
        shades |= {name: to_hex(scale(x)) for name, x in zip(several, places, strict=True)}
    return shades


def _drift_numbers(name: str, unit: str, drift: Drift | None) -> dict[str, float | None]:
    return {
        f"{name}_{unit}": drift.slope if drift else None,
        f"{name}_ci95_{unit}": _number(drift.ci95 if drift else None),
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
