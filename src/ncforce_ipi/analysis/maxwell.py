"""Whether the velocities of each species are distributed as Maxwell and Boltzmann say."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.statistics import Mean, mean_of, remembering_error
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV

WIDEST, N_BINS = 5.0, 100
PIECES, N_BLOCKS = 8, 64
"""The first blocks of frames are cut into so many pieces, and what there is in the end is put
together to so many blocks at most: enough to see whether they remember each other."""


@dataclass(frozen=True)
class Distribution:
    """Components of the velocities of one species, scaled to unit variance, against a Gaussian.

    Attributes
    ----------
    scaled : ``(n_bins,)``, centres of bins of v / sigma, sigma^2 the mean of v^2 in this run
    density, error : ``(n_bins,)``, per unit of v / sigma, with one standard error from blocks; NaN
        with fewer than 32, or where they hold fewer than about 25 memories
    temperature_K : K, that the mean of v^2 means
    excess_kurtosis : <v^4> / <v^2>^2 - 3 with its standard error: 0 for a Gaussian.  Energy that is
        conserved (NVE) takes something off it: 1 / N for N harmonic atoms, 2 / N for an ideal gas
    """

    scaled: NDArray[np.float64]
    density: NDArray[np.float64]
    error: NDArray[np.float64]
    temperature_K: float
    excess_kurtosis: Mean

    @property
    def sigmas(self) -> float:
        """|Excess kurtosis| in units of its error; NaN without one."""
        return abs(self.excess_kurtosis.value) / self.excess_kurtosis.error

    @property
    def gaussian(self) -> NDArray[np.float64]:
        """Maxwell and Boltzmann's distribution at the centres, ``(n_bins,)``."""
        return np.exp(-0.5 * self.scaled**2) / np.sqrt(2.0 * np.pi)


class Collector:
    """Sums up velocities block by block."""

    def __init__(
        self,
        species: NDArray[np.str_],
        masses_u: NDArray[np.float64],
        temperature_K: float,
        *,
        shares: NDArray[np.float64],
    ) -> None:
        """``species`` and ``masses_u``, u: ``(n_atoms,)``; ``temperature_K``: about that, for bins.

        ``shares``, ``(n_atoms, 3)``: what each component lacks of one degree of freedom
        (`freedom.Freedom.shares`); with the centre of mass at rest m / M, and its variance is
        k_B T / m (1 - m / M).  Atoms with a component that never moves are left out.
        """
        left = 1.0 - shares
        whole = (left > 1e-9).all(axis=1)
        variance = BOLTZMANN_EV_PER_K * temperature_K / U_A2_PER_FS2_EV * left / masses_u[:, None]
        symbols = np.unique(species[whole])
        self._members = {str(s): np.flatnonzero((species == s) & whole) for s in symbols}
        self._per_sigma = 1.0 / np.sqrt(np.maximum(variance, np.finfo(float).tiny))
        self._temperature_K = temperature_K
        # wider and finer than what is shown: the bins are scaled when the variance is known
        edges = np.linspace(-2.0 * WIDEST, 2.0 * WIDEST, 40 * N_BINS + 1)
        self._edges = dict.fromkeys(self._members, edges)
        self._counts: dict[str, list[NDArray]] = {name: [] for name in self._members}
        self._n_frames: dict[str, list[int]] = {name: [] for name in self._members}
        self._moments: dict[str, list[NDArray]] = {name: [] for name in self._members}

    def add(self, velocities: NDArray[np.float64]) -> None:
        """One block of velocities, ``(n_frames, n_atoms, 3)``, A/fs."""
        for name, members in self._members.items():
            scaled = velocities[:, members] * self._per_sigma[members]
            self._widen(name, WIDEST * float(np.sqrt((scaled**2).mean())))
            pieces = PIECES if len(self._counts[name]) < N_BLOCKS else 1
            for piece in np.array_split(scaled, min(pieces, len(scaled))):
                self._counts[name].append(np.histogram(piece, self._edges[name])[0])
                self._n_frames[name].append(len(piece))
            powers = [(scaled**power).mean(axis=(1, 2)) for power in (2, 4)]
            self._moments[name].append(np.array(powers))  # (power, frame)

    def _widen(self, name: str, needed: float) -> None:
        """Twice as wide bins, put together of two each, until they reach what is to be shown."""
        while self._edges[name][-1] < needed < np.inf:
            self._edges[name] = 2.0 * self._edges[name]
            quarter = 10 * N_BINS
            self._counts[name] = [
                np.pad(counts.reshape(-1, 2).sum(axis=1), quarter) for counts in self._counts[name]
            ]

    def distributions(self) -> dict[str, Distribution]:
        """Of each species.

        Raises
        ------
        InputError
            No velocities, or all are zero.
        """
        return {name: self._distribution(name) for name in self._members}

    def _distribution(self, name: str) -> Distribution:
        if not self._moments[name]:
            raise InputError("no velocities to see the distribution of; expected one frame or more")
        second, fourth = np.concatenate(self._moments[name], axis=1)
        variance = float(second.mean())
        if not variance > 0.0:
            raise InputError(f"all velocities of {name} are 0; expected moving atoms")
        # the first-order change of the ratio with each frame's moments: its mean is the ratio
        change = fourth / variance**2 - 2.0 * fourth.mean() / variance**3 * (second - variance)
        kurtosis = mean_of(change)
        counts, weights = _even(np.array(self._counts[name]), np.array(self._n_frames[name]))
        density = np.array([self._shown(name, of_block, variance) for of_block in counts])
        edges = np.linspace(-WIDEST, WIDEST, N_BINS + 1)
        return Distribution(
            scaled=0.5 * (edges[1:] + edges[:-1]),
            density=np.tensordot(weights / weights.sum(), density, axes=1),
            error=remembering_error(density, weights),
            temperature_K=self._temperature_K * variance,
            excess_kurtosis=replace(kurtosis, value=kurtosis.value - 3.0),
        )

    def _shown(self, name: str, counts: NDArray, variance: float) -> NDArray[np.float64]:
        """Density in the bins that are shown, from a cumulative count at their edges."""
        edges = np.linspace(-WIDEST, WIDEST, N_BINS + 1)
        below = np.concatenate([[0.0], np.cumsum(counts)]) / max(counts.sum(), 1)
        return np.diff(np.interp(edges * np.sqrt(variance), self._edges[name], below)) / np.diff(
            edges
        )


def _even(counts: NDArray, n_frames: NDArray) -> tuple[NDArray, NDArray[np.float64]]:
    """Neighbouring blocks put together, so that there are 64 of about one length at most."""
    middle = np.cumsum(n_frames) - 0.5 * n_frames
    places = (N_BLOCKS * middle / n_frames.sum()).astype(np.int64)
    first = np.flatnonzero(np.diff(places, prepend=-1))
    return np.add.reduceat(counts, first), np.add.reduceat(n_frames, first).astype(float)
