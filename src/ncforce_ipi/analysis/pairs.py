"""Histograms of pair distances under periodic boundaries, up to half the smallest cell height.

Two ways to the same counts: all pairs, many frames at once, or pairs of neighbouring blocks of the
cell, where a sphere of the largest distance holds a small part of the atoms.  Pairs are formed on
fractional coordinates as 32-bit integers, whose overflow is the periodic boundary: the difference
that is left is the nearest image, and resolves 2^-32 of the cell (3e-9 A in 12 A).  They are formed
some at a time, so that memory grows with the number of atoms only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement, product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

PAIRS_AT_ONCE = 1 << 14  # arrays of them stay in the processor's cache
FEWEST_IN_BLOCK = 100  # atoms: a call costs as much as 10^4 pairs
MOST_IN_BLOCKS = 0.5  # of all pairs; they are found a little more slowly than all


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
    divisions = _divisions(cells, len(kinds), float(edges[-1]))
    if _share(divisions) > MOST_IN_BLOCKS:
        return _of_all_pairs(positions, cells, kinds, edges)
    frames = zip(positions, cells, strict=True)
    return np.stack([_of_blocks(x, cell, kinds, edges, divisions) for x, cell in frames])


def n_pairs_formed(cell: NDArray[np.float64], n_atoms: int, r_max_A: float) -> float:
    """Pairs of a frame whose distances `pair_counts` takes."""
    share = _share(_divisions(cell[None], n_atoms, r_max_A))
    return 0.5 * n_atoms**2 * (share if share <= MOST_IN_BLOCKS else 1.0)


def _share(divisions: NDArray[np.int64]) -> float:
    """Of all blocks, those that an atom's neighbours can be in."""
    return float((np.minimum(divisions, 3) / divisions).prod())


def _divisions(cells: NDArray, n_atoms: int, r_max: float) -> NDArray[np.int64]:
    """Blocks along each cell vector, ``(3,)``: as high as ``r_max``, and with enough atoms."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cells), axis=1).max(axis=0)
    divisions = np.maximum(heights // r_max, 1).astype(np.int64)
    while divisions.max() > 1 and n_atoms < FEWEST_IN_BLOCK * divisions.prod():
        divisions[np.argmax(divisions)] -= 1
    return divisions


def _of_blocks(
    positions: NDArray,
    cell: NDArray,
    kinds: NDArray[np.int64],
    edges: NDArray,
    divisions: NDArray[np.int64],
) -> NDArray[np.float64]:
    """``(n_kinds, n_kinds, n_bins)`` of one frame, from pairs of blocks that touch each other."""
    n_kinds, n_bins = int(kinds.max()) + 1, len(edges) - 1
    whole = _whole(positions @ np.linalg.inv(cell))
    metric = (cell @ cell.T * 2.0**-64)[None]
    place = (whole.astype(np.int64) + (1 << 31)) * divisions >> 32  # (atom, axis)
    block = np.ravel_multi_index(tuple(place.T), tuple(divisions))
    order = np.argsort(block, kind="stable")
    ends = np.searchsorted(block[order], np.arange(int(divisions.prod()) + 1))
    whole, kinds = np.ascontiguousarray(whole[order].T), kinds[order]  # (axis, atom)
    total = np.zeros((n_kinds, n_kinds, n_bins))
    for one, other in _neighbours(divisions):
        first, second = (slice(ends[n], ends[n + 1]) for n in (one, other))
        found = _between(whole, kinds, first, second, metric, edges)
        total += found if one == other else found + found.transpose(1, 0, 2)
    at_zero = np.bincount(kinds, minlength=n_kinds)  # each atom with itself
    total[np.arange(n_kinds), np.arange(n_kinds), 0] -= at_zero
    return total


def _neighbours(divisions: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Each pair of blocks that touch, once, and each block with itself."""
    shape = tuple(int(n) for n in divisions)
    for place in product(*(range(n) for n in shape)):
        around = product(*({(x + step) % n for step in (-1, 0, 1)}
                           for x, n in zip(place, shape, strict=True)))  # fmt: skip
        one = int(np.ravel_multi_index(place, shape))
        for other in {int(np.ravel_multi_index(there, shape)) for there in around}:
            if other >= one:
                yield one, other


def _between(
    whole: NDArray[np.int32],
    kinds: NDArray[np.int64],
    first: slice,
    second: slice,
    metric: NDArray,
    edges: NDArray,
) -> NDArray[np.float64]:
    """``(n_kinds, n_kinds, n_bins)``: atoms of one slice with those of another, and themselves."""
    n_kinds, n_bins = int(kinds.max()) + 1, len(edges) - 1
    total = np.zeros(n_kinds * n_kinds * (n_bins + 1), dtype=np.int64)
    rows = max(PAIRS_AT_ONCE // max(second.stop - second.start, 1), 1)
    for start in range(first.start, first.stop, rows):
        part = slice(start, min(start + rows, first.stop))
        difference = whole[:, part, None] - whole[:, None, second]
        bins = _bins(difference[None], metric, edges)[0]
        bins += (n_bins + 1) * (n_kinds * kinds[part, None] + kinds[second])
        total += np.bincount(bins.ravel(), minlength=len(total))
    return total.reshape(n_kinds, n_kinds, n_bins + 1)[..., :n_bins].astype(float)


def _whole(fractions: NDArray) -> NDArray[np.int32]:
    """Fractions of the cell from -1/2 to 1/2 as -2^31 ... 2^31, the upper end wrapping."""
    fractions = fractions - np.rint(fractions)
    return np.rint(fractions * 2.0**32).astype(np.int64).astype(np.int32)


def _of_all_pairs(
    positions: NDArray, cells: NDArray, kinds: NDArray[np.int64], edges: NDArray
) -> NDArray[np.float64]:
    n_kinds, n_bins = int(kinds.max()) + 1, len(edges) - 1
    whole = _whole(positions @ np.linalg.inv(cells)).transpose(0, 2, 1)  # frame, axis, atom
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
    bins = _bins(difference, metric, edges)
    bins += (n_bins + 1) * np.arange(n_frames)[:, None, None]
    counts = np.bincount(bins.ravel(), minlength=n_frames * (n_bins + 1))
    return counts.reshape(n_frames, n_bins + 1)[:, :n_bins].astype(float)


def _bins(difference: NDArray[np.int32], metric: NDArray, edges: NDArray) -> NDArray[np.int64]:
    """Bins ``(n_frames, n, m)`` of differences ``(n_frames, 3, n, m)``; ``n_bins`` beyond them."""
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
    return squared.astype(np.int64)
