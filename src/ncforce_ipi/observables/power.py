"""Power of non-conservative forces from the heat that a thermostat takes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.power import Power, nonconservative_power
from ncforce_ipi.analysis.statistics import mean_of_slopes, number_text
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.drift import windowed
from ncforce_ipi.observables.series import HELD_CELL, Series
from ncforce_ipi.observables.source import Source
from ncforce_ipi.result import Printed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WITH = "slope of the conserved quantity"
WITHOUT = "slope of kinetic + thermostat energy (the forces have no energy)"


@dataclass(frozen=True)
class RunPower:
    """Power of one run.

    Attributes
    ----------
    name : of the run
    series : what was fitted
    power : per atom
    """

    name: str
    series: Series
    power: Power

    @property
    def work_meV(self) -> NDArray[np.float64]:
        """What the power is the slope of, from its first value, ``(n_samples,)``, meV/atom."""
        values = np.asarray(self.series.conserved_meV)
        if not self.power.with_potential and self.series.potential_meV is not None:
            values = values - self.series.potential_meV
        return values - values[0]


@dataclass(frozen=True)
class Powers(Printed):
    """Power of one run or several replicas; see `result.Result`.

    Attributes
    ----------
    runs : of each run
    """

    runs: tuple[RunPower, ...]

    @property
    def mean(self) -> tuple[float, float]:
        """Mean and half width of its 95 % interval, meV/atom/ps (`mean_of_slopes`)."""
        rates = [run.power.rate for run in self.runs]
        return mean_of_slopes([one.slope for one in rates], [one.ci95 for one in rates])

    def lines(self) -> list[tuple[str, str]]:
        """See `result.Result`."""
        if len(self.runs) == 1:
            lines = _lines(self.runs[0])
        else:
            lines = [(run.name, _short(run)) for run in self.runs]
            words = f"{number_text(*self.mean, 'meV/atom/ps')} over {len(self.runs)} runs"
            lines.append(("mean power", words))
        return [*lines, ("errors", "95 % intervals, corrected for autocorrelation")]

    def to_dict(self) -> dict[str, Any]:
        """See `result.Result`."""
        numbers: dict[str, Any] = {"runs": [_numbers(run) for run in self.runs]}
        if len(self.runs) > 1:
            mean, ci95 = self.mean
            numbers["mean_power_meV_per_atom_per_ps"] = mean
            numbers["mean_power_ci95_meV_per_atom_per_ps"] = ci95
        return numbers

    def columns(self) -> dict[str, NDArray]:
        """All runs below each other; see `result.Result`."""
        sizes = [len(run.series.time_ps) for run in self.runs]
        return {
            "run": np.repeat(np.arange(len(self.runs)), sizes),
            "time_ps": np.concatenate([run.series.time_ps for run in self.runs]),
            "work_meV_per_atom": np.concatenate([run.work_meV for run in self.runs]),
        }

    def figure(self) -> Figure:
        """See `result.Result`."""
        from ncforce_ipi.observables.figures import powers

        return powers(self.runs)


def measure(data: Dataset, *, without_potential: bool = False) -> Powers:
    """Power per atom of each run.

    Parameters
    ----------
    data : with properties files
    without_potential : leave the potential energy out, for it isn't that of these forces

    Raises
    ------
    InputError
        No conserved quantity, or as `drift.fit_drift`.
    """
    return Powers(tuple(_of_run(source, without_potential) for source in data.sources))


def _of_run(source: Source, without_potential: bool) -> RunPower:
    series = windowed(source.series, source.window)
    if series.conserved_meV is None:
        raise InputError(
            f"{source.name} has no column conserved; add conserved{{electronvolt}} to the "
            "properties in the i-PI input"
        )
    if without_potential and series.potential_meV is None:
        raise InputError(
            f"{source.name} has no column potential to leave out; add potential{{electronvolt}} "
            "to the properties in the i-PI input"
        )
    if series.leaks:
        raise InputError(f"{source.name}: {HELD_CELL}; take a run at constant volume")
    power = nonconservative_power(
        series.time_ps,
        series.conserved_meV,
        series.temperature_K,
        series.potential_meV,
        without_potential=without_potential,
    )
    return RunPower(source.name, series, power)


def _numbers(run: RunPower) -> dict[str, Any]:
    power = run.power
    return {
        "run": run.name,
        "kind": WITH if power.with_potential else WITHOUT,
        "from_ps": power.rate.start_ps,
        "to_ps": power.rate.end_ps,
        "power_meV_per_atom_per_ps": power.rate.slope,
        "power_ci95_meV_per_atom_per_ps": power.rate.ci95,
        "power_W_per_atom": power.watts.slope,
        "power_ci95_W_per_atom": power.watts.ci95,
        "drift_temperature_K_per_ps": power.temperature.slope,
        "stationary": power.stationary,
    }


def _short(run: RunPower) -> str:
    """One of several runs in one line."""
    power = run.power
    words = f"{power.rate.start_ps:.6g} to {power.rate.end_ps:.6g} ps"
    words += f", {power.rate.text('meV/atom/ps')}, {WITH if power.with_potential else WITHOUT}"
    unsteady = not power.with_potential and not power.stationary
    return words + "; T drifts: not shown to be stationary" * unsteady


def _lines(run: RunPower) -> list[tuple[str, str]]:
    power = run.power
    lines = [
        ("run", f"{run.name}, {power.rate.start_ps:.6g} to {power.rate.end_ps:.6g} ps"),
        ("power of the forces", power.rate.text("meV/atom/ps")),
        ("", power.watts.text("W/atom")),
        ("from", WITH if power.with_potential else WITHOUT),
    ]
    if not power.with_potential and not power.stationary:
        slope = power.temperature.text("K/ps")
        lines.append(
            (
                "warning",
                f"T drifts by {slope}: not shown to be stationary, discard more or run longer",
            )
        )
    return lines + [("note", note) for note in run.series.notes]
