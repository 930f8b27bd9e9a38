"""Radial distribution functions g(r) of all pairs of species, streamed over frames.

Owns their normalisation and range; distances are counted in `pairs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.pairs import pair_counts
from ncforce_ipi.analysis.peaks import Peak, highest_peak
from ncforce_ipi.analysis.statistics import (
    FEWEST_REPLICAS,
    error_over_runs,
    remembering_error,
)
from ncforce_ipi.analysis.vacuum import Profiles
from ncforce_ipi.errors import InputError

SMOOTHED_BINS = 5
"""Of a picosecond of 64 molecules a bin of 0.02 A is noisy; the peak is looked for over 0.1 A."""
BLOCKS = 64
"""Blocks into which a run is cut for errors: so many show whether they remember each other."""
IN_A_SLAB = (
    "the cell has vacuum: g(r) is relative to atoms that keep their profile of heights and are "
    "spread at random in the plane"
)
IN_VACUUM = (
    "the cell has vacuum in several directions: g(r) is relative to the whole cell, so its height "
    "means nothing; places of peaks and coordination numbers do"
)
IN_A_PART = (
    "these atoms fill only a part of the cell: g(r) is relative to atoms that keep their profile "
    "of heights and are spread at random in the plane"
)
IN_PARTS = (
    "these atoms were found in a part of the cell only: g(r) is relative to the whole cell, so its "
    "height means nothing; places of peaks and coordination numbers do"
)


@dataclass(frozen=True)
class Rdf:
    """g(r) of one pair of species.

    Attributes
    ----------
    r_A : ``(n_bins,)``, A, bin centres
    g : ``(n_bins,)``, dimensionless
    error : ``(n_bins,)``, one standard error from blocks of frames; NaN with fewer than 32 blocks,
        or where the run holds fewer than about 25 memories of g(r); from the spread of 4 replicas
        or more
    coordination : ``(n_bins,)``, atoms of the second species within r of one of the first, r being
        a bin's outer edge (``r_A`` plus half a bin); counted, not integrated
    n_frames : frames averaged
    note : what a reader should know of the normalisation of this pair; empty in a full cell
    """

    r_A: NDArray[np.float64]
    g: NDArray[np.float64]
    error: NDArray[np.float64]
    coordination: NDArray[np.float64]
    n_frames: int
    note: str = ""


def largest_r(cell: NDArray[np.float64]) -> float:
    """Half the smallest height of the cell, A: up to there a distance has one image only.

    The heights are V / |a_j x a_k| = 1 / |row i of the inverse transposed|.

    Parameters
    ----------
    cell : ``(3, 3)``, A, one lattice vector a row
    """
    return float(0.5 / np.linalg.norm(np.linalg.inv(cell), axis=0).max())


def radial_distributions(
    blocks: Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]],
    species: NDArray[np.str_],
    r_max_A: float,
    n_bins: int,
    blocks_of_runs: Sequence[int] = (),
) -> dict[tuple[str, str], Rdf]:
    """g(r) of every pair of species; memory is that of one block and one histogram a block.

    g_ab(r) = < V n_ab(r) > / (N_a N_b' 4/3 pi (r_+^3 - r_-^3)), where n_ab counts ordered pairs
    between the edges r_- and r_+ of a bin, V is the volume of the frame, N_b' = N_b for unlike
    and N_a - 1 for like pairs.  With that, an ideal gas has g = 1 at every r and every N, and
    rho_b integral of g 4 pi r^2 dr (rho_b = N_b'/V) is the number of neighbours exactly.  Distances
    beyond half the smallest height of a cell are refused, not completed by images.
    (freud's ``normalization_mode='finite_size'`` for like pairs, ``'exact'`` for unlike ones.)

    In a cell with vacuum along one vector (`vacuum.Profiles`) V times the shell is meaningless; the
    area of the cell and the shell's area in the slab stand in their place (`Profiles.shells`), so
    that g = 1 of a gas that is random in the plane and has these atoms' profiles of heights.  Of a
    flat sheet that is the g(r) of two dimensions, of a thick slab nearly that of the bulk.

    Where no gap is common to all kinds, as for a slab with a gas or a liquid over it, a gap is
    looked for in the profile of the two kinds of each pair.  If they fill a part of the cell
    (`Profiles.partial`) along one vector and all of it along the others, g(r) is that of a slab.
    It stays relative to the whole cell, with a note, where in such a system both kinds of a pair
    leave gaps, but not together (a metal and the liquid over it: at random over their heights they
    would hardly meet), or in several directions, or where a kind has too few atoms to tell what
    part is theirs.  If no pair fills a part, all are relative to the whole cell.

    Parameters
    ----------
    blocks : pairs of positions ``(n_frames, n_atoms, 3)``, A, and cells ``(n_frames, 3, 3)``, A
    species : ``(n_atoms,)``, element symbols
    r_max_A : A, at most half the smallest height of any frame's cell
    n_bins : number of bins between 0 and ``r_max_A``
    blocks_of_runs : how many of the blocks are of each run; the error is from the spread of four
        runs or more

    Returns
    -------
    For each pair of symbols, hydrogen last (OO, OH, HH); like pairs of single atoms left out

    Raises
    ------
    InputError
        No frames, or ``r_max_A`` beyond half the smallest cell height.
    """
    symbols = sorted({str(symbol) for symbol in species}, key=lambda s: (s == "H", s))
    kinds = np.array([symbols.index(str(symbol)) for symbol in species])
    edges = np.linspace(0.0, r_max_A, n_bins + 1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    sums, weights, total = [], [], np.zeros((len(symbols), len(symbols), n_bins))
    profiles = Profiles(kinds)
    for positions, cells in blocks:
        _require_room(cells, r_max_A)
        counts = pair_counts(positions, cells, kinds, edges)
        volumes = np.abs(np.linalg.det(cells))
        sums.append(np.tensordot(volumes, counts, axes=1))  # (kind, kind, bin)
        weights.append(len(positions))
        total += counts.sum(axis=0)
        profiles.add(positions, cells)
    if not sums:
        raise InputError(
            "g(r): no frames; expected at least one: is the run shorter than a stride?"
        )
    n_frames = np.array(weights, dtype=float)
    means = np.array(sums) / n_frames[:, None, None, None]  # (block, kind, kind, bin)
    within = np.cumsum(total, axis=-1) / n_frames.sum()
    along = _slabs(profiles, len(symbols))
    result = {}
    for (a, b), (axis, note) in along.items():
        if (pairs := _ordered_pairs(kinds, a, b)) > 0:
            room = shells
            if axis is not None:
                room = profiles.height_A(axis) * profiles.shells(axis, a, b, edges)
            density = means[:, a, b] / pairs
            g, error = _average(np.divide(density, room, out=0.0 * density, where=room > 0.0),
                                n_frames, blocks_of_runs)  # fmt: skip
            result[symbols[a], symbols[b]] = Rdf(
                r_A=0.5 * (edges[1:] + edges[:-1]),
                g=g,
                error=error,
                coordination=within[a, b] / np.count_nonzero(kinds == a),
                n_frames=int(n_frames.sum()),
                note=note,
            )
    return result


def main_peak(rdf: Rdf) -> Peak:
    """Highest peak, A: in a liquid the first shell; for O-H and H-H of water the molecule's own.

    Below 0.5 A nothing is a peak.
    """
    return highest_peak(rdf.r_A, rdf.g, 0.5, float(rdf.r_A[-1]), n_smooth=SMOOTHED_BINS)


def peak_error(rdf: Rdf, peak: Peak) -> float:
    """Standard error of a peak's height: root mean square of those of the bins that it is from.

    One bin's error alone isn't: where pairs are few, the bin under the peak may hold none in any
    frame, which is no reason to be sure of the height.
    """
    top = int(np.abs(rdf.r_A - peak.position).argmin())
    half = SMOOTHED_BINS // 2
    return float(np.sqrt(np.mean(rdf.error[max(top - half, 0) : top + half + 1] ** 2)))


def _slabs(profiles: Profiles, n_kinds: int) -> dict[tuple[int, int], tuple[int | None, str]]:
    """Of each pair of kinds: across which axis it is in a slab, None for the whole cell; a note."""
    pairs = list(combinations_with_replacement(range(n_kinds), 2))
    if vacuum := profiles.vacuum():
        alone = len(vacuum) == 1
        return dict.fromkeys(pairs, (vacuum[0], IN_A_SLAB) if alone else (None, IN_VACUUM))
    partial = {pair: profiles.partial(*pair) for pair in pairs}
    found: dict[tuple[int, int], tuple[int | None, str]] = dict.fromkeys(pairs, (None, ""))
    if any(partial.values()):
        gaps = [set(profiles.with_gaps(kind)) for kind in range(n_kinds)]
        for a, b in pairs:
            if len(partial[a, b]) == 1 and partial[a, b] == profiles.with_gaps(a, b):
                found[a, b] = partial[a, b][0], IN_A_PART
            elif gaps[a] & gaps[b]:
                found[a, b] = None, IN_PARTS
    return found


def _ordered_pairs(kinds: NDArray[np.int64], a: int, b: int) -> int:
    n_a, n_b = (int(np.count_nonzero(kinds == kind)) for kind in (a, b))
    return n_a * (n_b - 1 if a == b else n_b)


def _average(
    blocks: NDArray, n_frames: NDArray, blocks_of_runs: Sequence[int]
) -> tuple[NDArray, NDArray]:
    """Mean of blocks ``(n_blocks, n_bins)`` and its standard error."""
    g = np.tensordot(n_frames / n_frames.sum(), blocks, axes=1)
    if len(blocks_of_runs) >= FEWEST_REPLICAS:
        return g, error_over_runs(blocks, n_frames, blocks_of_runs)
    return g, remembering_error(blocks, n_frames)


def _require_room(cells: NDArray[np.float64], r_max_A: float) -> None:
    if not np.linalg.det(cells).all():
        raise InputError("g(r) of frames without a cell; expected periodic ones: give their file")
    room_A = min(largest_r(cell) for cell in cells)
    if not 0.0 < r_max_A <= room_A * (1.0 + 1e-12):
        raise InputError(
            f"g(r) up to {r_max_A:g} A; expected at most half the smallest height of the cell, "
            f"{room_A:.4f} A: beyond, a pair has several images"
        )
