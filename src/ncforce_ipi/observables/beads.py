"""Whether a trajectory is of one bead of a path integral, and of how many by a run's own files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ncforce_ipi.reading.directory import trajectories
from ncforce_ipi.reading.metadata import RunMetadata
from ncforce_ipi.reading.properties import Table
from ncforce_ipi.reading.trajectory import Trajectory
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

WHOLE = 0.01
"""What is further from a whole number of beads is none."""
_BEAD = re.compile(rb"Bead:\s*(\d+)")
_OF_A_BEAD = re.compile(r"\(bead=(\d+)\)")
_NUMBERED = re.compile(r"(.*_)(\d+)((?:\.\w+)+)")


@dataclass(frozen=True)
class Bead:
    """One bead.

    Attributes
    ----------
    number : its own, from 0
    n_beads : of the path integral; 0 where nothing says it
    """

    number: int
    n_beads: int

    @property
    def times_hotter(self) -> float:
        """A bead's temperature in units of the system's; 1 where nothing says how many there are"""
        return float(self.n_beads or 1)

    @property
    def words(self) -> str:
        """Which it is."""
        if self.n_beads:
            return f"bead {self.number} of a path integral of {self.n_beads}"
        return f"bead {self.number} of a path integral (nothing says of how many beads)"

    @property
    def of_velocities(self) -> str:
        """What that means for a temperature."""
        if self.n_beads:
            return (
                f"velocities of {self.words}: a bead is {self.n_beads} times as hot as the system, "
                f"and every T here is its own divided by {self.n_beads}"
            )
        return (
            f"velocities of {self.words}: a bead of P is P times as hot as the system, and every T "
            "here is the bead's own; give the velocities of the centroid (v_centroid)"
        )

    @property
    def of_positions(self) -> str:
        """What that means for places."""
        return f"positions of {self.words}, not of the centroid or of all beads"


def bead_of(trajectory: Trajectory, metadata: RunMetadata) -> Bead | None:
    """The bead that a trajectory of i-PI's is of; None for a classical system, or its centroid.

    There are as many beads as the checkpoint says, or as files that differ by the number of the
    bead in their names (``run.vel_0.xyz``, ``run.vel_1.xyz`` ...).
    """
    comment = _first_comment(trajectory)
    found = _BEAD.search(comment)
    if found is None or b"_centroid" in comment:
        return None
    number = int(found[1])
    if number == 0 and _NUMBERED.fullmatch(trajectory.path.name) is None:
        return None  # i-PI numbers files of beads
    n_beads = metadata.n_beads if metadata.n_beads > 1 else _files(trajectory.path)
    if n_beads > number:
        return Bead(number, n_beads) if n_beads > 1 else None
    return Bead(number, 0)


def _first_comment(trajectory: Trajectory) -> bytes:
    if not len(trajectory.spans):
        return b""
    offset, head = int(trajectory.spans[0, 0]), int(trajectory.spans[0, 1])
    with trajectory.data.open("rb") as file:
        file.seek(offset)
        return file.read(head).partition(b"\n")[2]


def n_beads_shown(table: Table, n_atoms: int | None) -> int:
    """How many beads a properties file and what it lies beside show; 1 where they show none.

    i-PI's ``kinetic_md`` is that of a bead, which is P times as hot as the system, and its
    ``temperature`` is the system's: 2 kinetic_md = 3 N P k_B temperature - what is held, which is
    constant.  So the slope of one against the other tells P.

    Parameters
    ----------
    table : of the run
    n_atoms : None where nothing says it
    """
    named = [int(found[1]) + 1 for found in map(_OF_A_BEAD.search, table.names) if found]
    of_files = [_files(file) for file in trajectories(table.path) if _says_bead(file)]
    return max([_by_columns(table, n_atoms), *named, *of_files])


def _by_columns(table: Table, n_atoms: int | None) -> int:
    if n_atoms is None or not (table.has("kinetic_md") and table.has("temperature")):
        return 1
    ours_K = 2.0 * table.column("kinetic_md", "electronvolt") / BOLTZMANN_EV_PER_K
    theirs_K = table.column("temperature", "kelvin")
    finite = np.isfinite(ours_K) & np.isfinite(theirs_K)
    ours_K, theirs_K = ours_K[finite], theirs_K[finite]
    if len(ours_K) < 2 or np.ptp(theirs_K) <= WHOLE * WHOLE * abs(theirs_K).max():
        return 1  # the digits of the file would tell
    slope, start = np.polynomial.Polynomial.fit(theirs_K, ours_K, 1).convert().coef[::-1]
    off_K = np.abs(slope * theirs_K + start - ours_K).max()
    n_beads = slope / (3.0 * n_atoms)
    line = off_K <= WHOLE * np.ptp(ours_K) and abs(n_beads - round(n_beads)) <= WHOLE * n_beads
    return max(round(n_beads), 1) if line else 1


def _says_bead(path: Path) -> bool:
    """Whether i-PI numbered the bead in the file's name and in its comment alike."""
    name = _NUMBERED.fullmatch(path.name)
    if name is None:
        return False
    with path.open("rb") as file:
        file.readline(64)
        found = _BEAD.search(file.readline(4096))
    return found is not None and int(found[1]) == int(name[2])


def _files(path: Path) -> int:
    """How many files of beads there are, this one among them."""
    name = _NUMBERED.fullmatch(path.name)
    if name is None:
        return 1
    before, digits, after = name.groups()
    count = 0
    while path.with_name(f"{before}{count:0{len(digits)}d}{after}").is_file():
        count += 1
    return max(count, 1)
