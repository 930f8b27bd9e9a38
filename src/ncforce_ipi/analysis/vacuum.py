"""Vacuum in a cell, kinds of atoms that fill a part of it, and what an ideal gas would be there.

Owns the profiles of the atoms' heights along each cell vector; knows no pair of atoms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

N_HEIGHTS = 2048
SMALLEST_A = 6.0
"""A direction has vacuum where no atom comes into a gap of so many A, and of two mean distances
between atoms, in any frame.  In condensed matter the widest gap in one frame is about 3 A."""
BY_CHANCE = 1e-6
"""Atoms of one or two kinds fill a part of the cell only if as many at random would leave their gap
with less than this probability.  So little, for the atoms of one molecule aren't at random."""
POINTS = 8


class Profiles:
    """Sums up heights along the three cell vectors, in fractions of the cell, of each kind."""

    def __init__(self, kinds: NDArray[np.int64]) -> None:
        """``kinds``: ``(n_atoms,)``, 0 ... n_kinds - 1."""
        self._n_atoms = np.bincount(kinds)  # (kind,)
        self._kinds = kinds
        self._counts = np.zeros((3, int(kinds.max()) + 1, N_HEIGHTS))
        self._heights_A, self._volume_A3, self._n_frames = np.zeros(3), 0.0, 0

    def add(self, positions: NDArray[np.float64], cells: NDArray[np.float64]) -> None:
        """Frames: ``(n_frames, n_atoms, 3)`` and ``(n_frames, 3, 3)``, A."""
        inverse = np.linalg.inv(cells)
        fractions = positions @ inverse
        bins = ((fractions - np.floor(fractions)) * N_HEIGHTS).astype(np.int64) % N_HEIGHTS
        for axis in range(3):
            flat = bins[:, :, axis] + N_HEIGHTS * self._kinds
            counts = np.bincount(flat.ravel(), minlength=self._counts[axis].size)
            self._counts[axis] += counts.reshape(-1, N_HEIGHTS)
        self._heights_A += (1.0 / np.linalg.norm(inverse, axis=1)).sum(axis=0)
        self._volume_A3 += float(np.abs(np.linalg.det(cells)).sum())
        self._n_frames += len(positions)

    def height_A(self, axis: int) -> float:
        """Mean height of the cell across the other two vectors, A."""
        return float(self._heights_A[axis]) / self._n_frames

    def vacuum(self) -> list[int]:
        """Axes along which the atoms leave a gap (`SMALLEST_A`)."""
        return [axis for axis in range(3) if self._gap_A(axis) > self._wide_A()]

    def partial(self, *kinds: int) -> list[int]:
        """Axes along which the atoms of these kinds, taken together, fill only a part of the cell.

        Theirs is the profile over all frames, and a gap of it counts as in `vacuum`, with the mean
        distance of these atoms, if it isn't by chance: n independent atoms at random heights leave
        a gap of the fraction f of the cell with a probability of at most n (1 - f)^(n - 1)
        (`BY_CHANCE`).  A few ions of a liquid that hardly move during a run never count.
        """
        n, wide_A = self._number(*kinds), self._wide_A(*kinds)
        found = []
        for axis in range(3):
            gap_A = self._gap_A(axis, *kinds)
            by_chance = n * (1.0 - gap_A / self.height_A(axis)) ** (n - 1)
            if gap_A > wide_A and by_chance < BY_CHANCE:
                found.append(axis)
        return found

    def with_gaps(self, *kinds: int) -> list[int]:
        """Axes along which atoms of these kinds leave a gap of `SMALLEST_A`, by chance or not."""
        return [axis for axis in range(3) if self._gap_A(axis, *kinds) > SMALLEST_A]

    def shells(self, axis: int, a: int, b: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(n_bins,)``, A^2: area in which a partner of kind b may be, for one atom of kind a.

        At a difference u of heights and the distance r, a partner is in a ring of the area
        2 pi r dr, whatever u is, if |u| < r; so the area of a bin is the integral of
        2 pi r P(|u| < r) dr.  P is what the profiles of the two kinds make of independent atoms: 1
        in a flat sheet, (2r - r^2/h)/h below the thickness h of an evenly filled slab, which is the
        volume of the shell that lies in the slab, over h.  u is to the nearer of two images: where
        the gap is narrower than r, partners beyond it count.

        Parameters
        ----------
        axis : along which the atoms leave a gap
        a, b : kinds
        edges : ``(n_bins + 1,)``, A, even
        """
        step_A = self.height_A(axis) / N_HEIGHTS
        one, other = (self._counts[axis, kind] / self._counts[axis, kind].sum() for kind in (a, b))
        apart = np.convolve(one, other[::-1])  # of u from -N + 1 bins to N - 1
        around = apart[N_HEIGHTS - 1 :].copy()  # of u modulo N
        around[1:] += apart[: N_HEIGHTS - 1]
        half = N_HEIGHTS // 2
        sizes = around[: half + 1].copy()  # of |u|
        sizes[1:half] += around[:half:-1]
        closer = np.concatenate([[0.0], np.cumsum(sizes)])
        at_A = np.concatenate([[0.0], (np.arange(half + 1) + 0.5) * step_A])
        bin_A = edges[1] - edges[0]
        points = edges[:-1, None] + (np.arange(POINTS) + 0.5) / POINTS * bin_A  # (bin, point)
        areas = 2.0 * np.pi * points * np.interp(points, at_A, closer)
        return areas.mean(axis=1) * bin_A

    def _wide_A(self, *kinds: int) -> float:
        """What a gap of atoms of these kinds, or of all, must exceed, A."""
        apart_A = (self._volume_A3 / self._n_frames / self._number(*kinds)) ** (1.0 / 3.0)
        return max(SMALLEST_A, 2.0 * apart_A)

    def _number(self, *kinds: int) -> int:
        """Atoms of these kinds, each named once or twice, or of all."""
        return int(self._n_atoms[list(set(kinds))].sum()) if kinds else len(self._kinds)

    def _gap_A(self, axis: int, *kinds: int) -> float:
        """Longest stretch that no atom of these kinds, or of all, comes into, A."""
        counts = self._counts[axis, list(kinds)] if kinds else self._counts[axis]
        occupied = np.flatnonzero(counts.sum(axis=0))
        after = np.diff(np.append(occupied, occupied[0] + N_HEIGHTS)) - 1
        return int(after.max()) / N_HEIGHTS * self.height_A(axis)
