"""i-PI's own temperatures beside those of its velocities: are masses and held atoms right?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ncforce_ipi.analysis.temperature import ipi_temperature
from ncforce_ipi.observables.velocities import Kinetics

MASS_TOLERANCE = 5e-6
"""Velocities with 6 digits and i-PI's unit table agree to 1e-6; wrong isotopes or tables don't."""


@dataclass(frozen=True)
class FromIpi:
    """A temperature by i-PI's formula, which puts back what a fixed centre of mass lacks.

    Attributes
    ----------
    name : ``all`` or a species
    ours_K : from the velocities, K
    theirs_K : as i-PI wrote it at the same steps, K
    """

    name: str
    ours_K: float
    theirs_K: float

    @property
    def off(self) -> float:
        """Relative difference."""
        return abs(self.ours_K / self.theirs_K - 1.0) if self.theirs_K else math.inf


def of_ipi(one: Kinetics) -> list[FromIpi]:
    """i-PI's temperatures at the steps that both files have; none of a path integral."""
    replica, source = one.replica, one.replica.source
    table, ensemble_K = source.table, source.temperature_K
    if table is None or not table.has("step") or not replica.trajectory.numbered:
        return []
    if ensemble_K is None or source.metadata.n_beads > 1:
        return []
    steps = table.column("step").astype(np.int64)
    both = np.isin(replica.steps, steps)
    rows = np.searchsorted(steps, replica.steps[both])
    found, masses_u = [], replica.masses_u()
    for name, kinetic_eV in one.kinetic_eV.items():
        column = "temperature" if name == "all" else f"temperature({name})"
        if not table.has(column) or not both.any():
            continue
        members = (replica.species == name) | (name == "all")
        held = float((members[:, None] & ~one.freedom.moving).sum())
        ours_K = ipi_temperature(
            kinetic_eV[both], masses_u, members, ensemble_K,
            fixed_com=set(one.freedom.centre) == {"at rest"}, held=held,
        )  # fmt: skip
        theirs_K = table.column(column, "kelvin")[rows]
        found.append(FromIpi(name, float(ours_K.mean()), float(theirs_K.mean())))
    return found


def lines_of(found: Sequence[FromIpi]) -> list[tuple[str, str]]:
    """Label and text of each, or a warning."""
    lines = []
    for one in found:
        if one.off > MASS_TOLERANCE:
            lines.append(("warning", mismatch(one)))
        else:
            lines.append((f"i-PI's temperature, {one.name}", f"{one.theirs_K:.2f} K"))
    if lines:
        words = "(i-PI adds k_B T / 2 of the ensemble for each degree of freedom that is held)"
        lines.append(("", words))
    return lines


def mismatch(one: FromIpi) -> str:
    """What is wrong, in a line."""
    return (
        f"the velocities of {one.name} give i-PI's temperature only to {one.off:.1g}: are the "
        "masses those of the run, and are all atoms free to move?"
    )


def off(found: Sequence[FromIpi]) -> list[FromIpi]:
    """Those that don't agree."""
    return [one for one in found if one.off > MASS_TOLERANCE]
