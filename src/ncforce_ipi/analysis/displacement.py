"""Mean squared displacement over all origins of a run, and lines through it.

Positions come continuous and about the centre of mass (`paths`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.correlation import correlation_sums
from ncforce_ipi.analysis.msdline import MOST_IN_SERIES, line_weights, windows
from ncforce_ipi.errors import InputError

FEWEST_LAGS = 8
SHARE = 0.125
"""The longest lag in units of the run."""


@dataclass(frozen=True)
class Displacement:
    """Mean squared displacement of each species.

    Attributes
    ----------
    lag_ps : ``(n_lags,)``, ps, from 0 on
    squared_A2 : ``(n_lags,)``, A^2, for each species, over all origins
    blocks_A2 : ``(n_blocks, n_lags)``, A^2, for each species: displacements that end in each block
    weights : ``(n_blocks, n_lags)``, pairs of frames of each block
    line_lags, line_weights : ``(n_line,)``, frames and 1/ps: D is the weights' sum with the
        displacement at these lags
    slopes : for each species and run ``(n_frames,)``, A^2/ps: such a sum, over fewer lags, of the
        displacements that end in each frame; its mean is D but for the ends of the run
    beyond : for each species the same of a line through longer lags, less the first one's, and its
        series; empty where the run has no such lags
    """

    lag_ps: NDArray[np.float64]
    squared_A2: dict[str, NDArray[np.float64]]
    blocks_A2: dict[str, NDArray[np.float64]]
    weights: NDArray[np.float64]
    line_lags: NDArray[np.int64]
    line_weights: NDArray[np.float64]
    slopes: dict[str, tuple[NDArray[np.float64], ...]]
    beyond: dict[str, tuple[float, tuple[NDArray[np.float64], ...]]]

    @property
    def span_ps(self) -> float:
        """From the first to the last lag of the line, ps."""
        return float(self.lag_ps[self.line_lags[-1]] - self.lag_ps[self.line_lags[0]])

    def rms_off_line(self, symbol: str, coefficient: float) -> float:
        """Of the windows' means about a line of slope 6 D, A^2; ``coefficient`` in A^2/ps."""
        rise = 6.0 * coefficient * self.lag_ps[self.line_lags]
        off = windows(len(rise)) @ (self.squared_A2[symbol][self.line_lags] - rise)
        return float(off.std())


def squared_displacement(positions: NDArray[np.float64], n_lags: int) -> NDArray[np.float64]:
    """<|r(t + k) - r(t)|^2> over all origins t of one block and all atoms.

    |a - b|^2 = a^2 + b^2 - 2 a.b: the first two summed recursively, the last as a zero-padded
    autocorrelation (Calandrini et al., Collection SFN 12, 201, 2011): n log n, and exact.

    Parameters
    ----------
    positions : ``(n_frames, n_atoms, 3)``, A, unwrapped
    n_lags : lags from 0 on; at most n_frames

    Returns
    -------
    ``(n_lags,)``, A^2
    """
    return _pair_sums(positions, n_lags) / (len(positions) - np.arange(n_lags))


def _pair_sums(positions: NDArray[np.float64], n_lags: int) -> NDArray[np.float64]:
    """Sum over origins, mean over atoms, ``(n_lags,)``; 0 at lags that there aren't."""
    n_frames, n_atoms, _ = positions.shape
    n_there = min(n_frames, n_lags)
    if n_there == 0:
        return np.zeros(n_lags)
    # the square of a small number loses nothing: take the mean place away first
    moved = positions - positions.mean(axis=0)
    squares = np.einsum("fac,fac->f", moved, moved)  # (frame,)
    ahead = np.cumsum(squares)  # of the frames 0 .. t
    behind = np.cumsum(squares[::-1])
    ends = n_frames - 1 - np.arange(n_there)
    correlation = correlation_sums(moved, np.ones(n_atoms), n_there)
    sums = np.zeros(n_lags)
    sums[:n_there] = (ahead[ends] + behind[ends] - 2.0 * correlation) / n_atoms
    return sums


def displacements(
    groups: Iterable[tuple[slice, Iterable[Iterable[NDArray[np.float64]]]]],
    species: NDArray[np.str_],
    *,
    time_step_fs: float,
    n_lags: int,
    from_ps: float,
    n_beyond: int = 0,
) -> Displacement:
    """Mean squared displacement of each species over all origins of whole runs, streamed.

    Parameters
    ----------
    groups : of atoms that are followed together: which of them, and of each run blocks of their
        continuous positions ``(n_frames, n_group, 3)``, A, one after the other; memory is that of
        one block and of ``n_lags`` frames.  The result is that of all atoms in one group
    species : ``(n_atoms,)``, element symbols
    time_step_fs : fs, between frames
    n_lags : lags, at least 8
    from_ps : start of the line, ps
    n_beyond : lags of a second line, from the last of ``n_lags`` on; none where it is less than
        half as many again

    Raises
    ------
    InputError
        No run of ``n_lags`` frames, or no two lags from the line's start on.
    """
    time_step_ps = 1e-3 * time_step_fs
    line = line_weights(n_lags, time_step_ps, from_ps)
    lines = [line_weights(n_lags, time_step_ps, from_ps, MOST_IN_SERIES)]
    last_ps, n_all = time_step_ps * (n_lags - 1), n_lags
    if n_beyond >= 1.5 * n_lags:
        n_all, further = n_beyond, line_weights(n_beyond, time_step_ps, last_ps)
        lines.append(line_weights(n_beyond, time_step_ps, last_ps, MOST_IN_SERIES))
    members = {str(symbol): species == symbol for symbol in np.unique(species)}
    found = _summed(groups, members, n_all, lines)
    counts = np.array([count for one in found for count in one.pairs])
    if n_lags < FEWEST_LAGS or not counts.size or not counts.sum(axis=0)[-1] > 0.0:
        raise InputError(
            f"diffusion: no run of {max(n_all, FEWEST_LAGS)} frames of positions; run longer, "
            "or write positions more often"
        )
    every = {symbol: np.array([s for one in found for s in one.sums[symbol]]) for symbol in members}
    squared_A2 = {symbol: one.sum(axis=0) / counts.sum(axis=0) for symbol, one in every.items()}
    slopes = {symbol: [one.slopes(symbol) for one in found] for symbol in members}
    beyond = {}
    for symbol, one in squared_A2.items() if len(lines) > 1 else ():
        change = float(further[1] @ one[further[0]] - line[1] @ one[line[0]])
        beyond[symbol] = change, tuple(far - near for near, far in slopes[symbol])
    return Displacement(
        lag_ps=np.arange(n_lags, dtype=np.float64) * time_step_ps,
        squared_A2={symbol: one[:n_lags] for symbol, one in squared_A2.items()},
        blocks_A2={s: (one / np.maximum(counts, 1.0))[:, :n_lags] for s, one in every.items()},
        weights=counts[:, :n_lags],
        line_lags=line[0],
        line_weights=line[1],
        slopes={symbol: tuple(one[0] for one in runs) for symbol, runs in slopes.items()},
        beyond=beyond,
    )


def _summed(
    groups: Iterable[tuple[slice, Iterable[Iterable[NDArray[np.float64]]]]],
    members: Mapping[str, NDArray[np.bool_]],
    n_lags: int,
    lines: Sequence[tuple[NDArray, NDArray]],
) -> list[_Sums]:
    """Of each run, over all groups."""
    every: list[list[_Sums]] = []
    for atoms, runs in groups:
        own = {symbol: at[atoms] for symbol, at in members.items() if at[atoms].any()}
        shares = {
            symbol: np.count_nonzero(at) / members[symbol].sum() for symbol, at in own.items()
        }
        every.append([_Sums(own, shares, n_lags, lines).of(run) for run in runs])
    return [_Sums.together(parts) for parts in zip(*every, strict=True)]


class _Sums:
    """Sums over pairs of frames of one run, of the pairs that end in each block.

    ``members`` says which atoms of a group are of a species, ``shares`` how large a part of the
    species they are.
    """

    def __init__(
        self,
        members: Mapping[str, NDArray[np.bool_]],
        shares: Mapping[str, float],
        n_lags: int,
        lines: Sequence[tuple[NDArray, NDArray]],
    ) -> None:
        self._members, self._shares, self._n_lags, self._lines = members, shares, n_lags, lines
        self.pairs: list[NDArray[np.float64]] = []
        self.sums: dict[str, list[NDArray]] = {symbol: [] for symbol in members}
        self._slopes: dict[str, list[NDArray]] = {symbol: [] for symbol in members}

    @classmethod
    def together(cls, parts: Sequence[_Sums]) -> _Sums:
        """Of the same frames of several groups of atoms, as if they were one."""
        first, *others = parts
        for other in others:
            for mine, theirs in ((first.sums, other.sums), (first._slopes, other._slopes)):
                for symbol, series in theirs.items():
                    known = mine.get(symbol, [np.zeros(())] * len(series))
                    mine[symbol] = [a + b for a, b in zip(known, series, strict=True)]
        return first

    def of(self, run: Iterable[NDArray[np.float64]]) -> _Sums:
        """Itself, after a run."""
        frames, n_before = np.empty((0, 0, 3)), 0
        for block in run:
            frames = np.concatenate([frames, block]) if n_before else block
            self._add(frames, n_before)
            frames = frames[max(len(frames) - self._n_lags + 1, 0) :]
            n_before = len(frames)
        return self

    def slopes(self, symbol: str) -> NDArray[np.float64]:
        """Of the displacements that end in each frame, ``(n_lines, n_frames)``."""
        return np.concatenate([np.empty((len(self._lines), 0)), *self._slopes[symbol]], axis=1)

    def _add(self, frames: NDArray[np.float64], n_before: int) -> None:
        """Pairs whose later frame is not among the first ``n_before``."""
        n_lags, first = self._n_lags, max(n_before, self._n_lags - 1)
        self.pairs.append(_n_pairs(len(frames), n_lags) - _n_pairs(n_before, n_lags))
        for symbol, at in self._members.items():
            chosen = frames[:, at]
            new = _pair_sums(chosen, n_lags) - _pair_sums(chosen[:n_before], n_lags)
            self.sums[symbol].append(self._shares[symbol] * new)
            ending = np.array([_ending(chosen, *line, first) for line in self._lines])
            self._slopes[symbol].append(self._shares[symbol] * ending)


def _n_pairs(n_frames: int, n_lags: int) -> NDArray[np.float64]:
    """Pairs of frames at each lag, ``(n_lags,)``."""
    return np.maximum(n_frames - np.arange(n_lags), 0).astype(float)


def _ending(
    positions: NDArray[np.float64], lags: NDArray[np.int64], weights: NDArray, first: int
) -> NDArray[np.float64]:
    """Weighted sum of the squared displacements that end in each frame from ``first`` on."""
    last = positions[first:]
    found = np.zeros(len(last))
    for lag, weight in zip(lags, weights, strict=True):
        moved = last - positions[first - lag : first - lag + len(last)]
        found += weight * np.einsum("fac,fac->f", moved, moved) / positions.shape[1]
    return found
