"""Vacuum in a cell, and what an ideal gas would be in a slab or a sheet that it leaves.

Owns the profiles of the atoms' heights along each cell vector; knows no pair of atoms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

N_HEIGHTS = 2048
SMALLEST_A = 6.0
"""A direction has vacuum where no atom comes into a gap of so many A, and of two mean distances
between atoms, in any frame.  In condensed matter the widest gap in one frame is about 3 A."""
POINTS = 8


class Profiles:
    """Sums up heights along the three cell vectors, in fractions of the cell, of each kind."""

    def __init__(self, kinds: NDArray[np.int64]) -> None:
        """``kinds``: ``(n_atoms,)``, 0 ... n_kinds - 1."""
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
        apart_A = (self._volume_A3 / self._n_frames / len(self._kinds)) ** (1.0 / 3.0)
        widest_A = [self._gap(axis)[1] / N_HEIGHTS * self.height_A(axis) for axis in range(3)]
        return [axis for axis in range(3) if widest_A[axis] > max(SMALLEST_A, 2.0 * apart_A)]

    def shells(self, axis: int, a: int, b: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(n_bins,)``, A^2: area in which a partner of kind b may be, for one atom of kind a.

        At a difference u of heights and the distance r, a partner is in a ring of the area
        2 pi r dr, whatever u is, if |u| < r; so the area of a bin is the integral of
        2 pi r P(|u| < r) dr.  P is what the profiles of the two kinds make of independent atoms: 1
        in a flat sheet, (2r - r^2/h)/h below the thickness h of an evenly filled slab, which is the
        volume of the shell that lies in the slab, over h.

        Parameters
        ----------
        axis : along which there is vacuum
        a, b : kinds
        edges : ``(n_bins + 1,)``, A, even
        """
        start, width = self._gap(axis)
        step_A = self.height_A(axis) / N_HEIGHTS
        one, other = (np.roll(self._counts[axis, kind], -(start + width)) for kind in (a, b))
        apart = np.convolve(one / one.sum(), other[::-1] / other.sum())  # of u, 0 in the middle
        middle = N_HEIGHTS - 1
        sizes = apart[middle:].copy()
        sizes[1:] += apart[:middle][::-1]
        closer = np.concatenate([[0.0], np.cumsum(sizes)])
        at_A = np.concatenate([[0.0], (np.arange(N_HEIGHTS) + 0.5) * step_A])
        bin_A = edges[1] - edges[0]
        points = edges[:-1, None] + (np.arange(POINTS) + 0.5) / POINTS * bin_A  # (bin, point)
        areas = 2.0 * np.pi * points * np.interp(points, at_A, closer)
        return areas.mean(axis=1) * bin_A

    def _gap(self, axis: int) -> tuple[int, int]:
        """Start and width, in bins, of the longest stretch that no atom comes into."""
        occupied = np.flatnonzero(self._counts[axis].sum(axis=0))
        after = np.diff(np.append(occupied, occupied[0] + N_HEIGHTS)) - 1
        longest = int(np.argmax(after))
        return int(occupied[longest]) + 1, int(after[longest])
