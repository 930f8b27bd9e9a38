"""Whether a trajectory is of one bead of a path integral."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ncforce_ipi.reading.metadata import RunMetadata
from ncforce_ipi.reading.trajectory import Trajectory

_BEAD = re.compile(rb"Bead:\s*(\d+)")
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
    n_beads = metadata.n_beads if metadata.n_beads > 1 else _files(trajectory)
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


def _files(trajectory: Trajectory) -> int:
    """How many files of beads there are, this one among them."""
    name = _NUMBERED.fullmatch(trajectory.path.name)
    if name is None:
        return 1
    before, digits, after = name.groups()
    count = 0
    while trajectory.path.with_name(f"{before}{count:0{len(digits)}d}{after}").is_file():
        count += 1
    return max(count, 1)
