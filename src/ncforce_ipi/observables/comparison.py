"""Runs side by side, in numbers: from one start with different forces, or any.

Owns which numbers tell runs apart.  They are those of `drift` and `temperature`; none is made here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.drift import Drift
from ncforce_ipi.analysis.statistics import Mean
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import drift, temperature
from ncforce_ipi.observables.analyse import Analysis, analyse
from ncforce_ipi.observables.conditions import Condition, replica_lines
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.drift import Drifts, RunDrift
from ncforce_ipi.observables.series import Series


@dataclass(frozen=True)
class Entry:
    """One run of a comparison.

    Attributes
    ----------
    name : of the run, unlike that of any other of the comparison
    record : ``run.json``; empty for a run of another launcher
    series : temperature and energies of the whole run
    runaway_ps : when its physics was gone, ps; None if it wasn't
    drift : of the run; None where it is too short
    means : of it and its replicas, if there are any; None where one is too short
    remarks : how many replicas there are, and which aren't used
    split : mean of T(lightest species) - T(heaviest species), K; None if not to be had
    split_name : for instance ``T(H)-T(O)``; None with one species
    """

    name: str
    record: Mapping[str, Any]
    series: Series
    runaway_ps: float | None
    drift: RunDrift | None
    split: Mean | None
    split_name: str | None
    means: Drifts | None = None
    remarks: tuple[str, ...] = ()

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return self.series.n_atoms

    @property
    def time_ps(self) -> NDArray[np.float64]:
        """``(n_samples,)``, ps."""
        return self.series.time_ps

    @property
    def drift_conserved(self) -> Drift | None:
        """meV/atom/ps."""
        return self.means.conserved if self.means else None

    @property
    def drift_temperature(self) -> Drift | None:
        """K/ps."""
        return self.means.temperature if self.means else None

    @property
    def temperature(self) -> Mean | None:
        """Of all atoms, K."""
        return self.means.mean_temperature if self.means else None

    @property
    def forces(self) -> str:
        """slow, fast or mts; empty where nothing says it."""
        return str((self.record.get("plan") or {}).get("forces", ""))

    @property
    def mts(self) -> int:
        """M; 1 for a single force, 0 where nothing says it."""
        return int((self.record.get("plan") or {}).get("mts") or 0)

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
        return sum(model_s.values()) * total / wall_s if model_s and total and wall_s else None


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes
    ----------
    entries : of each run
    analyses : all observables of each run, by its name
    """

    entries: tuple[Entry, ...]
    analyses: Mapping[str, Analysis]

    @property
    def model_sha256(self) -> str:
        """Of all models, with commas."""
        every = dict.fromkeys(one.data.model_sha256 for one in self.analyses.values())
        return ", ".join(filter(None, every))

    def files(self) -> list[Path]:
        """What was read, for the provenance."""
        return [file for one in self.analyses.values() for file in one.data.files()]


def compare(runs: Mapping[str, Dataset]) -> Comparison:
    """Measure runs, by name, with the same functions as any single one.

    Raises
    ------
    InputError
        A run without a properties file of i-PI.
    """
    # first: its one pass over the velocities serves the entries too
    analyses = {name: analyse(data) for name, data in runs.items()}
    return Comparison(tuple(entry_of(data, name) for name, data in runs.items()), analyses)


def conditions_of(every: Sequence[Sequence[Condition]]) -> dict[str, Dataset]:
    """Runs and conditions of replicas by names that tell them apart.

    Raises
    ------
    InputError
        A directory is named twice.
    """
    names = names_of([found[0].data.place for found in every])
    return {
        ", ".join(filter(None, [name, one.name])): one.data
        for name, found in zip(names, every, strict=True)
        for one in found
    }


def names_of(directories: Sequence[Path]) -> list[str]:
    """The last part of each path, or as much of its end as tells it from the others.

    Raises
    ------
    InputError
        A directory is named twice.
    """
    paths = [directory.resolve() for directory in directories]
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise InputError(f"{twice[0]} is named twice; expected different runs")
    length = [1] * len(paths)
    while True:
        names = ["/".join(path.parts[-n:]) for path, n in zip(paths, length, strict=True)]
        counts = Counter(names)
        if len(counts) == len(names):
            return names
        length = [n + (counts[name] > 1) for name, n in zip(names, length, strict=True)]


def entry_of(data: Dataset, name: str = "") -> Entry:
    """The numbers of one run.

    Raises
    ------
    InputError
        No properties file, or it lacks time and a temperature.
    """
    source = data.first
    try:
        found: Drifts | None = drift.measure(data)
    except InputError:
        if source.series.time_ps.size == 0:
            raise
        found = None  # too short
    split, split_name = _split(data)
    lost_ps = [one.window.runaway_ps for one in data.sources]
    lost_ps += [one.runaway_ps for one in data.left_out]
    return Entry(
        name=name or data.name,
        record=source.metadata.record,
        series=source.series,
        runaway_ps=min((one for one in lost_ps if one is not None), default=None),
        drift=found.runs[0] if found else None,
        split=split,
        split_name=split_name,
        means=found,
        remarks=tuple(f"{label} {text}".strip() for label, text in replica_lines(data)),
    )


def ratio_to_fast(entry: Entry, entries: Sequence[Entry]) -> float | None:
    """Wall time of an inner step over that of the one fast-only run of this size; None without."""
    alike = [other for other in entries if other.n_atoms == entry.n_atoms]
    fast = next((other for other in alike if other.forces == "fast"), None)
    if fast is None or not entry.ms_per_inner_step or not fast.ms_per_inner_step:
        return None
    return entry.ms_per_inner_step / fast.ms_per_inner_step


def _split(data: Dataset) -> tuple[Mean | None, str | None]:
    """T(lightest) - T(heaviest), of the velocities, and what to call it."""
    masses_u = data.first.metadata.masses_u or {}
    by_mass = sorted(masses_u, key=lambda symbol: masses_u[symbol])
    if len(by_mass) < 2:
        return None, None
    light, heavy = by_mass[0], by_mass[-1]
    name = f"T({light})-T({heavy})"
    try:
        pairs = {pair.names: pair.difference for pair in temperature.measure(data).pairs}
    except InputError:
        return None, name
    if (light, heavy) in pairs:
        return pairs[light, heavy], name
    mean = pairs.get((heavy, light))
    if mean is None:  # a species that never moves has no temperature
        return None, name
    return replace(mean, value=-mean.value), name
