"""g(r) and running coordination numbers of one or several trajectories."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.longrun import TOO_SHORT
from ncforce_ipi.analysis.openings import extents_A, widened
from ncforce_ipi.analysis.pairs import n_pairs_formed
from ncforce_ipi.analysis.rdf import (
    BLOCKS,
    Rdf,
    largest_r,
    main_peak,
    peak_error,
    radial_distributions,
)
from ncforce_ipi.analysis.statistics import FEWEST_BLOCKS, FEWEST_REPLICAS, with_error
from ncforce_ipi.analysis.vacuum import SMALLEST_A
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.freedom import sample_frames
from ncforce_ipi.observables.replica import Replica
from ncforce_ipi.result import Printed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)
BIN_WIDTH_A = 0.02  # a fifth of the O-H peak's width
MOST_FRAMES, BYTES_OF_BLOCK = 256, 1 << 24
NS_OF_A_PAIR, LONG_S = 12.0, 60.0  # measured; only said
FEWEST_FRAMES = 10
WIDER, FAR_A = 1.2, 1e6
"""A system that isn't periodic along a vector gets a cell a fifth longer there than a sample of its
frames is, and the largest distance and a vacuum more."""


@dataclass(frozen=True)
class Rdfs(Printed):
    """g(r) of each pair of species; see `result.Result`.

    Attributes
    ----------
    pairs : of each pair of species, hydrogen last
    n_files : trajectories averaged
    notes : what a reader should know of them
    """

    pairs: Mapping[tuple[str, str], Rdf]
    n_files: int
    notes: tuple[str, ...] = ()

    def __getitem__(self, pair: tuple[str, str]) -> Rdf:
        """Of a pair of species, in any order."""
        a, b = pair
        return self.pairs[(a, b) if (a, b) in self.pairs else (b, a)]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Over the pairs of species."""
        return iter(self.pairs)

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.pairs)

    @property
    def any(self) -> Rdf:
        """One of them, for what all have in common."""
        return next(iter(self.pairs.values()))

    @property
    def r_max_A(self) -> float:
        """Outer edge of the last bin, A."""
        r_A = self.any.r_A
        half = 0.5 * float(r_A[1] - r_A[0]) if len(r_A) > 1 else float(r_A[0])
        return float(r_A[-1]) + half

    def lines(self) -> list[tuple[str, str]]:
        """See `result.Result`."""
        frames = self.any.n_frames
        of_several = f" in {self.n_files} files" if self.n_files > 1 else ""
        lines = [("frames", f"{frames}{of_several}")]
        if frames < FEWEST_FRAMES:
            lines.append(("note", f"g(r) from {frames} frames only: a snapshot, not an average"))
        for (a, b), rdf in self.pairs.items():
            lines.append((f"peak of g_{a}{b}(r)", _peak(rdf)))
        n_bins = len(self.any.r_A)
        lines.append(("range", f"to {self.r_max_A:.4g} A in {n_bins} bins; g = 1 is an ideal gas "
                               "of as many atoms"))  # fmt: skip
        words = "of heights: one standard error, from blocks of frames"
        if self.n_files >= FEWEST_REPLICAS:
            words = f"of heights: one standard error, from the spread of {self.n_files} replicas"
        if np.isnan(self.any.error).any():
            words = f"none of heights: fewer than {FEWEST_BLOCKS} frames, or {TOO_SHORT}"
        notes = (*_of_pairs(self.pairs), *self.notes)
        lines += [("note", note) for note in notes if note]
        return [*lines, ("errors", words)]

    def to_dict(self) -> dict[str, Any]:
        """See `result.Result`."""
        numbers: dict[str, Any] = {}
        for (a, b), rdf in self.pairs.items():
            peak = main_peak(rdf)
            numbers[f"g_{a}{b}_peak_A"] = peak.position
            numbers[f"g_{a}{b}_peak_height"] = peak.height
        return numbers | {"n_frames": self.any.n_frames, "r_max_A": self.r_max_A}

    def columns(self) -> dict[str, NDArray]:
        """r, then g, its error and the running coordination number of each pair."""
        columns = {"r_A": self.any.r_A}
        for (a, b), rdf in self.pairs.items():
            columns |= {
                f"g_{a}{b}": rdf.g,
                f"g_{a}{b}_standard_error": rdf.error,
                f"n_{b}_around_{a}": rdf.coordination,
            }
        return columns

    def figure(self) -> Figure:
        """See `result.Result`."""
        from ncforce_ipi.observables.figures import radial_distributions as draw

        return draw(self.pairs, coordination=True)


def measure(data: Dataset, *, r_max_A: float | None = None, n_bins: int | None = None) -> Rdfs:
    """g(r) of all pairs of species; blocks of all trajectories together give the error.

    Parameters
    ----------
    data : with positions
    r_max_A : end, A; None for as far as the smallest cell of the run allows
    n_bins : None for bins of 0.02 A

    Raises
    ------
    InputError
        No positions, or as `analysis.rdf.radial_distributions`.
    """
    for name, value in (("--r-max-A", r_max_A), ("--bins", n_bins)):
        if value is not None and not value > 0:
            raise InputError(f"{name} {value:g}; expected a positive number")
    return data.remember(("rdf", r_max_A, n_bins), lambda: _measure(data, r_max_A, n_bins))


def _measure(data: Dataset, r_max_A: float | None, n_bins: int | None) -> Rdfs:
    replicas = data.replicas("positions")
    if len(replicas[0].species) < 2:
        raise InputError(
            f"{replicas[0].trajectory.path} has one atom; expected two or more: g(r) is of pairs"
        )
    room_A = smallest_room_A(replicas)  # a barostat changes it
    if r_max_A is None:
        r_max_A = BIN_WIDTH_A * math.floor(room_A / BIN_WIDTH_A)
    _say_how_long(replicas, r_max_A)
    if n_bins is None:
        n_bins = max(round(r_max_A / BIN_WIDTH_A), 1)
    return Rdfs(
        radial_distributions(
            _blocks(replicas, r_max_A),
            replicas[0].species,
            r_max_A,
            n_bins,
            [-(-len(one.steps) // _per_block(one)) for one in replicas],
        ),
        len(replicas),
        tuple(
            dict.fromkeys(
                [
                    *(one.bead.of_positions for one in replicas if one.bead),
                    *(_open(one) for one in replicas),
                ]
            )
        ),
    )


def _say_how_long(replicas: Sequence[Replica], r_max_A: float) -> None:
    """Where all pairs of a large system take minutes."""
    first = replicas[0].trajectory
    (cell,) = widened(next(first.cells())[None], first.pbc, np.full(3, r_max_A))
    pairs = n_pairs_formed(cell, len(replicas[0].species), r_max_A)
    n_frames = sum(len(replica.steps) for replica in replicas)
    long_s = 1e-9 * NS_OF_A_PAIR * pairs * n_frames
    if long_s > LONG_S:
        log.info(
            "g(r) to %.3g A: %.2g pairs in each of %d frames, about %.0f min; --r-max-A says how "
            "far, and a short distance takes less",
            r_max_A, pairs, n_frames, long_s / 60.0,
        )  # fmt: skip


def smallest_room_A(replicas: Sequence[Replica]) -> float:
    """Half the smallest height that the cell has in any frame, A.

    Raises
    ------
    InputError
        A frame without a cell.
    """
    smallest = math.inf
    for replica in replicas:
        pbc = replica.trajectory.pbc
        far_A = np.full(3, FAR_A if any(pbc) else 0.0)
        for as_it_is in replica.trajectory.cells():
            (cell,) = widened(as_it_is[None], pbc, far_A) if any(pbc) else (as_it_is,)
            if not abs(np.linalg.det(cell)) > 0.0:
                raise InputError(
                    f"{replica.trajectory.path} has frames without a cell; expected a periodic "
                    "system: g(r) needs its volume"
                )
            smallest = min(smallest, largest_r(cell))
    return smallest


def _peak(rdf: Rdf) -> str:
    peak = main_peak(rdf)
    if math.isnan(peak.position):
        return "none"
    error = peak_error(rdf, peak)
    height = f"{peak.height:.3f}" if math.isnan(error) else with_error(peak.height, error)
    return f"{height} at {peak.position:.3f} A"


def _of_pairs(pairs: Mapping[tuple[str, str], Rdf]) -> list[str]:
    """Notes of the pairs, each once; with the names of its pairs where others have another one."""
    notes = dict.fromkeys(rdf.note for rdf in pairs.values())
    if len(notes) == 1:
        return list(notes)
    named = {
        note: ", ".join(f"g_{a}{b}" for (a, b), rdf in pairs.items() if rdf.note == note)
        for note in notes
        if note
    }
    return [f"{names}: {note}" for note, names in named.items()]


def _open(replica: Replica) -> str:
    """What to say of a system that isn't periodic along all of its cell; empty where it is."""
    axes = ", ".join(a for a, along in zip("abc", replica.trajectory.pbc, strict=True) if not along)
    return f"not periodic along {axes}: no images of atoms are counted there" if axes else ""


def _blocks(replicas: Sequence[Replica], r_max_A: float) -> Iterator[tuple[NDArray, NDArray]]:
    for replica in replicas:
        pbc = replica.trajectory.pbc
        heights_A = np.zeros(3)
        if not all(pbc):
            heights_A = WIDER * _extents_A(replica) + r_max_A + 2.0 * SMALLEST_A
        for block in replica.blocks(_per_block(replica)):
            yield block.values, widened(block.cells, pbc, heights_A)


def _per_block(replica: Replica) -> int:
    """Frames of a block."""
    most = max(BYTES_OF_BLOCK // (24 * len(replica.species)), 1)
    return min(max(len(replica.steps) // BLOCKS, 1), MOST_FRAMES, most)


def _extents_A(replica: Replica) -> NDArray[np.float64]:
    """Of the atoms in a sample of frames."""
    frames = sample_frames(replica.trajectory)
    return extents_A(
        np.concatenate([one.values for one in frames]),
        np.concatenate([one.cells for one in frames]),
    )
