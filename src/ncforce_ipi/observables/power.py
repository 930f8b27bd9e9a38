"""Power of non-conservative forces from the heat that a thermostat takes out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ncforce_ipi.analysis.power import Power, nonconservative_power
from ncforce_ipi.analysis.statistics import with_error
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.drift import Series, read_series, text
from ncforce_ipi.reading.replicas import Given, interval_of_replicas
from ncforce_ipi.result import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WITH = "slope of the conserved quantity"
WITHOUT = "slope of kinetic + thermostat energy (the forces have no energy)"


def measure(paths: Sequence[Path], given: Given, *, without_potential: bool = False) -> Finding:
    """Power per atom of each run, and the mean over several.

    Raises
    ------
    InputError
        No conserved quantity, or as `drift.fit_drift`.
    """
    found = read_series(paths, given)
    powers = [_power(one, without_potential) for one in found]
    lines: list[tuple[str, str]] = []
    runs = []
    for one, power in zip(found, powers, strict=True):
        lines += _lines(one, power)
        runs.append(_numbers(one, power))
    numbers: dict = {"runs": runs}
    if len(found) > 1:
        mean, ci95 = interval_of_replicas([power.rate.slope for power in powers])
        numbers["mean_power_meV_per_atom_per_ps"] = mean
        numbers["mean_power_ci95_meV_per_atom_per_ps"] = ci95
        lines.append(("mean power", f"{with_error(mean, ci95)} meV/atom/ps over {len(found)} runs"))
    lines.append(("errors", "95 % intervals, corrected for autocorrelation"))
    columns = {
        "run": np.concatenate([np.full(len(one.time_ps), k) for k, one in enumerate(found)]),
        "time_ps": np.concatenate([one.time_ps for one in found]),
        "work_meV_per_atom": np.concatenate(
            [_drifting(*pair) for pair in zip(found, powers, strict=True)]
        ),
    }
    return Finding(lines, numbers, columns, partial(_draw, found, powers))


def _power(one: Series, without_potential: bool) -> Power:
    if one.conserved_meV is None:
        raise InputError(
            f"{one.name} has no column conserved; add conserved{{electronvolt}} to the properties "
            "in the i-PI input"
        )
    if without_potential and one.potential_meV is None:
        raise InputError(
            f"{one.name} has no column potential to leave out; add potential{{electronvolt}} to "
            "the properties in the i-PI input"
        )
    return nonconservative_power(
        one.time_ps,
        one.conserved_meV,
        one.temperature_K,
        one.potential_meV,
        without_potential=without_potential,
    )


def _drifting(one: Series, power: Power) -> np.ndarray:
    """What the power is the slope of, from its first value."""
    series = np.asarray(one.conserved_meV)
    if not power.with_potential and one.potential_meV is not None:
        series = series - one.potential_meV
    return series - series[0]


def _numbers(one: Series, power: Power) -> dict[str, float | str | bool]:
    return {
        "run": one.name,
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


def _lines(one: Series, power: Power) -> list[tuple[str, str]]:
    lines = [
        ("run", f"{one.name}, {power.rate.start_ps:g} to {power.rate.end_ps:g} ps"),
        ("power", text(power.rate, "meV/atom/ps")),
        ("", text(power.watts, "W/atom")),
        ("from", WITH if power.with_potential else WITHOUT),
    ]
    if not power.with_potential and not power.stationary:
        slope = text(power.temperature, "K/ps")
        lines.append(
            (
                "warning",
                f"T drifts by {slope}: not shown to be stationary, discard more or run longer",
            )
        )
    return lines + [("note", note) for note in one.notes]


def _draw(found: list[Series], powers: list[Power]) -> Figure:
    from ncforce_ipi import plots

    figure, (panel,) = plots.figure(1, height_in=3.6)
    for rank, (one, power) in enumerate(zip(found, powers, strict=True)):
        time_ps, values = plots.thin(one.time_ps, _drifting(one, power))
        shade = plots.PALETTE[rank % len(plots.PALETTE)]
        panel.plot(time_ps, values, color=shade, linewidth=0.9, alpha=0.7, label=one.name)
        start = np.asarray(one.conserved_meV)[0]
        if not power.with_potential and one.potential_meV is not None:
            start = start - one.potential_meV[0]
        line = power.rate.at(time_ps) - start
        panel.plot(time_ps, line, color=plots.colour("line"))
    if len(found) > 1:
        figure.legend(loc="outside upper center", ncols=2)
    else:
        words = text(powers[0].rate, "meV/atom/ps").replace("+-", "±")
        panel.set_title(words, color=plots.colour("line"))
    panel.set(xlabel="time (ps)", ylabel="work of the forces\n(meV/atom)")
    return figure
