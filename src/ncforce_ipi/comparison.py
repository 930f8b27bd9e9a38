"""Runs from one start with different forces, side by side, in numbers.

Owns which numbers tell such runs apart and over which time they are taken.  Starts nothing and
draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.drift import FEWEST_SAMPLES, Drift, before_runaway, fit_drift
from ncforce_ipi.analysis.statistics import Mean, mean_of
from ncforce_ipi.outputs import Table, read_properties
from ncforce_ipi.rundirectory import PROPERTIES, RunFacts, read_facts

DISCARD_PS = 0.1  # start of the temperatures: potential and kinetic energy come to terms


@dataclass(frozen=True)
class Entry:
    """One run of a comparison.

    Attributes
    ----------
    name : directory of the run
    plan, record : of ``run.json``
    time_ps : ``(n_samples,)``, ps
    conserved_meV : ``(n_samples,)``, meV/atom, less its first value
    temperature_K : ``(n_samples,)``, K
    runaway_ps : when T passed 1.5 times the start temperature, ps; None if it didn't
    drift_conserved : meV/atom/ps, from the start to the end or runaway; None with few samples
    drift_temperature : K/ps, after the discarded start, likewise
    split : mean of T(lightest species) - T(heaviest species), K; None if not to be had
    split_name : for instance ``T(H)-T(O)``; None with one species
    """

    name: str
    record: dict[str, Any]
    time_ps: NDArray[np.float64]
    conserved_meV: NDArray[np.float64]
    temperature_K: NDArray[np.float64]
    runaway_ps: float | None
    drift_conserved: Drift | None
    drift_temperature: Drift | None
    split: Mean | None
    split_name: str | None

    @property
    def forces(self) -> str:
        """slow, fast or mts."""
        return str(self.record["plan"]["forces"])

    @property
    def mts(self) -> int:
        """M; 1 for a single force."""
        return int(self.record["plan"]["mts"])

    @property
    def label(self) -> str:
        """For tables and legends."""
        return f"MTS, M = {self.mts}" if self.forces == "mts" else f"{self.forces} only"

    @property
    def ms_per_inner_step(self) -> float | None:
        """Wall time, all parts of the run together, ms."""
        return (self.record.get("timings") or {}).get("ms_per_inner_step")

    @property
    def model_ms_per_inner_step(self) -> float | None:
        """Of that, the time in the model, ms; None if a driver died without a report."""
        timings = self.record.get("timings") or {}
        model_s, wall_s, total = (
            timings.get(key) for key in ("model_s", "wall_s", "ms_per_inner_step")
        )
        return sum(model_s.values()) * total / wall_s if model_s and total else None


def read_entry(directory: Path) -> Entry:
    """The numbers of one run directory."""
    facts = read_facts(directory)
    table = read_properties(directory / PROPERTIES)
    time_ps = table.column("time", "picosecond")
    temperature_K = table.column("temperature", "kelvin")
    conserved_meV = 1e3 * table.column("conserved", "electronvolt") / facts.n_atoms
    calm = before_runaway(temperature_K, facts.temperature_K)
    late = calm & (time_ps >= min(DISCARD_PS, 0.5 * time_ps[-1]))
    return Entry(
        name=directory.name,
        record=facts.record,
        time_ps=time_ps,
        conserved_meV=conserved_meV - conserved_meV[0],
        temperature_K=temperature_K,
        runaway_ps=None if calm.all() else float(time_ps[np.argmin(calm)]),
        drift_conserved=_drift(time_ps, conserved_meV, calm),
        drift_temperature=_drift(time_ps, temperature_K, late),
        split=_split(table, facts, late),
        split_name=_split_name(facts),
    )


def ratio_to_fast(entry: Entry, entries: Sequence[Entry]) -> float | None:
    """Wall time of an inner step over that of the fast-only run; None without one."""
    fast = next((other for other in entries if other.forces == "fast"), None)
    if fast is None or not entry.ms_per_inner_step or not fast.ms_per_inner_step:
        return None
    return entry.ms_per_inner_step / fast.ms_per_inner_step


def _drift(time_ps: NDArray, series: NDArray, chosen: NDArray[np.bool_]) -> Drift | None:
    if np.count_nonzero(chosen) < FEWEST_SAMPLES:
        return None
    return fit_drift(time_ps, series, up_to=chosen)


def _light_and_heavy(facts: RunFacts) -> tuple[str, str]:
    by_mass = sorted(facts.masses_u, key=lambda symbol: facts.masses_u[symbol])
    return by_mass[0], by_mass[-1]


def _split_name(facts: RunFacts) -> str | None:
    light, heavy = _light_and_heavy(facts)
    return None if light == heavy else f"T({light})-T({heavy})"


def _split(table: Table, facts: RunFacts, chosen: NDArray[np.bool_]) -> Mean | None:
    light, heavy = _light_and_heavy(facts)
    if light == heavy or np.count_nonzero(chosen) < FEWEST_SAMPLES:
        return None
    columns = [table.column(f"temperature({symbol})", "kelvin") for symbol in (light, heavy)]
    return mean_of((columns[0] - columns[1])[chosen])
