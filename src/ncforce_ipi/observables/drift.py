"""Drift of the conserved quantity and of the temperature of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.drift import (
    GIGAKELVIN_PER_S_PER_K_PER_PS,
    LAMBENCH_MEV_PER_ATOM_PER_PS,
    Drift,
    Tolerances,
    fit_drift,
    tolerances,
)
from ncforce_ipi.analysis.statistics import (
    Mean,
    combine,
    mean_of,
    mean_of_slopes,
    require_finite,
)
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.options import Window
from ncforce_ipi.observables.series import Series, is_constant
from ncforce_ipi.observables.source import Source
from ncforce_ipi.result import Printed, mean_numbers
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RunDrift:
    """Drifts of one run.

    Attributes
    ----------
    name : of the run
    whole : its series from first to last sample
    window : the part that is fitted
    temperature : K/ps
    conserved : meV/atom/ps; None where the conserved quantity isn't written
    mean_temperature : over the same part, K
    """

    name: str
    whole: Series
    window: Window
    temperature: Drift
    conserved: Drift | None
    mean_temperature: Mean

    @property
    def part(self) -> Series:
        """The series in the window."""
        return windowed(self.whole, self.window)

    @property
    def tolerances(self) -> Tolerances | None:
        """What LAMBench and mlipaudit say of it; None without a quantity that is conserved, or
        where nothing moves."""
        if self.conserved is None or self.whole.leaks:
            return None
        part = self.part
        if is_constant(part.temperature_K):
            return None
        kelvin_meV = 0.5e3 * BOLTZMANN_EV_PER_K * part.dof / part.n_atoms  # K of an atom from T
        found = tolerances(self.conserved, kelvin_meV * float(np.std(part.temperature_K)))
        if self.window.runaway_ps is None:
            return found
        return replace(found, lambench="fails", lambench_code="fails", mlipaudit="fails")  # lost


@dataclass(frozen=True)
class Drifts(Printed):
    """Drifts of one run or several replicas; see `result.Result`.

    Attributes
    ----------
    runs : of each run
    """

    runs: tuple[RunDrift, ...]

    @property
    def temperature(self) -> Drift:
        """K/ps; of several runs their mean, with the interval of `mean_of_slopes`."""
        return _mean([run.temperature for run in self.runs])

    @property
    def mean_temperature(self) -> Mean:
        """K; of several runs their mean."""
        if len(self.runs) == 1:
            return self.runs[0].mean_temperature
        weights = [float(len(run.part.time_ps)) for run in self.runs]
        return combine([run.mean_temperature for run in self.runs], weights)

    @property
    def conserved(self) -> Drift | None:
        """meV/atom/ps, likewise; None where a run doesn't write it."""
        every = [run.conserved for run in self.runs]
        there = [one for one in every if one is not None]
        return _mean(there) if len(there) == len(every) else None

    def lines(self) -> list[tuple[str, str]]:
        """See `result.Result`."""
        lines = _lines(self.runs[0]) if len(self.runs) == 1 else self._lines_of_several()
        return [*lines, ("errors", "of drifts: 95 % interval; of temperatures: one standard error")]

    def _lines_of_several(self) -> list[tuple[str, str]]:
        """A line for each run, then the means."""
        lines = [(run.name, _short(run)) for run in self.runs]
        lines += dict.fromkeys(line for run in self.runs for line in run.whole.freedom)
        over = f"over {len(self.runs)} runs"
        lines.append(("mean temperature", f"{self.mean_temperature.text('K')} {over}"))
        lines.append(("mean drift of T", f"{self.temperature.text('K/ps')} {over}"))
        if self.conserved is not None:
            words = self.conserved.text("meV/atom/ps")
            lines.append(("mean drift, conserved", f"{words} {over}"))
            if not any(run.whole.leaks for run in self.runs):
                answer = self.conserved.verdict(LAMBENCH_MEV_PER_ATOM_PER_PS)
                limit = f"tolerance {LAMBENCH_MEV_PER_ATOM_PER_PS:g} meV/atom/ps"
                lines.append(("", f"LAMBench: {answer} ({limit})"))
        notes = dict.fromkeys(note for run in self.runs for note in run.whole.notes)
        return lines + [("note", note) for note in notes]

    def to_dict(self) -> dict[str, Any]:
        """See `result.Result`."""
        numbers: dict[str, Any] = {"runs": [_numbers(run) for run in self.runs]}
        if len(self.runs) > 1:
            numbers |= mean_numbers("mean_temperature", "K", self.mean_temperature)
            numbers["mean_drift_temperature_K_per_ps"] = self.temperature.slope
            numbers["mean_drift_temperature_K_per_ps_ci95"] = self.temperature.ci95
            if self.conserved is not None:
                key = "mean_drift_conserved_meV_per_atom_per_ps"
                numbers[key], numbers[f"{key}_ci95"] = self.conserved.slope, self.conserved.ci95
        return numbers

    def columns(self) -> dict[str, NDArray]:
        """All runs below each other, whole; see `result.Result`."""
        every = [run.whole for run in self.runs]
        sizes = [len(one.time_ps) for one in every]
        columns = {
            "run": np.repeat(np.arange(len(every)), sizes),
            "time_ps": np.concatenate([one.time_ps for one in every]),
            "temperature_K": np.concatenate([one.temperature_K for one in every]),
        }
        energies = [one.conserved_meV for one in every if one.conserved_meV is not None]
        if len(energies) == len(every):
            columns["conserved_minus_start_meV_per_atom"] = np.concatenate(energies)
        return columns

    def figure(self) -> Figure:
        """See `result.Result`."""
        from ncforce_ipi.observables.figures import drifts

        return drifts(self.runs)


def measure(data: Dataset) -> Drifts:
    """Drifts of each run.

    Raises
    ------
    InputError
        Missing columns, fewer than 10 samples, values that aren't finite.
    """
    return data.remember("drift", lambda: Drifts(tuple(map(_of_run, data.sources))))


def windowed(series: Series, window: Window) -> Series:
    """The samples of a series that lie in a window."""
    if series.steps is None:
        late = series.time_ps - series.time_ps[0] >= window.discarded_ps - 1e-9
        return series.part(late)
    return series.part(window.of(series.steps))


def _of_run(source: Source) -> RunDrift:
    whole, window = source.series, source.window
    part = windowed(whole, window)
    for name, values in (("temperature", part.temperature_K), ("conserved", part.conserved_meV)):
        if values is not None:
            require_finite(values, f"{source.name}: {name}")
    conserved = part.conserved_meV
    return RunDrift(
        name=source.name,
        whole=whole,
        window=window,
        temperature=fit_drift(part.time_ps, part.temperature_K),
        conserved=None if conserved is None else fit_drift(part.time_ps, conserved, always=True),
        mean_temperature=mean_of(part.temperature_K),
    )


def _mean(drifts: Sequence[Drift]) -> Drift:
    """The one drift there is, or the mean of several with the interval of their spread."""
    if len(drifts) == 1:
        return drifts[0]
    slope, ci95 = mean_of_slopes([one.slope for one in drifts], [one.ci95 for one in drifts])
    return Drift(
        slope=slope,
        ci95=ci95,
        start=float(np.mean([one.start for one in drifts])),
        start_ps=min(one.start_ps for one in drifts),
        end_ps=max(one.end_ps for one in drifts),
        n_samples=sum(one.n_samples for one in drifts),
        n_independent=float(len(drifts)),
        reason=next((one.reason for one in drifts if one.reason), ""),
    )


def _short(run: RunDrift) -> str:
    """One of several runs in one line."""
    heat, energy = run.temperature, run.conserved
    parts = [
        f"{heat.start_ps:.6g} to {heat.end_ps:.6g} ps",
        run.mean_temperature.text("K"),
        heat.text("K/ps"),
    ]
    if energy is not None:
        parts.append(energy.text("meV/atom/ps"))
    if run.window.runaway_ps is not None:
        parts.append(f"RUNAWAY at {run.window.runaway_ps:.3g} ps; all is from before")
    return ", ".join(parts)


def _numbers(run: RunDrift) -> dict[str, Any]:
    heat, energy = run.temperature, run.conserved
    numbers: dict[str, Any] = {
        "run": run.name,
        "n_atoms": run.whole.n_atoms,
        "degrees_of_freedom": run.whole.dof,
        "time_ps": float(run.whole.time_ps[-1]),
        "discarded_ps": run.window.discarded_ps,
        "runaway_ps": run.window.runaway_ps,
        "from_ps": heat.start_ps,
        "to_ps": heat.end_ps,
        "temperature_K": run.mean_temperature.value,
        "temperature_standard_error_K": run.mean_temperature.error,
        "drift_temperature_K_per_ps": heat.slope,
        "drift_temperature_ci95_K_per_ps": heat.ci95,
        "drift_temperature_1e9_K_per_s": heat.slope * GIGAKELVIN_PER_S_PER_K_PER_PS,
        "drift_temperature_ci95_1e9_K_per_s": heat.ci95 * GIGAKELVIN_PER_S_PER_K_PER_PS,
        "n_independent_temperature": heat.n_independent,
    }
    if energy is not None:
        numbers |= {
            "drift_conserved_meV_per_atom_per_ps": energy.slope,
            "drift_conserved_ci95_meV_per_atom_per_ps": energy.ci95,
            **(kept.numbers() if (kept := run.tolerances) is not None else {}),
        }
    return numbers


def _lines(run: RunDrift) -> list[tuple[str, str]]:
    heat, energy, window = run.temperature, run.conserved, run.window
    lines = [
        ("run", f"{run.name}, {run.whole.n_atoms} atoms, {heat.start_ps:.6g} to "
                f"{heat.end_ps:.6g} ps"),
    ]  # fmt: skip
    if window.runaway_ps is not None:
        lines.append(("runaway", f"at {window.runaway_ps:.3g} ps; everything is from before"))
    lines += [
        *run.whole.freedom,
        ("mean temperature", run.mean_temperature.text("K")),
        ("drift of the temperature", heat.text("K/ps")),
        ("", heat.scaled(GIGAKELVIN_PER_S_PER_K_PER_PS).text("1e9 K/s")),
    ]
    if energy is None:
        lines.append(("note", "no column conserved: only the drift of the temperature"))
    else:
        lines.append(("drift of the conserved quantity", energy.text("meV/atom/ps")))
        if (kept := run.tolerances) is not None:
            lines += [("", line) for line in kept.lines()]
    return lines + [("note", note) for note in run.whole.notes]
