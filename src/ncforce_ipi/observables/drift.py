"""Drift of the conserved quantity and of the temperature of one or several runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.drift import (
    GIGAKELVIN_PER_S_PER_K_PER_PS,
    LAMBENCH_MEV_PER_ATOM_PER_PS,
    Drift,
    fit_drift,
)
from ncforce_ipi.analysis.statistics import mean_of, with_error
from ncforce_ipi.analysis.temperature import temperature
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.metadata import Surroundings
from ncforce_ipi.reading.properties import Table
from ncforce_ipi.reading.replicas import Given, interval_of_replicas, number_of_atoms, read_tables
from ncforce_ipi.result import Finding
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Series:
    """What a properties file says over time.

    Attributes
    ----------
    name : of the run
    time_ps : ``(n_samples,)``, ps
    temperature_K : ``(n_samples,)``, K, ours: 2K / (k_B dof)
    conserved_meV : ``(n_samples,)``, meV/atom, less its first value; None without the column
    potential_meV : likewise, in full
    dof : degrees of freedom behind the temperature, of all beads
    n_atoms : number of atoms
    notes : what a reader should know
    """

    name: str
    time_ps: NDArray[np.float64]
    temperature_K: NDArray[np.float64]
    conserved_meV: NDArray[np.float64] | None
    potential_meV: NDArray[np.float64] | None
    dof: float
    n_atoms: int
    notes: tuple[str, ...]


def read_series(paths: Sequence[Path], given: Given) -> list[Series]:
    """Series of properties files, after the discarded start."""
    return [series_of(table, around, given) for table, around in read_tables(paths, given)]


def measure(paths: Sequence[Path], given: Given) -> Finding:
    """Drifts of each run, and their mean over several.

    Raises
    ------
    InputError
        Missing columns, fewer than 10 samples, values that aren't finite.
    """
    found = read_series(paths, given)
    heat = [fit_drift(one.time_ps, one.temperature_K) for one in found]
    energy = [
        None if one.conserved_meV is None else fit_drift(one.time_ps, one.conserved_meV)
        for one in found
    ]
    lines: list[tuple[str, str]] = []
    runs = []
    for one, of_heat, of_energy in zip(found, heat, energy, strict=True):
        numbers = _numbers(one, of_heat, of_energy)
        runs.append(numbers)
        lines += _lines(one, of_heat, of_energy, numbers)
    means = _mean_numbers(heat, energy)
    lines += _mean_lines(means, len(found))
    return Finding(
        lines, {"runs": runs, **means}, _columns(found), partial(_draw, found, heat, energy)
    )


def text(drift: Drift, unit: str) -> str:
    """Slope and 95 % interval."""
    if math.isnan(drift.ci95):
        return f"{drift.slope:.3g} {unit} (run too short for an interval)"
    return f"{with_error(drift.slope, drift.ci95)} {unit}"


def series_of(table: Table, around: Surroundings, given: Given) -> Series:
    """What a properties file says over time.

    Raises
    ------
    InputError
        No temperature, or nothing says how many atoms there are.
    """
    n_atoms = number_of_atoms(table.path, around, given)
    fixed = 3.0 if given.fixed_com and around.fixed_com else 0.0
    free = 3.0 * n_atoms * around.n_beads  # i-PI's kinetic_md is that of a bead, P times as hot
    dof, notes = free - fixed, []
    if around.n_beads > 1:
        notes.append(f"path integral of {around.n_beads} beads: T is that of its classical beads")
    if table.has("kinetic_md"):
        temperature_K = temperature(table.column("kinetic_md", "electronvolt"), dof)
    elif table.has("temperature"):
        ensemble_K = given.temperature_K or around.temperature_K or 0.0
        theirs_K = table.column("temperature", "kelvin")
        temperature_K = (free * theirs_K - fixed * ensemble_K) / dof
        notes.append("no kinetic_md: T from i-PI's temperature" + (
            "" if ensemble_K else "; its offset needs --temperature-K, its drift doesn't"
        ))  # fmt: skip
    else:
        raise InputError(
            f"{table.path} has neither kinetic_md nor temperature; add kinetic_md{{electronvolt}} "
            "to the properties in the i-PI input"
        )
    energies = {
        name: 1e3 / n_atoms * table.column(name, "electronvolt")
        for name in ("conserved", "potential")
        if table.has(name)
    }
    conserved = energies.get("conserved")
    return Series(
        name=f"{table.path.parent.name}/{table.path.name}".lstrip("/"),
        time_ps=table.column("time", "picosecond"),
        temperature_K=temperature_K,
        conserved_meV=None if conserved is None else conserved - conserved[0],
        potential_meV=energies.get("potential"),
        dof=dof,
        n_atoms=n_atoms,
        notes=tuple(notes),
    )


def _numbers(one: Series, heat: Drift, energy: Drift | None) -> dict[str, float | str | bool]:
    mean = mean_of(one.temperature_K)
    numbers: dict[str, float | str | bool] = {
        "run": one.name,
        "temperature_K": mean.value,
        "temperature_standard_error_K": mean.error,
        "n_atoms": one.n_atoms,
        "from_ps": heat.start_ps,
        "to_ps": heat.end_ps,
        "drift_temperature_K_per_ps": heat.slope,
        "drift_temperature_ci95_K_per_ps": heat.ci95,
        "drift_temperature_1e9_K_per_s": heat.slope * GIGAKELVIN_PER_S_PER_K_PER_PS,
        "n_independent_temperature": heat.n_independent,
    }
    if energy is not None:
        # sigma(K) of an atom from that of T
        kelvin_meV = 0.5e3 * BOLTZMANN_EV_PER_K * one.dof / one.n_atoms
        sigma_meV = kelvin_meV * float(np.std(one.temperature_K))
        ratio = abs(energy.slope) * (energy.end_ps - energy.start_ps) / sigma_meV
        numbers |= {
            "drift_conserved_meV_per_atom_per_ps": energy.slope,
            "drift_conserved_ci95_meV_per_atom_per_ps": energy.ci95,
            "passes_lambench": abs(energy.slope) <= LAMBENCH_MEV_PER_ATOM_PER_PS,
            "drift_over_sigma_kinetic": ratio,
            "passes_mlipaudit": ratio <= 1.0,
        }
    return numbers


def _lines(
    one: Series, heat: Drift, energy: Drift | None, numbers: dict[str, float | str | bool]
) -> list[tuple[str, str]]:
    lines = [
        ("run", f"{one.name}, {one.n_atoms} atoms, {heat.start_ps:g} to {heat.end_ps:g} ps"),
        ("mean temperature", _mean_text(numbers)),
        ("drift of the temperature", text(heat, "K/ps")),
        ("", text(heat.scaled(GIGAKELVIN_PER_S_PER_K_PER_PS), "1e9 K/s")),
    ]
    if energy is None:
        lines.append(("note", "no column conserved: only the drift of the temperature"))
    else:
        words = {True: "passes", False: "fails"}
        lambench = words[bool(numbers["passes_lambench"])]
        audit = words[bool(numbers["passes_mlipaudit"])]
        ratio = numbers["drift_over_sigma_kinetic"]
        lines += [
            ("drift of the conserved quantity", text(energy, "meV/atom/ps")),
            ("", f"{lambench} LAMBench ({LAMBENCH_MEV_PER_ATOM_PER_PS:g} meV/atom/ps)"),
            ("", f"{audit} mlipaudit (|drift of the run| / sigma(K) = {ratio:.2g}, at most 1)"),
        ]
    return lines + [("note", note) for note in one.notes]


def _mean_text(numbers: dict[str, float | str | bool]) -> str:
    value, error = (float(numbers[f"temperature{end}_K"]) for end in ("", "_standard_error"))
    if math.isnan(error):
        return f"{value:.4g} K (too few independent samples for an error)"
    return f"{with_error(value, error)} K (one standard error)"


def _mean_numbers(heat: list[Drift], energy: list[Drift | None]) -> dict[str, float]:
    """Over replicas, with the interval that their spread gives."""
    if len(heat) < 2:
        return {}
    numbers = {}
    slopes = {"drift_temperature_K_per_ps": [one.slope for one in heat]}
    if all(energy):
        key = "drift_conserved_meV_per_atom_per_ps"
        slopes[key] = [one.slope for one in energy if one is not None]
    for key, values in slopes.items():
        numbers[f"mean_{key}"], numbers[f"mean_{key}_ci95"] = interval_of_replicas(values)
    return numbers


def _mean_lines(numbers: dict, n_runs: int) -> list[tuple[str, str]]:
    lines = []
    for key, label, unit in (
        ("mean_drift_temperature_K_per_ps", "mean drift of T", "K/ps"),
        ("mean_drift_conserved_meV_per_atom_per_ps", "mean drift, conserved", "meV/atom/ps"),
    ):
        if key in numbers:
            value = with_error(numbers[key], numbers[f"{key}_ci95"])
            lines.append((label, f"{value} {unit} over {n_runs} runs"))
    return [*lines, ("errors", "95 % intervals, corrected for autocorrelation")]


def _columns(found: list[Series]) -> dict[str, NDArray]:
    """All runs below each other."""
    columns = {
        "run": np.concatenate([np.full(len(one.time_ps), k) for k, one in enumerate(found)]),
        "time_ps": np.concatenate([one.time_ps for one in found]),
        "temperature_K": np.concatenate([one.temperature_K for one in found]),
    }
    if all(one.conserved_meV is not None for one in found):
        name = "conserved_minus_start_meV_per_atom"
        columns[name] = np.concatenate([np.asarray(one.conserved_meV) for one in found])
    return columns


def _draw(found: list[Series], heat: list[Drift], energy: list[Drift | None]) -> Figure:
    from ncforce_ipi import plots

    n_rows = 2 if any(energy) else 1
    figure, panels = plots.figure(n_rows, share_x=True)
    for rank, (one, of_heat, of_energy) in enumerate(zip(found, heat, energy, strict=True)):
        shade = plots.PALETTE[rank % len(plots.PALETTE)]
        label = one.name if len(found) > 1 else None
        time_ps, values = plots.thin(one.time_ps, one.temperature_K)
        panels[-1].plot(time_ps, values, color=shade, linewidth=0.8, alpha=0.6, label=label)
        plots.trend(panels[-1], of_heat, "K/ps", plots.colour("line", rank))
        if of_energy is not None and one.conserved_meV is not None:
            time_ps, values = plots.thin(one.time_ps, one.conserved_meV)
            panels[0].plot(time_ps, values, color=shade, linewidth=1.0)
            plots.trend(panels[0], of_energy, "meV/atom/ps", plots.colour("line", rank))
    if len(found) > 1:
        for panel in panels:
            panel.set_title("")
        figure.legend(loc="outside upper center", ncols=2)
    panels[-1].set(xlabel="time (ps)", ylabel="temperature (K)")
    if n_rows > 1:
        panels[0].set(ylabel="conserved, from start\n(meV/atom)")
    return figure
