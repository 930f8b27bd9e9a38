"""Temperature of each species, equipartition and Maxwell's distribution, from velocities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.maxwell import Collector, Distribution
from ncforce_ipi.analysis.statistics import Mean, mean_of, with_error
from ncforce_ipi.analysis.temperature import (
    Equipartition,
    degrees_of_freedom,
    equipartition,
    ipi_temperature,
    kinetic_energy,
    temperature,
)
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.metadata import properties_beside
from ncforce_ipi.reading.properties import read_properties
from ncforce_ipi.reading.replicas import Given, Replica, open_replicas, together
from ncforce_ipi.result import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLOCKS, MOST_FRAMES = 8, 256
UNLIKELY_SIGMAS = 2.5  # of few samples: neither agreement nor a violation


@dataclass(frozen=True)
class Kinetics:
    """What the velocities of one replica tell.

    Attributes
    ----------
    replica : the trajectory
    steps : ``(n_frames,)``
    kinetic_eV : ``(n_frames,)``, eV, of ``all`` and of each species
    values_K : ``(n_frames,)``, K, likewise
    distributions : of each species
    """

    replica: Replica
    steps: NDArray[np.int64]
    kinetic_eV: dict[str, NDArray[np.float64]]
    values_K: dict[str, NDArray[np.float64]]
    distributions: dict[str, Distribution]


def measure(paths: Sequence[Path], given: Given) -> Finding:
    """Temperatures with errors, against the target and each other, and Maxwell's distribution.

    Raises
    ------
    InputError
        No masses, no frames.
    """
    replicas = open_replicas(paths, "velocities", given)
    found = [kinetics(replica) for replica in replicas]
    weights = [float(len(one.steps)) for one in found]
    target_K = replicas[0].target_K
    names = list(found[0].values_K)
    means = {
        name: together([mean_of(one.values_K[name]) for one in found], weights) for name in names
    }
    pairs = _equipartition(found, weights)
    lines = [(f"temperature, {name}", _text(mean, target_K)) for name, mean in means.items()]
    lines += [equipartition_line(pair) for pair in pairs]
    lines += [
        kurtosis_line(name, shown) for one in found for name, shown in one.distributions.items()
    ]
    numbers = _numbers(means, pairs, found, target_K)
    lines += _ipi_lines(found, numbers)
    if replicas[0].around.isolated:
        lines.append(("target", "none: NVE"))
    lines.append(("errors", "one standard error, corrected for autocorrelation"))
    return Finding(lines, numbers, _columns(found), partial(_draw, found, means))


def kinetics(replica: Replica) -> Kinetics:
    """One pass over the velocities."""
    species, masses_u = replica.species, replica.masses_u()
    groups = {"all": np.ones(len(species), dtype=bool)}
    groups |= {str(symbol): species == symbol for symbol in np.unique(species)}
    collector = Collector(
        species, masses_u, replica.temperature_K or 300.0, fixed_com=replica.fixed_com
    )
    parts: dict[str, list[NDArray]] = {name: [] for name in groups}
    per_block = min(max(len(replica.steps) // BLOCKS, 1), MOST_FRAMES)
    for velocities in collector.watch(block.values for block in replica.blocks(per_block)):
        for name, members in groups.items():
            parts[name].append(kinetic_energy(velocities[:, members], masses_u[members]))
    kinetic_eV = {name: np.concatenate(series) for name, series in parts.items()}
    values_K = {}
    for name, members in groups.items():
        dof = degrees_of_freedom(masses_u, members, fixed_com=replica.fixed_com)
        if not dof > 0.0:
            raise InputError(
                f"{replica.trajectory.path}: {name} has no degree of freedom with the centre of "
                "mass at rest; give --free-com if it isn't"
            )
        values_K[name] = temperature(kinetic_eV[name], dof)
    if len(groups) == 2:  # a single species is all there is
        values_K.pop("all")
    return Kinetics(replica, replica.steps, kinetic_eV, values_K, collector.distributions())


def of_ipi(one: Kinetics) -> dict[str, tuple[float, float]]:
    """i-PI's mean temperatures from the velocities by its formula, and as it wrote them, K.

    Only steps that both files have; empty without a properties file or the ensemble's temperature.
    """
    replica = one.replica
    properties = properties_beside(replica.trajectory.path)
    if properties is None or replica.temperature_K is None or not replica.trajectory.numbered:
        return {}
    table = read_properties(properties)
    if not table.has("step"):
        return {}
    steps = table.column("step").astype(np.int64)
    both = np.isin(one.steps, steps)
    rows = np.searchsorted(steps, one.steps[both])
    result = {}
    masses_u = replica.masses_u()
    for name, kinetic_eV in one.kinetic_eV.items():
        column = "temperature" if name == "all" else f"temperature({name})"
        if not table.has(column) or not both.any():
            continue
        members = (replica.species == name) | (name == "all")
        ours_K = ipi_temperature(
            kinetic_eV[both], masses_u, members, replica.temperature_K, fixed_com=replica.fixed_com
        )
        result[name] = (float(ours_K.mean()), float(table.column(column, "kelvin")[rows].mean()))
    return result


def equipartition_line(pair: Equipartition) -> tuple[str, str]:
    """Label and text: the difference of two temperatures and what it means."""
    label = f"T({pair.names[0]}) - T({pair.names[1]})"
    if math.isnan(pair.sigmas):
        return label, f"{pair.difference.value:.3g} K, too few independent samples for a verdict"
    words = "equipartition is violated" if pair.violated else "equipartition holds"
    if pair.sigmas > UNLIKELY_SIGMAS and not pair.violated:
        words = "too short a run to tell of equipartition"
    difference = with_error(pair.difference.value, pair.difference.error)
    return label, f"{difference} K, {pair.sigmas:.1f} sigma: {words}"


def kurtosis_line(name: str, shown: Distribution) -> tuple[str, str]:
    """Label and text: whether the velocities of a species are a Gaussian."""
    kurtosis = shown.excess_kurtosis
    text = with_error(kurtosis.value, kurtosis.error)
    if math.isnan(kurtosis.error):
        text = f"{kurtosis.value:.2g} (too few independent samples for an error)"
    elif kurtosis.error > 0.0:
        text += f", {shown.sigmas:.1f} sigma from Maxwell and Boltzmann's 0"
    return f"excess kurtosis of v, {name}", text


def _equipartition(found: Sequence[Kinetics], weights: Sequence[float]) -> list[Equipartition]:
    every = [
        equipartition({name: v for name, v in one.values_K.items() if name != "all"})
        for one in found
    ]
    return [
        Equipartition(pairs[0].names, together([pair.difference for pair in pairs], weights))
        for pairs in zip(*every, strict=True)
    ]


def _text(mean: Mean, target_K: float | None) -> str:
    if math.isnan(mean.error):
        return f"{mean.value:.4g} K (too few independent samples for an error)"
    text = f"{with_error(mean.value, mean.error)} K"
    if target_K is not None and mean.error > 0.0:
        off = mean.value - target_K
        text += f", {off:+.2g} K from {target_K:g} K: {abs(off) / mean.error:.1f} sigma"
    return text


def _ipi_lines(found: Sequence[Kinetics], numbers: dict) -> list[tuple[str, str]]:
    lines = []
    for one in found:
        for name, (ours_K, theirs_K) in of_ipi(one).items():
            numbers[f"ipi_temperature_{name}_K"] = theirs_K
            numbers[f"ipi_formula_{name}_K"] = ours_K
            off = abs(ours_K / theirs_K - 1.0)
            lines.append((f"i-PI's temperature, {name}", f"{theirs_K:.2f} K; its formula gives the "
                          f"same to {off:.0e}"))  # fmt: skip
    if lines:
        lines.append(("", "(i-PI adds 3/2 k_B T of the ensemble for the centre of mass at rest)"))
    return lines


def _numbers(
    means: Mapping[str, Mean],
    pairs: Sequence[Equipartition],
    found: Sequence[Kinetics],
    target_K: float | None,
) -> dict:
    numbers: dict = {"target_K": target_K}
    for name, mean in means.items():
        numbers[f"temperature_{name}_K"] = mean.value
        numbers[f"temperature_{name}_standard_error_K"] = mean.error
        numbers[f"temperature_{name}_n_independent"] = mean.n_independent
    for pair in pairs:
        key = f"temperature_{pair.names[0]}_minus_{pair.names[1]}"
        numbers[f"{key}_K"] = pair.difference.value
        numbers[f"{key}_standard_error_K"] = pair.difference.error
        numbers[f"{key}_sigmas"] = pair.sigmas
        numbers[f"{key}_violated"] = pair.violated
    numbers["runs"] = [
        {
            f"excess_kurtosis_{name}{suffix}": value
            for name, shown in one.distributions.items()
            for suffix, value in (
                ("", shown.excess_kurtosis.value),
                ("_standard_error", shown.excess_kurtosis.error),
            )
        }
        for one in found
    ]
    return numbers


def _columns(found: Sequence[Kinetics]) -> dict[str, NDArray]:
    columns = {
        "run": np.concatenate([np.full(len(one.steps), k) for k, one in enumerate(found)]),
        "step": np.concatenate([one.steps for one in found]),
    }
    for name in found[0].values_K:
        columns[f"temperature_{name}_K"] = np.concatenate([one.values_K[name] for one in found])
    return columns


def _draw(found: Sequence[Kinetics], means: Mapping[str, Mean]) -> Figure:
    from ncforce_ipi.observables import figures

    first = found[0]
    try:
        time_ps = 1e-3 * first.replica.step_fs * first.steps.astype(np.float64)
    except InputError:  # nothing says it, and nothing else needs it
        time_ps = None
    return figures.temperatures_and_distributions(
        first.values_K, first.distributions, means, time_ps
    )
