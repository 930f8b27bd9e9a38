"""One configuration that was asked about, and one request for it.

Owns what is kept of either, and when two structures are the same.  Which request will follow is
``joint``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import ROLES, Evaluation, Kind, Role, Structure

MARKED_ATOMS = 64  # evenly spaced ones, by which points are told apart and distances taken


@dataclass(eq=False)
class Point:
    """One configuration: who asked about it, and what of it is remembered."""

    marks: NDArray[np.float64]
    expected: NDArray[np.float64]  # marks of a successor that goes on as before
    phase: int | None
    generation: int = 0  # steps since the first point of the trajectory
    structure: Structure | None = None
    results: dict[Kind, Evaluation] = field(default_factory=dict)
    asked: dict[Role, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 0))
    joint_by: Role | None = None
    successors: int = 0
    seen: int = 0  # number of the last request here
    dropped: bool = False  # not among the points of the memory any more

    @property
    def lacks_successor(self) -> bool:
        """Whether a trajectory that stood here hasn't gone on yet."""
        return max(self.asked.values()) > self.successors

    @property
    def kept_bytes(self) -> int:
        """Size of what is remembered."""
        n_arrays = len(self.results) + (self.structure is not None)
        return 0 if self.structure is None else n_arrays * self.structure.positions.nbytes


NOWHERE = Point(np.empty((0, 3)), np.empty((0, 3)), None)  # the point of what isn't remembered


@dataclass(eq=False)
class Visit:
    """One structure of a request.

    Attributes
    ----------
    structure, point : what is asked about
    kinds : what to evaluate now; none where it is remembered, or is a copy
    new : nobody asked about this point before
    found : what was remembered
    original : the visit of the same request that this one is a copy of
    """

    structure: Structure
    point: Point
    kinds: frozenset[Kind] = frozenset()
    new: bool = False
    found: Evaluation | None = None
    original: Visit | None = None


class Afresh:
    """Visits of roles of which nothing is remembered or predicted: each is evaluated as it comes.

    Only the copies with which i-PI fills a batch up have an original; beads at one place that are
    asked for are evaluated.
    """

    def __init__(self, kinds: Mapping[Role, Kind]) -> None:
        self._kinds = kinds

    def visit(self, structures: Sequence[Structure], role: Role) -> list[Visit]:
        """A request: for each structure the kind to evaluate now."""
        kinds, n = frozenset([self._kinds[role]]), n_without_copies(structures)
        visits = [Visit(structure, NOWHERE, kinds) for structure in structures[:n]]
        copies = [Visit(structure, NOWHERE, original=visits[-1]) for structure in structures[n:]]
        return visits + copies

    def remember(self, visit: Visit, results: Mapping[Kind, Evaluation], role: Role) -> None:
        """Nothing is."""


def marks_of(structure: Structure) -> NDArray[np.float64]:
    """``(n_marked, 3)``, A: positions of at most ``MARKED_ATOMS`` atoms."""
    stride = -(-len(structure.positions) // MARKED_ATOMS) or 1
    return structure.positions[::stride].copy()


def same(one: Structure, other: Structure) -> bool:
    """Whether all bits are equal (0.0 and -0.0 differ, as they may to a model)."""
    return all(
        left is right
        or (left[:1].tobytes() == right[:1].tobytes() and left.tobytes() == right.tobytes())
        for left, right in (
            (one.positions, other.positions),
            (one.cell, other.cell),
            (one.numbers, other.numbers),
        )
    )


def n_without_copies(structures: Sequence[Structure]) -> int:
    """How many there are before the copies of the last, with which i-PI fills a batch up."""
    n = len(structures)
    while n > 1 and same(structures[n - 2], structures[n - 1]):
        n -= 1
    return n
