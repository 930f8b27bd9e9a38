"""Work along loops as a table, JSON, CSV and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ncforce_ipi import plots
from ncforce_ipi.backend import Kind
from ncforce_ipi.diagnostics.loops import LoopWork

ROLES: dict[Kind, str] = {"conservative": "slow", "direct": "fast"}  # of a colour


def summary(loops: Sequence[LoopWork]) -> dict[Kind, tuple[float, float, float]]:
    """Of each kind: mean, root mean square and its standard error over loops, meV."""
    result = {}
    for kind in loops[0].works:
        w = 1e3 * np.array([loop.works[kind].total for loop in loops])
        rms = float(np.sqrt(np.mean(w**2)))
        error = float("nan")
        if len(w) > 1 and rms > 0:
            error = float(np.std(w**2, ddof=1) / np.sqrt(len(w)) / (2 * rms))
        result[kind] = float(w.mean()), rms, error
    return result


def table(loops: Sequence[LoopWork]) -> str:
    """A line for each loop, then the summary, then the convergence of the first."""
    kinds = list(loops[0].works)
    lines = ["meV per loop: " + ", ".join(kinds)]
    for loop in loops:
        cells = [
            f"{1e3 * loop.works[k].total:11.4g} +- {1e3 * loop.works[k].error:.1g}" for k in kinds
        ]
        lines.append("  " + "  ".join(cells) + f"  {loop.path} of {loop.frame}")
    for kind, (mean, rms, error) in summary(loops).items():
        spread = f" +- {error:.2g}" if np.isfinite(error) else ""
        lines.append(f"{kind}: mean {mean:.4g}, root mean square {rms:.4g}{spread} meV per loop")
    lines.append("first loop, number of points and meV:")
    for kind in kinds:
        steps = [f"{n} {1e3 * w:.6g}" for n, w in reversed(loops[0].works[kind].convergence)]
        lines.append(f"  {kind}: " + ", ".join(steps))
    if loops[0].energy is not None:
        worst = 1e3 * max(loop.energy_mismatch for loop in loops)
        lines.append(
            f"conservative work and change of the energy along the paths differ by {worst:.2g} meV"
        )
    return "\n".join(lines)


def record(loops: Sequence[LoopWork]) -> dict[str, Any]:
    """For JSON."""
    return {
        "summary": {
            kind: {"mean_meV": mean, "rms_meV": rms, "rms_error_meV": error}
            for kind, (mean, rms, error) in summary(loops).items()
        },
        "loops": [loop.to_dict() for loop in loops],
    }


def columns(loops: Sequence[LoopWork]) -> dict[str, Any]:
    """For CSV: work from the start along every path."""
    n = [len(next(iter(loop.works.values())).power) + 1 for loop in loops]
    result: dict[str, Any] = {
        "loop": [k for k, size in enumerate(n) for _ in range(size)],
        "s": [j / (size - 1) for size in n for j in range(size)],
    }
    for kind in loops[0].works:
        values = np.concatenate([loop.works[kind].cumulative for loop in loops])
        result[f"{kind}_work_meV"] = 1e3 * values
    return result


def draw(loops: Sequence[LoopWork], path: Path, provenance: Sequence[str]) -> Path:
    """Work along the first path; closing work of all; convergence."""
    with plots.style():
        figure, (along, closing, convergence) = plots.figure(3, height_in=2.7)
        for kind, work in loops[0].works.items():
            s = np.linspace(0, 1, len(work.power) + 1)
            shade = plots.colour(ROLES[kind])
            dashed = "-" if kind == "conservative" else "--"
            along.plot(s, 1e3 * work.cumulative, dashed, color=shade, label=kind)
            order = np.arange(1, len(loops) + 1)
            totals = [1e3 * loop.works[kind].total for loop in loops]
            closing.plot(order, totals, "o", ms=6, color=shade, label=kind, clip_on=False)
            _draw_convergence(convergence, kind, loops, shade)
        along.set(xlabel="place on the path", ylabel="work so far (meV)")
        along.legend()
        closing.axhline(0, color="0.7", linewidth=1)
        closing.set(xlabel="loop", ylabel="work of a loop\n(meV)", xlim=(0.5, len(loops) + 0.5))
        closing.xaxis.set_major_locator(MaxNLocator(integer=True))
        convergence.set(xlabel="points", ylabel="difference from\nthe last (meV)")
        convergence.set(xscale="log", yscale="log")
        shown = [n for n, _ in next(iter(loops[0].works.values())).convergence[1:]]
        convergence.set_xticks(shown, [str(n) for n in shown])
        convergence.minorticks_off()
        return plots.save(figure, path, provenance)


def _draw_convergence(panel: Axes, kind: Kind, loops: Sequence[LoopWork], shade: str) -> None:
    """Root mean square, over loops, of what fewer points give less what all give."""
    steps = [loop.works[kind].convergence for loop in loops]
    numbers_of_points = [n for n, _ in steps[0]][1:]
    w = 1e3 * np.array([[value for _, value in each] for each in steps])  # (loop, n)
    apart = np.sqrt(np.mean((w[:, 1:] - w[:, :1]) ** 2, axis=0))
    panel.plot(numbers_of_points, np.maximum(apart, 1e-12), "o-", ms=5, color=shade, label=kind)
