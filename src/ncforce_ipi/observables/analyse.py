"""Everything that a run's files can tell: what ``ncforce analyze`` and ``report`` show."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import diffusion, disagreement, drift, power, rdf, temperature, vdos
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.velocities import Transform
from ncforce_ipi.result import Result, Unavailable

log = logging.getLogger(__name__)

HEADINGS = {
    "drift": "Drift",
    "temperature": "Temperature",
    "rdf": "g(r)",
    "vdos": "Velocity spectra",
    "diffusion": "Diffusion",
    "power": "Power of non-conservative forces",
    "disagreement": "Slow - fast at the outer points",
}
"""Each observable, in the order in which it is shown."""
NVE = "NVE: no thermostat takes the heat out; see the drift of the conserved quantity instead"


@dataclass(frozen=True)
class Settings:
    """What a user may choose.

    Attributes
    ----------
    r_max_A : end of g(r), A; None for as far as the cell allows
    transform : how spectra are made
    fit : where the line through displacements lies
    """

    r_max_A: float | None = None
    transform: Transform = field(default_factory=Transform)
    fit: diffusion.Fit = field(default_factory=diffusion.Fit)


@dataclass(frozen=True)
class Analysis:
    """All observables of one run, or of several replicas.

    Attributes
    ----------
    data : what they were measured on
    results : by name, in the order of `HEADINGS`; `result.Unavailable` says why there is none
    """

    data: Dataset
    results: Mapping[str, Result | Unavailable]

    @property
    def available(self) -> dict[str, Result]:
        """Those that are there."""
        return {name: one for name, one in self.results.items() if not isinstance(one, Unavailable)}

    @property
    def drift(self) -> drift.Drifts | None:
        """The drifts, if there are any."""
        one = self.results["drift"]
        return one if isinstance(one, drift.Drifts) else None

    def to_dict(self) -> dict[str, Any]:
        """The run, then the numbers of each observable; why, where there is none."""
        record = self.data.first.metadata.record
        return {
            "runs": [source.name for source in self.data.sources],
            "left_out": {one.name: one.why for one in self.data.left_out},
            "state": record.get("state"),
            "plan": record.get("plan"),
            "ms_per_inner_step": (record.get("timings") or {}).get("ms_per_inner_step"),
            **{
                name: {"unavailable": one.reason} if isinstance(one, Unavailable) else one.to_dict()
                for name, one in self.results.items()
            },
        }


def analyse(data: Dataset, settings: Settings | None = None) -> Analysis:
    """Every observable that the files allow; each file is read once.

    Raises
    ------
    InputError
        Nothing can be measured, or a setting that no file allows.
    """
    chosen = settings or Settings()
    measures: dict[str, Callable[[], Result]] = {
        "vdos": lambda: vdos.measure(data, chosen.transform),  # first: its pass serves temperature
        "drift": lambda: drift.measure(data),
        "temperature": lambda: temperature.measure(data),
        "rdf": lambda: rdf.measure(data, r_max_A=chosen.r_max_A),
        "diffusion": lambda: diffusion.measure(data, chosen.fit),
        "power": lambda: _power(data),
        "disagreement": lambda: disagreement.measure(data),
    }
    found: dict[str, Result | Unavailable] = {}
    for name, measure in measures.items():
        try:
            found[name] = measure()
        except InputError as err:
            if name == "rdf" and chosen.r_max_A is not None:
                raise
            found[name] = Unavailable(str(err))
    reasons = [one.reason for one in found.values() if isinstance(one, Unavailable)]
    if len(reasons) == len(found):
        raise InputError("; ".join(dict.fromkeys(reasons)))
    return Analysis(data, {name: found[name] for name in HEADINGS})


def _power(data: Dataset) -> power.Powers:
    if data.first.metadata.isolated:
        raise InputError(NVE)
    return power.measure(data)
