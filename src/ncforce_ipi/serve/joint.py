"""Which request will be followed by one of the other role at the same positions.

Owns what is remembered of recent requests, the prediction made from it, and the counts that say
how good it was.  Knows no model and no socket.  A prediction may only cost time: an evaluation is
handed out again only at bitwise the positions, cell and species for which it was made.

i-PI's multiple-time-step integrator asks for the fast force after each of M inner steps and, where
an outer step ends, for the slow force at the same positions::

    fast0 slow0 fast1 fast2 ... fastM slowM fastM+1 ...

A *point* is one configuration that was asked about; a trajectory goes from point to point.  Each
point carries its phase, the inner steps since its trajectory's last outer point; the phase at which
slow requests come is M.  Several beads or replicas come in any order.  A new point succeeds the
one, among those that lack a successor, that is nearest to it as it is or if its atoms went on as in
the step before.  Where many beads move as far as they lie apart that isn't clear, and only those
one step behind count, for i-PI takes all beads through each step together.  None of the structures
of one request succeeds another of it, and where nearly all of them are thought to stand where an
outer step ends, or nearly none, all are: then one call of the model is for the whole batch.  Beads
that start at the same positions are one point with several successors; later copies only fill up
i-PI's batches.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Evaluation, Kind, Role, Structure
from ncforce_ipi.serve.points import Point, Visit, marks_of, same

FAR_A = 1.0  # an atom that crossed the boundary must not outweigh all others
CLEAR = 0.5  # the nearest point is, when it is so much nearer than the next
MAX_POINTS = 1024  # 1.5 kB each
STALE_AFTER = 64  # requests, and four for each trajectory: then a point has no successor any more
MAX_KEPT_BYTES = 1 << 28  # of remembered evaluations
JUDGED = 16  # outcomes that decide whether to predict
PROBE = 16  # one in so many predictions is tried where it doesn't pay
NEARLY_ALL = 0.75  # of a request's structures: those that differ are mistaken for others
OTHER: dict[Role, Role] = {"slow": "fast", "fast": "slow"}


@dataclass
class Counts:
    """What joint evaluation saved and cost.

    Attributes
    ----------
    hits : second requests at a point (usually the slow one) that were answered from memory
    misses : second requests that were evaluated, and slow requests where no fast one came
    wasted : joint evaluations of which one force was never asked for
    repeated : requests of the same role at the same positions, answered from memory
    """

    hits: int = 0
    misses: int = 0
    wasted: int = 0
    repeated: int = 0


class Memory:
    """Recent points, and the prediction.  Time and memory are bounded by the constants above.

    Parameters
    ----------
    kinds
        Kind of force of both roles.
    mts
        First guess of M; it is learnt from the requests anyway.
    """

    def __init__(self, kinds: Mapping[Role, Kind], mts: int | None = None) -> None:
        self.counts = Counts()
        self._kinds = kinds
        self._mts = mts
        self._points: OrderedDict[bytes, Point] = OrderedDict()
        # those that lack a successor, first the one unseen the longest
        self._open: dict[int, Point] = {}
        self._requests = 0  # structures that were asked about
        self._before = 0  # those of earlier requests
        self._claimed: deque[bool] = deque(maxlen=JUDGED)
        self._withheld = 0
        # of this request: whether predictions are made, which points may have successors in it
        self._paying: bool | None = None
        self._lacking: dict[tuple[int, ...], tuple[list[Point], NDArray[np.float64]]] = {}
        self._slow_leads = True
        self._kept_bytes = 0

    def visit(self, structures: Sequence[Structure], role: Role) -> list[Visit]:
        """A request: for each structure its point, and the kinds to evaluate now."""
        self._before, self._paying, self._lacking = self._requests, None, {}
        visits: list[Visit] = []
        here: dict[int, list[Visit]] = {}  # by point: structures that differ may have equal marks
        for structure in structures:
            visit = self._visit(structure, role, here)
            here.setdefault(id(visit.point), []).append(visit)
            visits.append(visit)
        self._agree([visit for visit in visits if visit.new and visit.kinds], role)
        return visits

    def _visit(self, structure: Structure, role: Role, here: Mapping[int, list[Visit]]) -> Visit:
        self._requests += 1
        self._close_stale()
        marks = marks_of(structure)
        key = marks.tobytes() + structure.cell.tobytes()
        point = self._points.get(key)
        if point is None:
            point = self._succeed(key, marks)
        elif point.structure is not None and not same(point.structure, structure):
            self._forget(point)
        visit = Visit(structure, point, new=not any(point.asked.values()))
        alike = (v for v in here.get(id(point), ()) if same(v.structure, structure))
        visit.original = next(alike, None)
        gone = not visit.new and not point.lacks_successor
        if visit.original is None:
            visit.found = point.results.get(self._kinds[role])
            if visit.found is None:
                visit.kinds = self._plan(point, role, visit.new)
        self._count(point, role, remembered=not visit.kinds)
        if role == "slow":
            self._end_outer_step(point, gone)
        if gone:  # another trajectory was mistaken for the one that still is here
            point.successors = max(point.asked.values()) - 1
        point.seen = self._requests
        self._open.pop(id(point), None)
        if point.lacks_successor:
            self._open[id(point)] = point
        return visit

    def _agree(self, visits: Sequence[Visit], role: Role) -> None:
        """What nearly all of a request's new points are evaluated for, all are."""
        own, other = self._kinds[role], self._kinds[OTHER[role]]
        n_joint = sum(len(visit.kinds) > 1 for visit in visits)
        for chosen, n in (([own, other], n_joint), ([own], len(visits) - n_joint)):
            if n >= NEARLY_ALL * len(visits):
                for visit in visits:
                    visit.kinds = frozenset(chosen)

    def remember(self, visit: Visit, results: Mapping[Kind, Evaluation], role: Role) -> None:
        """Keep what was evaluated for ``role`` until it is asked for or the trajectory goes on."""
        point = visit.point
        if point.dropped:
            return
        if point.structure is not None and not same(point.structure, visit.structure):
            self._forget(point)  # of the same request, with equal marks
        self._kept_bytes -= point.kept_bytes
        point.structure = visit.structure
        point.results.update(results)
        if len(results) > 1:
            point.joint_by = role
        self._kept_bytes += point.kept_bytes
        self._keep_within_bounds()

    def _keep_within_bounds(self) -> None:
        """Forget, oldest first, what both roles have got, then all else."""
        if self._kept_bytes <= MAX_KEPT_BYTES:
            return
        kept = [point for point in self._points.values() if point.structure is not None]
        kept.sort(key=lambda point: point.asked["slow"] != point.asked["fast"])
        while self._kept_bytes > MAX_KEPT_BYTES:
            self._forget(kept.pop(0))

    def _succeed(self, key: bytes, marks: NDArray[np.float64]) -> Point:
        """A new point, one step after the nearest that lacks a successor."""
        parent = self._nearest(marks)
        phase = None
        if parent is not None:
            parent.successors += 1
            phase = None if parent.phase is None else parent.phase + 1
            if not parent.lacks_successor:
                self._close(parent)
        expected = marks if parent is None else 2.0 * marks - parent.marks
        generation = 0 if parent is None else parent.generation + 1
        point = self._points[key] = Point(marks, expected, phase, generation)
        while len(self._points) > MAX_POINTS:
            oldest = self._points.popitem(last=False)[1]
            oldest.dropped = True
            self._close(oldest)
        return point

    def _nearest(self, marks: NDArray[np.float64]) -> Point | None:
        alike = [point for point in self._open.values() if point.marks.shape == marks.shape]
        newest = max((point.generation for point in alike), default=0)
        same_size, places = self._candidates(marks.shape)
        if len(same_size) < 2:
            return same_size[0] if same_size else None
        away = np.minimum(np.abs(places - marks), FAR_A).sum(axis=(2, 3)).min(axis=1)
        first, second = np.partition(away, 1)[:2]
        generations = np.array([point.generation for point in same_size])
        behind = generations == newest - 1
        if first > CLEAR * second and behind.any():
            away[~behind] = np.inf
        return same_size[int(np.argmin(away))]

    def _candidates(self, shape: tuple[int, ...]) -> tuple[list[Point], NDArray[np.float64]]:
        """Points that lacked a successor before this request, and still do.

        With their marks as they are and as expected, ``(n_points, 2, n_marked, 3)``, A, put
        together once for all structures of a request: that takes longer than to look at them.
        """
        if shape not in self._lacking:
            points = [p for p in self._open.values() if p.marks.shape == shape]
            places = np.array([(p.marks, p.expected) for p in points])
            self._lacking[shape] = points, places
        points, places = self._lacking[shape]
        kept = [k for k, p in enumerate(points) if id(p) in self._open and p.seen <= self._before]
        if len(kept) == len(points):
            return points, places
        return [points[k] for k in kept], places[kept]

    def _plan(self, point: Point, role: Role, new: bool) -> frozenset[Kind]:
        """The kinds to evaluate for this request."""
        own, other = self._kinds[role], self._kinds[OTHER[role]]
        joint = new and self._expects_other(point, role)
        return frozenset([own, other] if joint else [own])

    def _expects_other(self, point: Point, role: Role) -> bool:
        """Whether the other role will ask about this new point too."""
        if role == "slow":
            return self._slow_leads
        begins = not self._before  # a run begins at an outer point
        return (begins or point.phase == self._mts is not None) and self._pays()

    def _pays(self) -> bool:
        """Whether half of the last predictions came true; if not, only now and then.

        With F the cost of a slow over that of a fast evaluation, a true prediction saves F - 1 + 1
        and a false one costs F - 1: it pays where more than (F - 1)/F of them are true.
        """
        if self._paying is None:
            self._paying = len(self._claimed) < JUDGED or 2 * sum(self._claimed) >= JUDGED
            if not self._paying:
                self._withheld += 1
                self._paying = self._withheld % PROBE == 0
        return self._paying

    def _count(self, point: Point, role: Role, remembered: bool) -> None:
        """Book a request before it is added to those of its point."""
        if point.asked[role]:
            self.counts.repeated += remembered
            if point.generation:
                return
        elif point.asked[OTHER[role]]:
            self.counts.hits += remembered
            self.counts.misses += not remembered
            if point.joint_by == "fast":
                self._claimed.append(True)
            point.joint_by = None
            self._slow_leads |= role == "fast"
        point.asked[role] += 1

    def _end_outer_step(self, point: Point, gone: bool) -> None:
        """A slow request: the phase here is M, unless the point was thought to be left."""
        if point.phase and not gone:
            self._mts = point.phase
        point.phase = 0

    def _close_stale(self) -> None:
        """Trajectories that went elsewhere, to another driver say."""
        oldest = next(iter(self._open.values()), None)
        if oldest and self._requests - oldest.seen > STALE_AFTER + 4 * len(self._open):
            self._close(oldest)

    def _close(self, point: Point) -> None:
        """The trajectory has gone on: what is left here was evaluated in vain."""
        self._open.pop(id(point), None)
        if point.joint_by:
            self.counts.wasted += 1
            if point.joint_by == "fast":
                self._claimed.append(False)
            else:
                self._slow_leads = False
        if not point.asked["fast"]:
            self.counts.misses += 1
        point.joint_by = None
        self._forget(point)

    def _forget(self, point: Point) -> None:
        self._kept_bytes -= point.kept_bytes
        point.structure = None
        point.results.clear()
