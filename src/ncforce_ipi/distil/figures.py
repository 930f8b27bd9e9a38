"""Four panels of a distillation: learning by round, parity, error over distance, drift over M."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ncforce_ipi import plots
from ncforce_ipi.distil.points import load, outer_points
from ncforce_ipi.distil.rounds import Round
from ncforce_ipi.distil.session import Session
from ncforce_ipi.distil.student import HELD_OUT, MODEL, forces, open_student
from ncforce_ipi.distil.trial import Trial

Array = NDArray[np.float64]
NEAR_A, N_BINS = 4.0, 12
MOST_DRAWN = 5000
ROOM = 1.4


def draw(
    session: Session,
    tried: Sequence[Round],
    best: Round,
    scan: Mapping[int, Sequence[Trial]],
    provenance: Sequence[str],
) -> list[Path]:
    """``distil.png`` and ``distil.pdf``."""
    frames = load(session.data / f"{HELD_OUT}.extxyz")
    student, request = session.training(best.number) / MODEL, session.request
    with open_student(student, request.first_device, request.threads) as backend:
        found = forces(backend, frames)
    asked, name = request.mts, session.systems[0].name
    run = session.run(f"round-{best.number:02d}-mts{asked}-{name}")
    with plots.style():
        figure, panels = plots.figure(2, 2, height_in=3.2)
        _learning(panels[0], tried)
        _parity(panels[1], found)
        _over_distance(panels[2], frames, found, run)
        _drifts(panels[3], scan, session.choices.tolerance_meV_per_atom_per_ps)
        return plots.save_both(figure, session.out / "distil", provenance)


def _learning(panel: Axes, tried: Sequence[Round]) -> None:
    numbers = [one.number for one in tried]
    for kind, meaning in (("direct", "fast"), ("conservative", "slow")):
        values = [one.errors[f"{kind}_meV_per_A"]["all"] for one in tried]
        panel.plot(numbers, values, "o-", ms=4, color=plots.colour(meaning), label=f"{kind}")
    tests = [1e3 * np.mean([t.rms_eV_per_A for t in one.trials.values()]) for one in tried]
    panel.plot(numbers, tests, "s--", ms=4, color=plots.colour("mts"), label="direct, in its run")
    panel.set(xlabel="round", ylabel="error of forces (meV/Å)", xticks=numbers)
    _from_zero(panel)
    panel.set_xlim(min(numbers) - 0.3, max(numbers) + 0.3)
    panel.legend()


def _from_zero(panel: Axes) -> None:
    """From zero to some way above the largest value, where the legend is."""
    highest = max((float(np.max(line.get_ydata())) for line in panel.get_lines()), default=1.0)
    panel.set_ylim(0.0, ROOM * highest)


def _parity(panel: Axes, found: Mapping[str, Array]) -> None:
    teacher, direct = found["teacher"].ravel(), found["direct"].ravel()
    chosen = slice(None, None, len(teacher) // MOST_DRAWN + 1)
    panel.plot(teacher[chosen], direct[chosen], ".", ms=2, alpha=0.4, color=plots.colour("fast"))
    edge = float(np.abs(teacher).max(initial=0.1))
    panel.plot([-edge, edge], [-edge, edge], color="0.4", lw=1)
    panel.set(xlabel="teacher's force (eV/Å)", ylabel="direct force (eV/Å)")


def _over_distance(panel: Axes, frames: Sequence[Atoms], found: Mapping[str, Array],
                   run: Path) -> None:  # fmt: skip
    """RMS of slow - fast of an atom over the distance to its nearest neighbour."""
    error = ((found["direct"] - found["teacher"]) ** 2).mean(axis=1)
    _binned(panel, np.concatenate([nearest_A(a) for a in frames]), error, "held out", "fast")
    points = outer_points(run)
    if points.fast is not None:
        error = ((points.fast - points.slow) ** 2).mean(axis=2).ravel()
        near = [nearest_A(points.atoms(k, "")) for k in range(len(points))]
        _binned(panel, np.concatenate(near), error, "in its run", "mts")
    panel.set(xlabel="nearest neighbour (Å)", ylabel="RMS of slow - fast (meV/Å)")
    panel.margins(x=0.05)
    _from_zero(panel)
    panel.legend()


def nearest_A(atoms: Atoms) -> Array:
    """``(n_atoms,)``, A: distance to the nearest neighbour, NaN beyond 4 A."""
    i, r = neighbor_list("id", atoms, NEAR_A)
    result = np.full(len(atoms), np.inf)
    np.minimum.at(result, i, r)
    result[np.isinf(result)] = np.nan
    return result


def _binned(panel: Axes, distances: Array, squares: Array, label: str, meaning: str) -> None:
    known = np.isfinite(distances)
    distances, squares = distances[known], squares[known]
    if len(distances) < N_BINS:
        return
    edges = np.quantile(distances, np.linspace(0.0, 1.0, N_BINS + 1))
    place = np.clip(np.searchsorted(edges, distances, side="right") - 1, 0, N_BINS - 1)
    there = [k for k in range(N_BINS) if (place == k).any()]
    x = [float(distances[place == k].mean()) for k in there]
    y = [1e3 * float(np.sqrt(squares[place == k].mean())) for k in there]
    panel.plot(x, y, "o-", ms=4, color=plots.colour(meaning), label=label)


def _drifts(panel: Axes, scan: Mapping[int, Sequence[Trial]], tolerance: float) -> None:
    """With 95 % intervals; beside them, wide, what the conserved quantities changed by at most."""
    panel.axhspan(-tolerance, tolerance, color="0.9", lw=0, label="allowed")
    label = "change in the run"
    for mts, trials in scan.items():
        for trial in trials:
            value, error = trial.excess_meV_per_atom_per_ps, trial.excess_ci95_meV_per_atom_per_ps
            if not np.isfinite(value):
                panel.text(mts, 0.0, "ran away", rotation=90, ha="center", va="center")
                continue
            colour = plots.colour("mts" if trial.passes else "fast")
            known = error if np.isfinite(error) else 0.0
            panel.errorbar([mts], [value], yerr=[known], fmt="o", ms=4, color=colour, capsize=3)
            bound = trial.bound_meV_per_atom_per_ps
            if trial.by_bound and np.isfinite(bound):
                panel.plot(
                    [mts] * 2, [-bound, bound],
                    lw=6, alpha=0.35, color=colour, label=label, solid_capstyle="butt",
                )  # fmt: skip
                label = "_"  # once
    panel.set(xlabel="M", ylabel="drift beyond slow only\n(meV/atom/ps)", xticks=list(scan))
    panel.set_xlim(0, max(scan) * 1.15)
    low, high = panel.get_ylim()
    panel.set_ylim(low, high + 0.4 * (high - low))  # for the legend
    panel.legend()
