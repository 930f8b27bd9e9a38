"""What a properties file says over time: temperature and energies of all atoms."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.longrun import ROUNDING
from ncforce_ipi.analysis.temperature import temperature
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.freedom import Counted
from ncforce_ipi.reading.metadata import RunMetadata
from ncforce_ipi.reading.properties import Table
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

CONSTANT = (
    "the kinetic energy is the same in all rows: nothing moves, or the column isn't what it says, "
    "and no verdict is given"
)
WITHOUT_ENERGY = (
    "the forces have no energy: what is called conserved is kinetic + thermostat energy, whose "
    "slope is the power of the forces where the temperature has no trend"
)
HELD_CELL = (
    "a part of the cell is held (hfix): i-PI's conserved quantity gains energy with exact forces "
    "too (docs/theory), so that its slope says nothing of the forces"
)


@dataclass(frozen=True)
class Series:
    """Temperature and energies over time.

    Attributes
    ----------
    time_ps : ``(n_samples,)``, ps
    steps : ``(n_samples,)``; None where the file doesn't number them
    temperature_K : ``(n_samples,)``, K, ours: 2K / (k_B dof)
    conserved_meV : ``(n_samples,)``, meV/atom, less its first value; None without the column
    potential_meV : likewise, in full
    dof : degrees of freedom behind the temperature, of all beads
    n_atoms : number of atoms
    freedom : label and text of what the temperature counts
    notes : what a reader should know
    leaks : whether the conserved quantity changes with exact forces too
    """

    time_ps: NDArray[np.float64]
    steps: NDArray[np.int64] | None
    temperature_K: NDArray[np.float64]
    conserved_meV: NDArray[np.float64] | None
    potential_meV: NDArray[np.float64] | None
    dof: float
    n_atoms: int
    freedom: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    leaks: bool = False

    def part(self, chosen: NDArray[np.bool_]) -> Series:
        """The samples where ``chosen``, ``(n_samples,)``, is True."""

        def cut(values: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
            return None if values is None else values[chosen]

        return replace(
            self,
            time_ps=self.time_ps[chosen],
            steps=None if self.steps is None else self.steps[chosen],
            temperature_K=self.temperature_K[chosen],
            conserved_meV=cut(self.conserved_meV),
            potential_meV=cut(self.potential_meV),
        )


def series_of(
    table: Table,
    metadata: RunMetadata,
    *,
    time_ps: NDArray[np.float64],
    n_atoms: int,
    temperature_K: float | None = None,
    counted: Counted,
) -> Series:
    """What a properties file says over time.

    Parameters
    ----------
    table : of the whole run
    metadata : of the run
    time_ps : of each row, ``(n_rows,)``, ps
    n_atoms : number of atoms
    temperature_K : of the ensemble, K, where i-PI's own temperature must be corrected
    counted : what the kinetic energy holds

    Raises
    ------
    InputError
        No temperature.
    """
    dof, notes = counted.dof, []
    if not dof > 0.0:
        raise InputError(
            f"{table.path}: nothing is left that moves as heat ({counted.words[0][1]}); expected "
            "two atoms or more, or a centre of mass that isn't held (--free-com)"
        )
    if metadata.n_beads > 1:
        notes.append(
            f"path integral of {metadata.n_beads} beads: T is theirs over {metadata.n_beads}"
        )
    kinetic_eV = _of_beads(table, "kinetic_md", "electronvolt")
    theirs_K = _of_beads(table, "temperature", "kelvin")
    if kinetic_eV is not None:
        kelvin = temperature(kinetic_eV - counted.kinetic_eV, dof)
    elif theirs_K is not None:
        # i-PI's kinetic_md, and with it its temperature, is of a bead, P times as hot
        free = 3.0 * n_atoms * metadata.n_beads
        not_heat_K = 2.0 * counted.kinetic_eV / BOLTZMANN_EV_PER_K
        kelvin = (free * theirs_K - counted.held * (temperature_K or 0.0) - not_heat_K) / dof
        notes.append("no kinetic_md: T from i-PI's temperature" + (
            "" if temperature_K else "; its offset needs --temperature-K, its drift doesn't"
        ))  # fmt: skip
    else:
        raise InputError(
            f"{table.path} has neither kinetic_md nor temperature; add kinetic_md{{electronvolt}} "
            "to the properties in the i-PI input"
        )
    if is_constant(kelvin):
        notes.append(CONSTANT)
    energies = {
        name: 1e3 / n_atoms * table.column(name, "electronvolt")
        for name in ("conserved", "potential")
        if table.has(name)
    }
    conserved, potential = energies.get("conserved"), energies.get("potential")
    if conserved is not None and potential is not None and not potential.any():
        notes.append(WITHOUT_ENERGY)
    if metadata.held_cell and conserved is not None:
        notes.append(HELD_CELL)
    return Series(
        time_ps=time_ps,
        steps=table.column("step").astype(np.int64) if table.has("step") else None,
        temperature_K=kelvin,
        conserved_meV=None if conserved is None else conserved - conserved[0],
        potential_meV=potential,
        dof=dof,
        n_atoms=n_atoms,
        freedom=counted.words,
        notes=tuple(notes),
        leaks=metadata.held_cell,
    )


def is_constant(values: NDArray[np.float64]) -> bool:
    """Whether two or more values are the same but for rounding."""
    return len(values) > 1 and bool(np.ptp(values) <= ROUNDING * abs(values).max())


def _of_beads(table: Table, name: str, unit: str) -> NDArray[np.float64] | None:
    """A column, or the mean of ``name(bead=0)``, ..., which is what i-PI means by it; or None."""
    if table.has(name):
        return table.column(name, unit)
    beads = [one for one in table.names if one.startswith(f"{name}(bead=")]
    if not beads:
        return None
    return np.asarray(np.mean([table.column(one, unit) for one in beads], axis=0))
