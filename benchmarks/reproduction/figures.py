"""Figures of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ncforce_ipi import plots
from reproduction import values
from reproduction.of_runs import SYSTEMS, TARGET_K, label
from reproduction.tasks import Numbers

Records = Mapping[str, Numbers]
TITLES = {"amorphous-carbon": "amorphous\ncarbon", "o-on-cu3al": "O on\nCu3Al"}


def draw(records: Records, folder: Path) -> set[str]:
    """Those that there are numbers for; the names of their parts."""
    makers: dict[str, Callable[[Records, Path], bool]] = {
        "nve": _nve,
        "equipartition": _equipartition,
        "structure": _structure,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with plots.style():
        return {name for name, make in makers.items() if make(records, folder / f"{name}.png")}


def _nve(records: Records, path: Path) -> bool:
    """|drift| of each system and force, with LAMBench's tolerance."""
    figure, (panel,) = plots.figure(1, height_in=3.2)
    drawn = False
    for rank, forces in enumerate(("slow", "fast", "mts2", "mts4", "mts8", "mts16")):
        x, y, error = [], [], []
        shade = plots.PALETTE[rank % len(plots.PALETTE)]
        for place, system in enumerate(SYSTEMS):
            record = records.get(f"nve-{system}-{forces}")
            drift = values.drift(record["result"]) if record else None
            if drift is not None and drift[1]:
                x.append(place + 0.1 * (rank - 2.5))
                y.append(abs(drift[0]))
                error.append(drift[1])
        if x:
            drawn = True
            panel.errorbar(x, y, error, fmt="o", ms=4, color=shade, label=label(forces))
    panel.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
    panel.set(yscale="log", ylabel="|drift| (meV/atom/ps)", xlim=(-0.5, len(SYSTEMS) - 0.5))
    panel.set_xticks(range(len(SYSTEMS)), [TITLES.get(name, name) for name in SYSTEMS])
    panel.legend(ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    return drawn and bool(plots.save(figure, path))


def _equipartition(records: Records, path: Path) -> bool:
    """T(H) and T(O) of the linear map against M, and of runs."""
    scan = records.get("pair", {}).get("result", {}).get("scan", [])
    if not scan or "kinetic_temperature_O" not in scan[0]:
        return False
    figure, (panel,) = plots.figure(1, height_in=2.8)
    m = np.array([row["M"] for row in scan])
    for rank, species in enumerate(("H", "O")):
        shade, key = plots.PALETTE[rank], f"kinetic_temperature_{species}"
        mean = TARGET_K * (np.array([row[key] for row in scan]) - 1.0)
        spread = np.array([row[f"{key}_standard_error"] or 0.0 for row in scan]) * TARGET_K
        panel.plot(m, mean, color=shade, label=f"{species}, linear map")
        panel.fill_between(m, mean - spread, mean + spread, color=shade, alpha=0.3, linewidth=0)
        for mts, forces in ((1, "slow"), (4, "mts4"), (8, "mts8")):
            run = records.get(f"svr10-{forces}")
            found = values.temperature(run["result"], species) if run else None
            if found and found[1]:
                at = mts + 0.1 * (rank - 0.5)
                panel.errorbar(at, found[0] - TARGET_K, found[1], fmt="o", ms=4, color=shade)
    panel.set(xlabel="M", ylabel="T - 300 K (K)", xlim=(0.5, m.max() + 0.5))
    panel.axhline(0.0, color="0.6", linewidth=0.8)
    panel.legend(loc="upper left")
    return bool(plots.save(figure, path))


def _structure(records: Records, path: Path) -> bool:
    """g(r) of O-O and the spectrum of H with bands."""
    wanted = (
        ("rdf", "r_A", "g_OO", "", "r (A)", "g(r) of O-O"),
        ("vdos", "wavenumber_per_cm", "cvv_H", "_K_cm", "wavenumber (1/cm)", "c_vv of H (K cm)"),
    )
    figure, panels = plots.figure(2, height_in=2.6)
    drawn = False
    for panel, (name, axis, key, unit, axis_words, words) in zip(panels, wanted, strict=True):
        for rank, forces in enumerate(("slow", "fast", "mts8")):
            result = records.get(f"svr10-{forces}", {}).get("result", {})
            curves = result.get("curves", {}).get(name, {})
            if f"{key}{unit}" not in curves:
                continue
            drawn = True
            keys = (axis, f"{key}{unit}", f"{key}_standard_error{unit}")
            x, y, e = (np.array(curves[k], float) for k in keys)
            panel.plot(x, y, color=plots.PALETTE[rank], label=label(forces))
            panel.fill_between(x, y - e, y + e, color=plots.PALETTE[rank], alpha=0.3, linewidth=0)
        panel.set(xlabel=axis_words, ylabel=words)
    if drawn:
        panels[0].legend()
        plots.save(figure, path)
    return drawn
