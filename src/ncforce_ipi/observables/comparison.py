"""Runs side by side, in numbers: from one start with different forces, or any.

Owns which numbers tell runs apart.  Reads no file, starts nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.drift import Drift
from ncforce_ipi.analysis.statistics import Mean


@dataclass(frozen=True)
class Entry:
    """One run of a comparison.

    Attributes
    ----------
    name : of the run, unlike that of any other of the comparison
    record : ``run.json``; empty for a run of another launcher
    n_atoms : number of atoms
    time_ps : ``(n_samples,)``, ps
    conserved_meV : ``(n_samples,)``, meV/atom, less its first value; None where it isn't written
    temperature_K : ``(n_samples,)``, K, ours: 2K / (k_B dof)
    runaway_ps : when T passed 1.5 times the start temperature, ps; None if it didn't
    drift_conserved : meV/atom/ps, from the start to the end or runaway; None with few samples
    drift_temperature : K/ps, after the discarded start, likewise
    temperature : mean over the same samples, K; None with few samples
    split : mean of T(lightest species) - T(heaviest species), K; None if not to be had
    split_name : for instance ``T(H)-T(O)``; None with one species
    """

    name: str
    record: Mapping[str, Any]
    n_atoms: int
    time_ps: NDArray[np.float64]
    conserved_meV: NDArray[np.float64] | None
    temperature_K: NDArray[np.float64]
    runaway_ps: float | None
    drift_conserved: Drift | None
    drift_temperature: Drift | None
    temperature: Mean | None
    split: Mean | None
    split_name: str | None

    @property
    def forces(self) -> str:
        """slow, fast or mts; empty where nothing says it."""
        return str((self.record.get("plan") or {}).get("forces", ""))

    @property
    def mts(self) -> int:
        """M; 1 for a single force, 0 where nothing says it."""
        return int((self.record.get("plan") or {}).get("mts", 0))

    @property
    def kind(self) -> str:
        """The forces in words."""
        if self.forces == "mts":
            return f"MTS, M = {self.mts}"
        return f"{self.forces} only" if self.forces else "-"

    @property
    def state(self) -> str:
        """How the run ended; empty where nothing says it."""
        return str(self.record.get("state", ""))

    @property
    def reason(self) -> str:
        """Why it ended so."""
        return str(self.record.get("reason", ""))

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


def ratio_to_fast(entry: Entry, entries: Sequence[Entry]) -> float | None:
    """Wall time of an inner step over that of the one fast-only run of this size; None without."""
    alike = [other for other in entries if other.n_atoms == entry.n_atoms]
    fast = next((other for other in alike if other.forces == "fast"), None)
    if fast is None or not entry.ms_per_inner_step or not fast.ms_per_inner_step:
        return None
    return entry.ms_per_inner_step / fast.ms_per_inner_step
