"""Optimisations as a table of success rates, JSON, CSV and force traces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ncforce_ipi import plots
from ncforce_ipi.diagnostics.batch import Result, Task
from ncforce_ipi.diagnostics.optimise import Outcome
from ncforce_ipi.diagnostics.verdict import level
from ncforce_ipi.reading.structures import hold, to_atoms

SHADES = {"slow": "slow", "fast": "fast", "fast-then-slow": "mts"}
DRAWN_PANELS = 6
HIGH = 1e3  # eV/A, the most that is drawn
MANY = 12  # traces of one method in a panel


@dataclass(frozen=True)
class Rate:
    """Of one group of structures, optimiser and method.

    Attributes
    ----------
    group, optimiser, method : what was done
    n, n_converged, n_floor, n_out_of_steps, n_failed : counts
    steps, slow_calls, fast_calls, cpu_seconds : means over those that converged; NaN without any
    floor : median of the last quarters' forces of those at a floor, eV/A; NaN without any
    """

    group: str
    optimiser: str
    method: str
    n: int
    n_converged: int
    n_floor: int
    n_out_of_steps: int
    n_failed: int
    steps: float
    slow_calls: float
    fast_calls: float
    cpu_seconds: float
    floor: float


def rates(results: Sequence[Result]) -> list[Rate]:
    """One for each combination, in the order in which they first come."""
    return [
        _rate(key, [o for task, o in results if _key(task) == key])
        for key in dict.fromkeys(_key(task) for task, _ in results)
    ]


def _key(task: Task) -> tuple[str, str, str]:
    return task.group, task.settings.optimiser, task.method


def _rate(key: tuple[str, str, str], outcomes: Sequence[Outcome]) -> Rate:
    done = [o for o in outcomes if o.converged]
    verdicts = [o.verdict for o in outcomes]
    floors = [level(o.trace) for o in outcomes if o.verdict == "floor"]
    return Rate(
        *key,
        len(outcomes),
        len(done),
        verdicts.count("floor"),
        verdicts.count("out of steps"),
        verdicts.count("failed"),
        _mean(len(o.trace) - 1 for o in done),
        _mean(o.n_slow for o in done),
        _mean(o.n_fast for o in done),
        _mean(o.cpu_seconds for o in done),
        float(np.median(floors)) if floors else float("nan"),
    )


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return float(np.mean(kept)) if kept else float("nan")


def table(results: Sequence[Result]) -> str:
    """Success rates in percent with counts, and what they cost."""
    head = ["set", "optimiser", "forces", "converged", "at a floor", "out of steps", "failed",
            "steps", "slow calls", "fast calls", "CPU s"]  # fmt: skip
    rows = [head]
    for r in rates(results):
        floor = f"{r.n_floor}" + (f" ({r.floor:.0e} eV/A)" if r.n_floor else "")
        rate = f"{100 * r.n_converged / r.n:.0f} % ({r.n_converged}/{r.n})"
        means = [_cell(v) for v in (r.steps, r.slow_calls, r.fast_calls, r.cpu_seconds)]
        counts = [str(r.n_out_of_steps), str(r.n_failed)]
        rows.append([r.group, r.optimiser, r.method, rate, floor, *counts, *means])
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines += saved(results)
    reasons = [f"{t.name}, {t.method}: {o.reason}" for t, o in results if o.verdict == "failed"]
    return "\n".join(
        lines + reasons[:5] + [f"... {len(reasons) - 5} more failed"] * (len(reasons) > 5)
    )


def _cell(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "-"


def saved(results: Sequence[Result]) -> list[str]:
    """Slow calls that fast forces first save, over structures that both ways optimise."""
    lines = []
    for group, optimiser in dict.fromkeys((t.group, t.settings.optimiser) for t, _ in results):
        calls: dict[str, dict[str, Outcome]] = {"slow": {}, "fast-then-slow": {}}
        for task, outcome in results:
            if (task.group, task.settings.optimiser) == (group, optimiser) and outcome.converged:
                calls.get(task.method, {})[task.name] = outcome
        both = sorted(set(calls["slow"]) & set(calls["fast-then-slow"]))
        if not both:
            continue
        alone, after = (np.array([calls[m][name].n_slow for name in both]) for m in calls)
        shares = np.round(100 * (1 - np.array([after.sum() / alone.sum(), *(after / alone)])))
        apart = [abs(calls["slow"][n].energy - calls["fast-then-slow"][n].energy) for n in both]
        lines.append(
            f"{group}, {optimiser}: fast forces first: {_change(shares[0])} in sum over "
            f"{len(both)} structures; median structure: {_change(np.median(shares[1:]))}"
        )
        if np.isfinite(apart).all():  # direct forces have no energy
            same = sum(a < 1e-3 for a in apart)
            lines.append(f"{group}, {optimiser}: same energy within 1 meV in {same} of {len(both)}")
    return lines


def _change(share: float) -> str:
    if share < 0:
        return f"{-share:.0f} % more slow calls"
    return f"{share:.0f} % of slow calls saved"


def record(results: Sequence[Result]) -> dict[str, Any]:
    """For JSON."""
    return {
        "rates": [
            {
                "set": r.group, "optimiser": r.optimiser, "forces": r.method, "n": r.n,
                "n_converged": r.n_converged, "percent": 100 * r.n_converged / r.n,
                "n_floor": r.n_floor, "n_out_of_steps": r.n_out_of_steps,
                "n_failed": r.n_failed,
                "steps": r.steps, "slow_calls": r.slow_calls, "fast_calls": r.fast_calls,
                "cpu_seconds": r.cpu_seconds, "floor_eV_per_A": r.floor,
            }
            for r in rates(results)
        ],
        "notes": saved(results),
        "optimisations": [
            {
                "set": t.group, "structure": t.name, "n_atoms": len(t.structure.numbers),
                "optimiser": t.settings.optimiser, "forces": t.method,
                "fmax_eV_per_A": t.settings.fmax, **o.to_dict(),
            }
            for t, o in results
        ],
    }  # fmt: skip


def columns(results: Sequence[Result]) -> dict[str, Any]:
    """For CSV: a row for each optimisation."""
    return {
        "set": [t.group for t, _ in results],
        "structure": [t.name for t, _ in results],
        "n_atoms": [len(t.structure.numbers) for t, _ in results],
        "optimiser": [t.settings.optimiser for t, _ in results],
        "forces": [t.method for t, _ in results],
        "verdict": [o.verdict for _, o in results],
        "steps": [max(0, len(o.trace) - 1) for _, o in results],
        "slow_calls": [o.n_slow for _, o in results],
        "fast_calls": [o.n_fast for _, o in results],
        "seconds": [o.seconds for _, o in results],
        "cpu_seconds": [o.cpu_seconds for _, o in results],
        "energy_eV": [o.energy for _, o in results],
        "largest_force_eV_per_A": [o.trace[-1] if o.trace else None for _, o in results],
    }


def draw(results: Sequence[Result], path: Path, provenance: Sequence[str]) -> Path:
    """Largest force against steps, a panel for each set and optimiser."""
    keys = list(dict.fromkeys(_panel(t) for t, _ in results))[:DRAWN_PANELS]
    with plots.style():
        figure, panels = plots.figure(len(keys), height_in=2.6)
        for panel, key in zip(panels, keys, strict=True):
            _draw_set(panel, [r for r in results if _panel(r[0]) == key])
            panel.set_title(", ".join(key))
        above = (1.0, 1.0)  # traces are everywhere below
        panels[0].legend(loc="lower right", bbox_to_anchor=above, ncols=3, borderaxespad=0.2)
        return plots.save(figure, path, provenance)


def _panel(task: Task) -> tuple[str, str]:
    return task.group, task.settings.optimiser


def _draw_set(panel: Axes, results: Sequence[Result]) -> None:
    """Each optimisation as a line; of many, their median too, where each stays at its last."""
    for method, shade in SHADES.items():
        traces = [o.trace for t, o in results if t.method == method and o.trace]
        many = len(traces) >= MANY
        for rank, trace in enumerate(traces):
            label = method if rank == 0 and not many else None
            alpha = 0.12 if many else 0.7
            panel.plot(trace, color=plots.colour(shade), label=label, linewidth=0.8, alpha=alpha)
        if many:
            middle = median_trace(traces)
            panel.plot(middle, color=plots.colour(shade), label=method, linewidth=2.0)
    fmax = results[0][0].settings.fmax
    panel.axhline(fmax, color="0.6", linewidth=0.8, linestyle=":")
    panel.set(yscale="log", xlabel="step", ylabel="largest force\n" r"(eV/$\mathrm{\AA}$)")
    highest = max((max(o.trace) for _, o in results if o.trace), default=HIGH)
    panel.set_ylim(fmax / 5, min(2 * max(highest, fmax), HIGH))  # atoms on top of each other: 1e9


def median_trace(traces: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Median over traces at each step ``(longest,)``; one that has ended stays where it ended."""
    longest = max(len(trace) for trace in traces)
    padded = [np.pad(trace, (0, longest - len(trace)), mode="edge") for trace in traces]
    return np.asarray(np.median(padded, axis=0))


def write_structures(path: Path, results: Sequence[Result]) -> None:
    """Write all final structures as extxyz, with what was done and how it ended.

    Masses stand there where they aren't those of ASE's table, what was held (``move_mask``), and
    lattice vectors along which there is no periodicity, for a run that starts from them; charge
    and spin as the start said them.
    """
    import ase.io

    path.unlink(missing_ok=True)
    path.touch()
    for task, outcome in results:
        if outcome.structure is None:
            continue
        atoms, columns = to_atoms(outcome.structure), ["symbols", "positions"]
        atoms.info = {
            "name": task.name, "forces": task.method, "optimizer": task.settings.optimiser,
            "verdict": outcome.verdict, "energy_eV": outcome.energy, **task.electrons,
        }  # fmt: skip
        if task.box is not None:
            atoms.set_cell(task.box)
        if task.masses_u is not None:
            atoms.set_masses(task.masses_u)
            columns.append("masses")
        if task.fixed is not None:
            hold(atoms, task.fixed)
            columns.append("move_mask")
        ase.io.write(path, atoms, format="extxyz", append=True, columns=columns)
