"""Histograms of pair distances under periodic boundaries, up to half the smallest cell height.

Two ways to the same counts: all pairs, many frames at once, where a sphere of the largest distance
holds a good part of the atoms; else the cell list of vesin.  All pairs are formed on fractional
coordinates as 32-bit integers, whose overflow is the periodic boundary: the difference that is left
is the nearest image, and resolves 2^-32 of the cell (3e-9 A in 12 A).
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

PAIRS_AT_ONCE = 1 << 14  # arrays of them stay in the processor's cache
NS_OF_ANY_PAIR, NS_OF_A_NEIGHBOUR = 12.0, 115.0  # measured; they choose the way, not the result


def pair_counts(
    positions: NDArray[np.float64],
    cells: NDArray[np.float64],
    kinds: NDArray[np.int64],
    edges: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Ordered pairs (i, j), i != j, of each frame in each bin of distance.

    A pair at the distance r is found at its nearest image for r up to half the smallest height of
    the cell, in any cell: its fractional components are r / height_k or less, so below 1/2.

    Parameters
    ----------
    positions : ``(n_frames, n_atoms, 3)``, A, inside the cell or not
    cells : ``(n_frames, 3, 3)``, A, one lattice vector a row
    kinds : ``(n_atoms,)``, 0 ... n_kinds - 1
    edges : ``(n_bins + 1,)``, A, even, from 0 to at most half the smallest height

    Returns
    -------
    ``(n_frames, n_kinds, n_kinds, n_bins)``, counts; a bin is closed below and open above
    """
    n_atoms = len(kinds)
    volume = float(np.abs(np.linalg.det(cells)).mean())
    n_neighbours = n_atoms * 4.0 / 3.0 * np.pi * float(edges[-1]) ** 3 / volume
    if 0.5 * n_atoms * NS_OF_ANY_PAIR < n_neighbours * NS_OF_A_NEIGHBOUR:
        return _of_all_pairs(positions, cells, kinds, edges)
    frames = zip(positions, cells, strict=True)
    return np.stack([_of_neighbours(x, cell, kinds, edges) for x, cell in frames])


def _of_neighbours(
    positions: NDArray, cell: NDArray, kinds: NDArray[np.int64], edges: NDArray
) -> NDArray[np.float64]:
    """``(n_kinds, n_kinds, n_bins)`` of one frame, by a cell list."""
    from vesin import NeighborList  # it loads torch where that is installed: not at import

    n_kinds, n_bins = int(kinds.max()) + 1, len(edges) - 1
    neighbours = NeighborList(cutoff=float(edges[-1]), full_list=True)
    i, j, distance = neighbours.compute(positions, cell, True, "ijd")
    bins = (distance * (n_bins / edges[-1])).astype(np.int64)
    flat = (kinds[i] * n_kinds + kinds[j]) * n_bins + bins
    counts = np.bincount(flat[bins < n_bins], minlength=n_kinds * n_kinds * n_bins)
    return counts.reshape(n_kinds, n_kinds, n_bins).astype(float)  # (kind of i, kind of j, bin)


def _of_all_pairs(
    positions: NDArray, cells: NDArray, kinds: NDArray[np.int64], edges: NDArray
) -> NDArray[np.float64]:
    n_kinds, n_bins = int(kinds.max()) + 1, len(edges) - 1
    fractions = positions @ np.linalg.inv(cells)
    fractions -= np.rint(fractions)
    # -1/2 ... 1/2 to -2^31 ... 2^31, the upper end wrapping to the lower: frame, axis, atom
    whole = np.rint(fractions * 2.0**32).astype(np.int64).astype(np.int32).transpose(0, 2, 1)
    metric = cells @ cells.transpose(0, 2, 1) * 2.0**-64
    members = [np.ascontiguousarray(whole[:, :, kinds == kind]) for kind in range(n_kinds)]
    counts = np.zeros((len(positions), n_kinds, n_kinds, n_bins))
    for a, b in combinations_with_replacement(range(n_kinds), 2):
        one, other = members[a], members[b]
        n_pairs = one.shape[2] * other.shape[2]
        at_once = max(PAIRS_AT_ONCE // n_pairs, 1)
        for start in range(0, len(positions), at_once):
            part = slice(start, start + at_once)
            found = _histogram(one[part], other[part], metric[part], edges, alike=a == b)
            counts[part, a, b] += found
            if a != b:
                counts[part, b, a] += found
    return counts


def _histogram(
    one: NDArray[np.int32],
    other: NDArray[np.int32],
    metric: NDArray,
    edges: NDArray,
    *,
    alike: bool,
) -> NDArray[np.float64]:
    """``(n_frames, n_bins)``: pairs of one with the other; ordered pairs among themselves."""
    n_frames, _, n_one = one.shape
    total = np.zeros((n_frames, len(edges) - 1))
    rows = max(PAIRS_AT_ONCE // (n_frames * other.shape[2]), 1)
    if not alike:
        for start in range(0, n_one, rows):
            part = one[:, :, start : start + rows, None]
            total += _binned(part - other[:, :, None, :], metric, edges)
        return total
    # each pair once: i with i + 1 ... i + n/2 around a ring; n/2 of an even n meets pairs twice
    ring = sliding_window_view(np.concatenate([one, one], axis=2), n_one, axis=2)
    twice = n_one // 2 + 1 if n_one % 2 else n_one // 2
    for start in range(1, twice, rows):
        partners = ring[:, :, start : min(start + rows, twice)]
        total += 2.0 * _binned(partners - one[:, :, None, :], metric, edges)
    if n_one % 2 == 0:
        total += _binned(ring[:, :, n_one // 2, None] - one[:, :, None, :], metric, edges)
    return total


def _binned(difference: NDArray[np.int32], metric: NDArray, edges: NDArray) -> NDArray[np.float64]:
    """Histogram ``(n_frames, n_bins)`` of differences ``(n_frames, 3, n, m)`` of fractions."""
    n_frames, n_bins = len(difference), len(edges) - 1
    squared = np.zeros((n_frames, *difference.shape[2:]))
    along = [difference[:, axis].astype(np.float64) for axis in range(3)]
    for a, b in combinations_with_replacement(range(3), 2):
        if metric[:, a, b].any():
            factor = (1.0 if a == b else 2.0) * metric[:, a, b, None, None]
            squared += factor * along[a] * along[b]
    np.sqrt(squared, out=squared)
    squared *= n_bins / edges[-1]
    np.minimum(squared, n_bins, out=squared)
    bins = squared.astype(np.int64)
    bins += (n_bins + 1) * np.arange(n_frames)[:, None, None]
    counts = np.bincount(bins.ravel(), minlength=n_frames * (n_bins + 1))
    return counts.reshape(n_frames, n_bins + 1)[:, :n_bins].astype(float)
