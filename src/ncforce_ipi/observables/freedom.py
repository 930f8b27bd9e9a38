"""What of a run's kinetic energy is heat, looked up in the run itself.

Owns the order of witnesses: the velocities that it wrote, the columns of its properties file, its
checkpoint; and where there is none of them, what is assumed and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ncforce_ipi.analysis.freedom import LABEL, Freedom, all_free, freedom_of, none_free
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.properties import Table
from ncforce_ipi.reading.trajectory import Frames, Trajectory
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from ncforce_ipi.observables.source import Source

SAMPLE = 64
"""Frames, spread over the run, that show what moves and how."""
WHOLE, DIGITS = 0.02, 3e-6
"""What is further from a whole number of degrees of freedom is none.  i-PI writes 8 digits, and its
kelvin is off by 1.5e-6."""


@dataclass(frozen=True)
class Counted:
    """What the kinetic energy of a properties file holds.

    Attributes
    ----------
    dof : degrees of freedom, of all beads
    held : those that i-PI's own temperature adds k_B T / 2 for
    kinetic_eV : of the centre of mass, to take off because it isn't heat
    words : label and text for people
    """

    dof: float
    held: float
    kinetic_eV: float
    words: tuple[tuple[str, str], ...]


def sample_frames(trajectory: Trajectory) -> list[Frames]:
    """Up to 64 frames from first to last; those before the first one that can't be read."""
    chosen = np.unique(np.linspace(0, len(trajectory.steps) - 1, SAMPLE).astype(np.int64))
    few = replace(trajectory, steps=trajectory.steps[chosen], spans=trajectory.spans[chosen])
    found: list[Frames] = []
    try:
        found.extend(few.blocks(1))
    except InputError:  # whoever needs all frames is told
        if not found:
            raise
    return found


def of_velocities(source: Source, trajectory: Trajectory) -> Freedom:
    """What velocities (or momenta) of a run show.

    Raises
    ------
    InputError
        No masses, or not one frame that can be read.
    """
    masses_u = source.masses_u(trajectory)
    frames = sample_frames(trajectory)[::-1]
    values = np.empty((len(frames), len(masses_u), 3))
    for place in values:
        place[:] = frames.pop().values[0]  # of many atoms they are large: not twice in memory
    if trajectory.quantity == "momenta":
        values /= masses_u[:, None]
    metadata = source.metadata
    thermostatted = not metadata.fixed_com and not metadata.isolated
    found = replace(
        freedom_of(values, masses_u, said_free=thermostatted), n_constraints=metadata.n_constraints
    )
    if not source.options.fixed_com:
        return all_free(found)
    if source.bead(trajectory) is not None and len(masses_u) > 1:
        return none_free(found)  # fixcom holds the centroid's: no bead is at rest
    return found


def counted(source: Source, table: Table) -> Counted:
    """What the kinetic energy of a run's properties file holds."""
    metadata, free = source.metadata, 3 * source.n_atoms * source.metadata.n_beads
    found = source.freedom
    if found is not None:
        fixed = int(np.count_nonzero(~found.moving)) * metadata.n_beads
        by_data = source.velocities is not None and source.bead(source.velocities) is None
        centre = int(np.count_nonzero(~found.counted)) if by_data else _said_centre(source)
        bonds = metadata.n_constraints * metadata.n_beads
        kinetic_eV = found.kinetic_eV if by_data else 0.0
        held = fixed + (found.centre.count("at rest") if by_data else centre)
        if metadata.n_beads == 1:
            return Counted(found.dof(), held, kinetic_eV, tuple(found.lines()))
        dof = free - fixed - centre - bonds
        words = f"{dof} of all beads, as the velocities show"
        return Counted(dof, held, kinetic_eV, ((LABEL, words),))
    return _without_velocities(source, table, free)


def _without_velocities(source: Source, table: Table, free: int) -> Counted:
    metadata = source.metadata
    bonds = metadata.n_constraints * metadata.n_beads
    held = _by_columns(table, free, source.temperature_K)
    if held is not None and source.options.fixed_com:
        dof = free - held - bonds  # i-PI's temperature knows nothing of constraints
        words = f"{dof}, as kinetic_md and temperature in {table.path.name} show"
        return Counted(dof, held, 0.0, ((LABEL, words),))
    held = len(metadata.fixed) * metadata.n_beads + _said_centre(source)
    dof = free - held - bonds
    words = f"{dof}, as "
    if not source.options.fixed_com:
        words += "--free-com says"
    elif metadata.counts or metadata.record:
        words += "the checkpoint or run.json says"
    else:
        words += (
            "in i-PI's default, where the centre of mass is at rest; nothing beside "
            f"{table.path.name} shows it (velocities or RESTART would, --free-com says otherwise)"
        )
    return Counted(dof, held, 0.0, ((LABEL, words),))


def _said_centre(source: Source) -> int:
    return 3 if source.options.fixed_com and source.metadata.fixed_com else 0


def _by_columns(table: Table, free: int, ensemble_K: float | None) -> int | None:
    """Degrees of freedom that i-PI holds: its temperature is (2K + held k_B T) / (free k_B).

    None where the file has only one of the columns, or nothing says the ensemble's T.
    """
    if not (table.has("kinetic_md") and table.has("temperature")):
        return None
    ours_K = 2.0 * table.column("kinetic_md", "electronvolt") / BOLTZMANN_EV_PER_K
    theirs_K = free * table.column("temperature", "kelvin")
    added_K = float(np.nanmedian(theirs_K - ours_K))
    if not np.isfinite(added_K):
        return None
    rounding_K = DIGITS * float(np.nanmedian(ours_K))
    if abs(added_K) <= rounding_K:
        return 0
    if not ensemble_K:
        return None
    near = round(added_K / ensemble_K)
    off = abs(added_K / ensemble_K - near)
    return near if 0 < near < free and off <= max(WHOLE, rounding_K / ensemble_K) else None


def agreed(words: Sequence[Sequence[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Lines of several runs, those that say the same once."""
    return list(dict.fromkeys(line for lines in words for line in lines))
