"""A directory of ``ncforce run``: its record, the names of its files, its clock.

Owns what the analyses of a run have in common before any number is computed.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.properties import Table
from ncforce_ipi.reading.trajectory import Trajectory, open_trajectory

PROPERTIES = "simulation.out"
POSITIONS = "simulation.pos_0.extxyz"
VELOCITIES = "simulation.vel_0.xyz"
CENTROID_POSITIONS = "simulation.pos.extxyz"
CENTROID_VELOCITIES = "simulation.vel.xyz"


@dataclass(frozen=True)
class RunFacts:
    """What ``run.json`` says of the run: the keys of that file that the analysis needs.

    Attributes
    ----------
    directory : of the run
    n_atoms : number of atoms
    masses_u : mass of each species, u
    temperature_K : of the ensemble and of the start, K
    record : all of run.json
    """

    directory: Path
    n_atoms: int
    masses_u: dict[str, float]
    temperature_K: float
    record: dict[str, Any]

    @property
    def n_beads(self) -> int:
        """Of the path integral; 1 for a classical run."""
        return int((self.record.get("ensemble") or {}).get("beads", 1))

    @property
    def positions(self) -> str:
        """Name of the file of positions, of the centroids in a path integral."""
        return POSITIONS if self.n_beads == 1 else CENTROID_POSITIONS

    @property
    def velocities(self) -> str:
        """Name of the file of velocities, likewise."""
        return VELOCITIES if self.n_beads == 1 else CENTROID_VELOCITIES

    @property
    def dof(self) -> float:
        """Degrees of freedom behind i-PI's kinetic_md, the centre of mass at rest: 3 N P - 3.

        That column is the kinetic energy of a bead, of which each is P times as hot.
        """
        return 3.0 * self.n_atoms * self.n_beads - 3.0


def read_facts(directory: Path) -> RunFacts:
    """What ``run.json`` says.

    Raises
    ------
    InputError
        No such directory or file, or it lacks a key.
    """
    path = directory / "run.json"
    if not path.is_file():
        raise InputError(
            f"{path} is missing; expected a directory made by 'ncforce run': give its name"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return RunFacts(
            directory=directory,
            n_atoms=int(record["n_atoms"]),
            masses_u={name: float(mass) for name, mass in record["masses_u"].items()},
            temperature_K=float(record["temperature_K"]),
            record=record,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise InputError(
            f"{path}: {type(err).__name__} {err}; expected n_atoms, masses_u and temperature_K "
            "as 'ncforce run' writes them"
        ) from err


@dataclass(frozen=True)
class Clock:
    """Physical time of i-PI's steps: ``step_fs`` fs each, statistics from ``from_step`` on."""

    step_fs: float
    from_step: int

    @classmethod
    def of(cls, table: Table, discard_ps: float) -> Clock | None:
        """From the columns step and time; None with a single row."""
        steps, time_ps = table.column("step"), table.column("time", "picosecond")
        if len(steps) < 2:
            return None
        step_fs = 1000.0 * float((time_ps[-1] - time_ps[0]) / (steps[-1] - steps[0]))
        return cls(step_fs, math.ceil(1000.0 * discard_ps / step_fs - 1e-6))


def open_of(facts: RunFacts, name: str) -> Trajectory:
    """A trajectory of the run; InputError if it isn't of the run's number of atoms."""
    trajectory = open_trajectory(facts.directory / name)
    if len(trajectory.species) != facts.n_atoms:
        raise InputError(
            f"{trajectory.path} has {len(trajectory.species)} atoms; expected the {facts.n_atoms} "
            "of run.json: are these files of one run?"
        )
    return trajectory
