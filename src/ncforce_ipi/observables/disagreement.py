"""How much slow and fast force disagree, at the outer points of a run with both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.statistics import Mean, combine, mean_of
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.source import Source
from ncforce_ipi.reading.properties import Table, read_properties
from ncforce_ipi.result import Printed
from ncforce_ipi.rundir import DISAGREEMENT_FILE, PREFIX

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RMS, LARGEST, UNIT = "slow_minus_fast_rms", "slow_minus_fast_max", "ev/ang"


@dataclass(frozen=True)
class RunDisagreement:
    """Of one run, in the part that everything is measured over.

    Attributes
    ----------
    name : of the run
    time_ps : ``(n_points,)``, ps
    rms : root mean square over atoms, beads and directions, of all atoms ("all") and of each
        species, each ``(n_points,)``, eV/A
    largest : length of the largest difference of an atom, ``(n_points,)``, eV/A
    upper : beyond it the card of the fast model says that they disagree too much, eV/A; None
        without a card
    """

    name: str
    time_ps: NDArray[np.float64]
    rms: dict[str, NDArray[np.float64]]
    largest: NDArray[np.float64]
    upper: float | None

    def mean(self, species: str = "all") -> Mean:
        """Root of the mean square over time, with its standard error, eV/A."""
        square = mean_of(self.rms[species] ** 2)
        value = float(np.sqrt(square.value))
        error = square.error / (2.0 * value) if value else square.error
        return Mean(value, error, square.n_independent, square.dof, square.reason)

    @property
    def beyond(self) -> float | None:
        """Part of the outer points that lie beyond the card's limit; None without one."""
        return None if self.upper is None else float(np.mean(self.rms["all"] > self.upper))

    def lines(self) -> list[tuple[str, str]]:
        """Label and text of each line."""
        words = [
            ("run", f"{self.name}, {self.time_ps[0]:.6g} to {self.time_ps[-1]:.6g} ps"),
            ("root mean square", self.mean().text("eV/A")),
            *((f"of {name}", self.mean(name).text("eV/A")) for name in self.rms if name != "all"),
            ("largest of an atom", f"{self.largest.max():.3g} eV/A"),
        ]
        if self.upper is not None:
            beyond = f"{100 * (self.beyond or 0.0):.3g} % of outer points beyond"
            words.append(("card of the fast model", f"at most {self.upper:.3g} eV/A; {beyond}"))
        return words

    def numbers(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = {"run": self.name, "upper_eV_per_A": self.upper}
        for name in self.rms:
            mean, key = self.mean(name), "rms" if name == "all" else f"rms_{name}"
            found[f"{key}_eV_per_A"] = mean.value
            found[f"{key}_standard_error_eV_per_A"] = mean.error
        return found | {
            "largest_eV_per_A": float(self.largest.max()),
            "fraction_beyond": self.beyond,
        }


@dataclass(frozen=True)
class Disagreements(Printed):
    """Of one run or several replicas; see `result.Result`.

    Attributes
    ----------
    runs : of each run
    """

    runs: tuple[RunDisagreement, ...]

    def lines(self) -> list[tuple[str, str]]:
        """See `result.Result`."""
        if len(self.runs) == 1:
            lines = self.runs[0].lines()
        else:
            lines = [(run.name, _short(run)) for run in self.runs]
            weights = [float(len(run.time_ps)) for run in self.runs]
            mean = combine([run.mean() for run in self.runs], weights)
            lines.append(("mean", f"{mean.text('eV/A')} over {len(self.runs)} runs"))
        return [*lines, ("errors", "one standard error, corrected for autocorrelation")]

    def to_dict(self) -> dict[str, Any]:
        """See `result.Result`."""
        return {"runs": [run.numbers() for run in self.runs]}

    def columns(self) -> dict[str, NDArray]:
        """All runs below each other; see `result.Result`."""
        sizes = [len(run.time_ps) for run in self.runs]
        return {
            "run": np.repeat(np.arange(len(self.runs)), sizes),
            "time_ps": np.concatenate([run.time_ps for run in self.runs]),
            "rms_eV_per_A": np.concatenate([run.rms["all"] for run in self.runs]),
            "largest_eV_per_A": np.concatenate([run.largest for run in self.runs]),
        }

    def figure(self) -> Figure:
        """See `result.Result`."""
        from ncforce_ipi.observables.figures import disagreements

        return disagreements(self.runs)


def _short(run: RunDisagreement) -> str:
    """One of several runs in one line."""
    words = f"{run.mean().text('eV/A')}, largest of an atom {run.largest.max():.3g} eV/A"
    if run.upper is not None:
        beyond = f"{100 * (run.beyond or 0.0):.3g} % of outer points beyond"
        words += f", {beyond} the {run.upper:.3g} eV/A of the card"
    return words


def measure(data: Dataset) -> Disagreements:
    """Root mean square of slow - fast of each run.

    Raises
    ------
    InputError
        No file of it: a run of one force, of stock i-PI, or of an earlier version.
    """
    return Disagreements(tuple(_of_run(source) for source in data.sources))


def _of_run(source: Source) -> RunDisagreement:
    path = source.directory / DISAGREEMENT_FILE
    own = source.is_run and (source.path.is_dir() or source.path.name.startswith(f"{PREFIX}."))
    if not (own and path.is_file()):
        raise InputError(
            f"{source.name} has no {path.name}: 'ncforce run' writes it where both forces are used"
        )
    table, window = read_properties(path), source.window
    steps = table.column("step")
    inside = steps >= (window.from_step or 0)
    if window.to_step is not None:
        inside &= steps <= window.to_step
    if not inside.any():
        raise InputError(f"{path} has no row in the part of the run that is measured")
    band = (source.metadata.record.get("slow_minus_fast") or {}).get("band") or {}
    return RunDisagreement(
        source.name,
        table.column("time", "picosecond")[inside],
        {name: values[inside] for name, values in _by_species(table).items()},
        table.column(LARGEST, UNIT)[inside],
        band.get("upper"),
    )


def _by_species(table: Table) -> dict[str, NDArray[np.float64]]:
    """All atoms, then each species where there are several."""
    found = {"all": table.column(RMS, UNIT)}
    names = [name for name in table.names if name.startswith(f"{RMS}(")]
    if len(names) > 1:
        found |= {name[len(RMS) + 1 : -1]: table.column(name, UNIT) for name in names}
    return found
