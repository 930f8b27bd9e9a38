"""Velocities in blocks of frames: their autocorrelation, and what each frame adds to its integral.

Owns how long a block is.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.correlation import correlation_sums

FEWEST_BLOCKS = 4
AT_ONCE = 192
"""Components of velocities whose sums stay in the processor's cache."""


@dataclass(frozen=True)
class Gathered:
    """Sums over the atoms of each species.

    Attributes
    ----------
    correlations : ``(n_blocks, n_species, n_lags)``
    n_frames : of each block
    series : of each run ``(n_species, n_origins)``, frames times the unit of the correlations: what
        each frame adds to the integral over the lags, from 0 to where the memory is over
    """

    correlations: NDArray[np.float64]
    n_frames: list[float]
    series: list[NDArray[np.float64]]


def gather(
    groups: Iterable[tuple[slice, Iterable[NDArray[np.float64]]]],
    weights: NDArray[np.float64],
    n_lags: int,
    blocks_of_runs: Sequence[int] = (),
    *,
    with_series: bool = True,
) -> Gathered:
    """Sums over groups of atoms; blocks shorter than the lags are left out.

    Parameters
    ----------
    groups : of atoms that are followed together, and their velocities in blocks
        ``(n_frames, n_group, 3)``
    weights : ``(n_species, n_atoms)``
    blocks_of_runs : how many blocks each run has; all are of one where it isn't said
    with_series : the series too, which takes longer than the correlations
    """
    total: NDArray[np.float64] = np.zeros(())
    n_frames: list[float] = []
    series: list[NDArray[np.float64]] = []
    ends = list(itertools.accumulate(blocks_of_runs))  # of the runs, in blocks
    for atoms, blocks in groups:
        found: list[NDArray[np.float64]] = []
        n_frames = []
        origins = Origins(n_lags)
        parts: list[list[NDArray[np.float64]]] = [[] for _ in (*blocks_of_runs, "what is left")]
        for velocities in blocks:
            if len(velocities) < max(n_lags, 2):  # the remainder at the end
                continue
            run = bisect_right(ends, len(found))
            if with_series:
                if not parts[run]:
                    origins.begin()
                parts[run].append(origins.add(velocities, weights[:, atoms]))
            found.append(velocity_autocorrelation(velocities, weights[:, atoms], n_lags))
            n_frames.append(float(len(velocities)))
        total = total + np.array(found)
        own = [np.concatenate(part, axis=1) for part in parts if part]
        series = [a + b for a, b in zip(series, own, strict=True)] if series else own
    return Gathered(total, n_frames, series)


class Origins:
    """What the velocities of each frame add to the running integrals, as a series: its error.

    v(t) . (x(t + tau) - x(t)) over the atoms of a species, averaged over the upper ends tau from
    half of the lags to all of them.
    """

    def __init__(self, n_lags: int) -> None:
        self._first, self._last = n_lags // 2, n_lags - 1
        self._kept: NDArray[np.float64] | None = None

    def begin(self) -> None:
        """Another run, or other atoms."""
        self._kept = None

    def add(self, velocities: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray:
        """Of the frames whose later ones are there by now, ``(n_species, n_frames)``.

        Parameters
        ----------
        velocities : ``(n_frames, n_group, 3)``, the frames that follow
        weights : ``(n_species, n_group)``
        """
        frames = velocities.reshape(len(velocities), -1)
        if self._kept is not None:
            frames = np.concatenate([self._kept, frames])
        n_new = max(len(frames) - self._last, 0)
        self._kept = frames[n_new:]
        if not n_new:
            return np.empty((len(weights), 0))
        found = np.zeros((len(weights), n_new))
        columns = np.repeat(weights, 3, axis=1)
        for first in range(0, frames.shape[1], AT_ONCE):
            chosen = slice(first, first + AT_ONCE)
            found += columns[:, chosen] @ self._integral(frames[:, chosen], n_new).T
        return found

    def _integral(self, frames: NDArray[np.float64], n_new: int) -> NDArray[np.float64]:
        """Of the first frames, times what each comes before, ``(n_new, n_columns)``."""
        way = _sums(frames)  # in frames
        ways = _sums(way)
        moved = ways[self._last : self._last + n_new] - ways[self._first : self._first + n_new]
        moved /= self._last - self._first
        moved -= way[:n_new]
        moved += 0.5 * frames[:n_new]  # half of the first frame, as in the trapezoidal rule
        moved *= frames[:n_new]
        return np.asarray(moved)


def _sums(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """``np.cumsum`` over the rows, which takes four times as long."""
    found = rows.copy()
    for before, row in itertools.pairwise(found):
        row += before
    return found


def velocity_autocorrelation(
    velocities: NDArray[np.float64], weights: NDArray[np.float64], n_lags: int
) -> NDArray[np.float64]:
    """C(k) = sum_i w_i < v_i(t) . v_i(t + k) >_t of one block.

    The average at lag k is over the n_frames - k pairs of frames that there are (unbiased).

    Parameters
    ----------
    velocities : ``(n_frames, n_atoms, 3)``, any unit
    weights : ``(n_atoms,)``, for instance masses, or ``(n_sums, n_atoms)``
    n_lags : number of lags, from 0 on; at most n_frames

    Returns
    -------
    ``(n_lags,)`` or ``(n_sums, n_lags)``, unit of the weights times that of the velocities squared
    """
    pairs = len(velocities) - np.arange(n_lags)
    return correlation_sums(velocities, weights, n_lags) / pairs


def frames_per_block(n_frames: int, n_lags: int) -> int:
    """Blocks as long as two longest lags; in a short run the four that an error needs, if they are
    as long as one.
    """
    n_blocks = max(n_frames // (2 * n_lags), min(FEWEST_BLOCKS, n_frames // n_lags), 1)
    return n_frames // n_blocks


def n_blocks_of(n_frames: int, n_lags: int) -> int:
    """Blocks that a run of so many frames gives; a remainder as long as the lags is one."""
    per_block = frames_per_block(n_frames, n_lags)
    return n_frames // per_block + (n_frames % per_block >= max(n_lags, 2))
