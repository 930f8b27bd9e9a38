"""Temperature of each species, equipartition and Maxwell's distribution, from velocities."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.maxwell import Distribution
from ncforce_ipi.analysis.statistics import FEWEST_REPLICAS, Mean, combine, mean_of
from ncforce_ipi.analysis.temperature import Equipartition, equipartition, pooled
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.drift import windowed
from ncforce_ipi.observables.freedom import agreed
from ncforce_ipi.observables.fromipi import FromIpi, lines_of, mismatch, of_ipi, off
from ncforce_ipi.observables.rotation import note_of
from ncforce_ipi.observables.source import Source
from ncforce_ipi.observables.velocities import Kinetics, kinetics
from ncforce_ipi.result import Printed, mean_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Temperatures(Printed):
    """Temperatures of one system, of one run or several replicas; see `result.Result`.

    Attributes
    ----------
    means : K, of ``all`` and of each species
    pairs : differences between species
    runs : what the velocities of each run say
    target_K : what the means should be; None in NVE or where nothing says it
    isolated : whether nothing keeps the temperature: NVE
    of_ipi : i-PI's own temperatures beside ours, of each run
    rotation : lines that say why the angular momentum leaves no verdict; none where there is one
    """

    means: Mapping[str, Mean]
    pairs: tuple[Equipartition, ...]
    runs: tuple[Kinetics, ...]
    target_K: float | None
    isolated: bool
    of_ipi: tuple[FromIpi, ...]
    rotation: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Mean:
        """Mean of ``all`` or of a species, K."""
        return self.means[name]

    def lines(self) -> list[tuple[str, str]]:
        """See `result.Result`."""
        several = len(self.runs) > 1
        lines = [(f"temperature, {name}", _text(mean, self.target_K, several))
                 for name, mean in self.means.items()]  # fmt: skip
        lines += [equipartition_line(pair, told=not self.rotation) for pair in self.pairs]
        lines += list(zip(("note", "", ""), self.rotation, strict=False))
        if several:
            lines += _kurtosis_of_several(self.runs)
        else:
            lines += [kurtosis_line(*one) for one in self.runs[0].distributions.items()]
        lines += lines_of(self.of_ipi if not several else off(self.of_ipi))
        lines += agreed([one.words for one in self.runs])
        if self.isolated:
            lines.append(("target", "none: NVE"))
        words = "one standard error, corrected for autocorrelation"
        if len(self.runs) >= FEWEST_REPLICAS:
            words = f"one standard error, from the spread of {len(self.runs)} replicas"
        return [*lines, ("errors", words)]

    def to_dict(self) -> dict[str, Any]:
        """See `result.Result`."""
        numbers: dict[str, Any] = {"target_K": self.target_K}
        for name, mean in self.means.items():
            numbers |= mean_numbers(f"temperature_{name}", "K", mean)
        for pair in self.pairs:
            key = f"temperature_{pair.names[0]}_minus_{pair.names[1]}"
            numbers[f"{key}_K"] = pair.difference.value
            numbers[f"{key}_standard_error_K"] = pair.difference.error
            numbers[f"{key}_sigmas"] = pair.sigmas
            if not self.rotation:
                numbers[f"{key}_verdict"] = pair.answer
            numbers[f"{key}_limit_K"] = pair.limit_K
        for one in self.of_ipi:
            numbers[f"ipi_temperature_{one.name}_K"] = one.theirs_K
            numbers[f"ipi_formula_{one.name}_K"] = one.ours_K
        numbers["runs"] = [
            {
                f"excess_kurtosis_{name}{suffix}": value
                for name, shown in one.distributions.items()
                for suffix, value in (
                    ("", shown.excess_kurtosis.value),
                    ("_standard_error", shown.excess_kurtosis.error),
                )
            }
            | one.freedom.numbers()
            | ({"bead": one.bead.number, "n_beads": one.bead.n_beads} if one.bead else {})
            for one in self.runs
        ]
        return numbers

    def columns(self) -> dict[str, NDArray]:
        """All runs below each other; see `result.Result`."""
        sizes = [len(one.replica.steps) for one in self.runs]
        columns = {
            "run": np.repeat(np.arange(len(self.runs)), sizes),
            "step": np.concatenate([one.replica.steps for one in self.runs]),
        }
        for name in self.runs[0].values_K:
            series = [one.values_K[name] for one in self.runs]
            columns[f"temperature_{name}_K"] = np.concatenate(series)
        return columns

    def figure(self) -> Figure:
        """See `result.Result`."""
        from ncforce_ipi.observables.figures import temperatures_and_distributions

        first = self.runs[0]
        try:
            time_ps = first.replica.time_ps
        except InputError:  # nothing says it, and nothing else needs it
            time_ps = None
        return temperatures_and_distributions(
            first.values_K, first.distributions, self.means, time_ps
        )


def measure(data: Dataset) -> Temperatures:
    """Temperatures with errors, against the target and each other, and Maxwell's distribution.

    The mean of all atoms is that of the properties file, which has every step, where there is one.

    Raises
    ------
    InputError
        No masses, no frames.
    """
    return data.remember("temperature", lambda: _measure(data))


def _measure(data: Dataset) -> Temperatures:
    runs = kinetics(data)
    weights = [float(len(one.replica.steps)) for one in runs]
    means = {
        name: combine([mean_of(one.values_K[name]) for one in runs], weights)
        for name in runs[0].values_K
    }
    of_tables = [_of_table(source) for source in data.sources]
    there = [mean for mean in of_tables if mean is not None]
    if "all" in means and len(there) == len(of_tables):
        means["all"] = combine(there, weights)
    theirs = [found for one in runs for found in of_ipi(one)]
    for found in off(theirs):
        log.warning("%s", mismatch(found))
    return Temperatures(
        means=means,
        pairs=tuple(_equipartition(runs, weights)),
        runs=tuple(runs),
        target_K=data.first.target_K,
        isolated=data.first.metadata.isolated,
        of_ipi=tuple(theirs),
        rotation=next(filter(None, map(note_of, runs)), ()),
    )


def equipartition_line(pair: Equipartition, *, told: bool = True) -> tuple[str, str]:
    """Label and text: the difference of two temperatures and, if that is ``told``, its meaning."""
    words = pair.text if told else f"{pair.difference.text('K')}: no verdict (see the note)"
    return f"T({pair.names[0]}) - T({pair.names[1]})", words


def kurtosis_line(name: str, shown: Distribution) -> tuple[str, str]:
    """Label and text: whether the velocities of a species are a Gaussian."""
    kurtosis = shown.excess_kurtosis
    words = kurtosis.text()
    if kurtosis.error > 0.0:
        words += f", {shown.sigmas:.1f} sigma from Maxwell and Boltzmann's 0"
    return f"excess kurtosis of v, {name}", words


def _kurtosis_of_several(runs: Sequence[Kinetics]) -> list[tuple[str, str]]:
    weights = [float(len(one.replica.steps)) for one in runs]
    lines = []
    for name in runs[0].distributions:
        mean = combine([one.distributions[name].excess_kurtosis for one in runs], weights)
        words = f"{mean.text()} over {len(runs)} replicas"
        if mean.error > 0.0:
            words += f", {abs(mean.value) / mean.error:.1f} sigma from 0"
        lines.append((f"excess kurtosis of v, {name}", words))
    return lines


def _of_table(source: Source) -> Mean | None:
    """Mean temperature of all atoms by the properties file; None without one."""
    try:
        series = windowed(source.series, source.window)
    except InputError:
        return None
    return mean_of(series.temperature_K)


def _equipartition(runs: Sequence[Kinetics], weights: Sequence[float]) -> list[Equipartition]:
    every = [
        equipartition(
            {name: v for name, v in one.values_K.items() if name != "all"}, _duration_ps(one)
        )
        for one in runs
    ]
    return [
        pooled(pairs, weights, combine([pair.difference for pair in pairs], weights))
        for pairs in zip(*every, strict=True)
    ]


def _duration_ps(one: Kinetics) -> float | None:
    """Of the frames; None where nothing says it."""
    try:
        time_ps = one.replica.time_ps
    except InputError:  # all else needs no time
        return None
    return float(time_ps[-1] - time_ps[0])


def _text(mean: Mean, target_K: float | None, several: bool) -> str:
    """With the 95 % interval where there are several runs: of few it is wider than two errors."""
    words = mean.text("K")
    half_K = mean.half_width(0.95)
    if several and half_K > 0.0:
        words += f" (95 %: +- {half_K:.2g} K)"
    if target_K is not None and mean.error > 0.0:
        off = mean.value - target_K
        words += f", {off:+.2g} K from {target_K:g} K: {abs(off) / mean.error:.1f} sigma"
    return words
