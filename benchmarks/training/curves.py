"""Learning curves side by side: direct, then fine-tuned, against both heads from scratch.

    python benchmarks/training/curves.py RESULTS [--png FILE]

``RESULTS`` holds the folders ``direct``, ``finetune`` and ``scratch`` of three ``ncforce train``
runs.  Prints the processor time to given accuracies; fine-tuning starts where the direct stage
ended.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

COLUMNS = {
    "conservative": "val_conservative_meV_per_A",
    "direct": "val_direct_meV_per_A",
    "difference": "val_difference_meV_per_A",
}


def read(folder: Path) -> dict[str, np.ndarray]:
    with (folder / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {k: np.array([float(r[k]) for r in rows]) for k in ("step", "cpu_s", *COLUMNS.values())}


def chain(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Two runs one after the other."""
    late = {**second, "cpu_s": second["cpu_s"] + first["cpu_s"][-1]}
    return {k: np.concatenate([first[k], late[k]]) for k in first}


def time_to(curve: dict[str, np.ndarray], column: str, level: float) -> float:
    """First time at which the error is below ``level`` for good; NaN if it never is."""
    above = np.flatnonzero(curve[column] > level)
    first = above[-1] + 1 if len(above) else 0
    return float(curve["cpu_s"][first]) if first < len(curve["cpu_s"]) else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--png", type=Path)
    args = parser.parse_args()
    scratch = read(args.results / "scratch")
    staged = chain(read(args.results / "direct"), read(args.results / "finetune"))
    alone = read(args.results / "direct")
    print("| validation RMSE, meV/A | from scratch | direct + fine-tuned | direct stage alone |")
    print("|---|---|---|---|")
    for name, column in COLUMNS.items():
        best = max(scratch[column].min(), staged[column].min())
        for level in [x for x in (60, 50, 45, 40, 35, 30, 25, 20, 15, 12, 10) if x > best][-4:]:
            times = [time_to(curve, column, level) for curve in (scratch, staged)]
            times.append(time_to(alone, column, level) if name == "direct" else float("nan"))
            cells = ["-" if np.isnan(t) else f"{t:.0f} s" for t in times]
            print(f"| {name} <= {level} | {' | '.join(cells)} |")
    if args.png:
        draw(scratch, staged, alone["cpu_s"][-1]).savefig(args.png, dpi=150)


def draw(scratch: dict[str, np.ndarray], staged: dict[str, np.ndarray], switch_s: float) -> Figure:
    figure = Figure(figsize=(8.0, 3.0), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    for ax, (name, column) in zip(axes, COLUMNS.items(), strict=True):
        ax.plot(scratch["cpu_s"], scratch[column], color="#0072B2", label="from scratch")
        ax.plot(
            staged["cpu_s"], staged[column], color="#D55E00", ls="--", label="direct, then both"
        )
        ax.axvline(switch_s, color="0.7", lw=0.8, zorder=0)
        ax.set_title(name if name != "difference" else "direct $-$ conservative", fontsize=10)
        ax.set_xlabel("processor time (s)")
        ax.set_ylim(15, 90)  # an untrained energy head has 1000 meV/A
    axes[0].set_ylabel("validation RMSE (meV/Å)")
    axes[1].legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    main()
