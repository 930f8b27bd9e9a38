"""Self-diffusion: mean squared displacement, Einstein's slope, the size of the box.

Positions must be unwrapped (i-PI writes them so) and the centre of mass at rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.correlation import correlation_sums
from ncforce_ipi.analysis.statistics import block_error, number_text
from ncforce_ipi.analysis.vdos import Spectrum
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import (
    BOLTZMANN_EV_PER_K,
    EV_PER_A3_GPA,
    PER_FS_PER_CM,
    U_A2_PER_FS2_EV,
)

FEWEST_LAGS = 8
FEWEST_BLOCKS = 4
TOO_FEW_BLOCKS = f"the run holds fewer than {FEWEST_BLOCKS} blocks of two longest lags"
SHARE = 0.125
"""The longest lag in units of the run: leaves four blocks of two lags for the error."""
LATTICE_CONSTANT = 2.837297
"""xi of a cubic periodic box (Yeh, Hummer, J. Phys. Chem. B 108, 15873, 2004)."""


@dataclass(frozen=True)
class Displacement:
    """Mean squared displacement of each species.

    Attributes
    ----------
    lag_ps : ``(n_lags,)``, ps, from 0 on
    squared_A2 : ``(n_lags,)``, A^2, for each species
    blocks_A2 : ``(n_blocks, n_lags)``, A^2, for each species: what the average is over
    weights : ``(n_blocks,)``, frames of each block
    """

    lag_ps: NDArray[np.float64]
    squared_A2: dict[str, NDArray[np.float64]]
    blocks_A2: dict[str, NDArray[np.float64]]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Diffusion:
    """A diffusion coefficient; both numbers in A^2/ps (1 A^2/ps = 1e-4 cm^2/s)."""

    value: float
    error: float

    def over(self, reference: Diffusion) -> Diffusion:
        """The ratio to another run's, dimensionless; errors of the two are independent."""
        ratio = self.value / reference.value
        relative = math.hypot(self.error / self.value, reference.error / reference.value)
        return Diffusion(ratio, abs(ratio) * relative)

    def text(self, unit: str = "") -> str:
        """Value and standard error, or the reason why there is none."""
        return number_text(self.value, self.error, unit, TOO_FEW_BLOCKS)


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
    n_frames, n_atoms, _ = positions.shape
    # the square of a small number loses nothing: take the mean place away first
    moved = positions - positions.mean(axis=0)
    squares = np.einsum("fac,fac->f", moved, moved)  # (frame,)
    ahead = np.cumsum(squares)  # of the frames 0 .. t
    behind = np.cumsum(squares[::-1])
    ends = n_frames - 1 - np.arange(n_lags)
    correlation = correlation_sums(moved, np.ones(n_atoms), n_lags)
    pairs = n_frames - np.arange(n_lags)
    return (ahead[ends] + behind[ends] - 2.0 * correlation) / pairs / n_atoms


def displacements(
    blocks: Iterable[NDArray[np.float64]],
    species: NDArray[np.str_],
    *,
    time_step_fs: float,
    n_lags: int,
) -> Displacement:
    """Mean squared displacement of each species, streamed.

    Parameters
    ----------
    blocks : unwrapped positions ``(n_frames, n_atoms, 3)``, A, each of at least ``n_lags`` frames
    species : ``(n_atoms,)``, element symbols
    time_step_fs : fs, between frames
    n_lags : lags, at least 8

    Raises
    ------
    InputError
        No block of ``n_lags`` frames.
    """
    symbols = [str(symbol) for symbol in np.unique(species)]
    found: dict[str, list[NDArray[np.float64]]] = {symbol: [] for symbol in symbols}
    weights = []
    for positions in blocks:
        if len(positions) < n_lags:  # the remainder at the end
            continue
        weights.append(float(len(positions)))
        for symbol in symbols:
            chosen = positions[:, species == symbol]
            found[symbol].append(squared_displacement(chosen, n_lags))
    if not weights or n_lags < FEWEST_LAGS:
        raise InputError(
            f"diffusion: no block of {max(n_lags, FEWEST_LAGS)} frames of positions; run longer, "
            "or write positions more often"
        )
    share = np.array(weights) / np.sum(weights)
    every = {symbol: np.array(values) for symbol, values in found.items()}
    return Displacement(
        lag_ps=np.arange(n_lags, dtype=np.float64) * (1e-3 * time_step_fs),
        squared_A2={symbol: share @ values for symbol, values in every.items()},
        blocks_A2=every,
        weights=np.array(weights),
    )


def einstein(displacement: Displacement, from_ps: float) -> dict[str, Diffusion]:
    """D = slope / 6 of a line through the mean squared displacement from ``from_ps`` on.

    The line is fitted in each block, the error is that of the blocks' mean: NaN with fewer than 4.
    A block is two longest lags long; lags that exceed the memory of the velocities, as a slope of
    the mean squared displacement needs them, make blocks independent.
    """
    chosen = displacement.lag_ps >= from_ps
    if np.count_nonzero(chosen) < 2:
        raise InputError(
            f"diffusion: lags end at {displacement.lag_ps[-1]:g} ps; expected two or more from "
            f"{from_ps:g} ps on"
        )
    time_ps = displacement.lag_ps[chosen]
    lever = (time_ps - time_ps.mean()) / np.sum((time_ps - time_ps.mean()) ** 2)
    result = {}
    for symbol, values in displacement.blocks_A2.items():
        slopes = values[:, chosen] @ lever / 6.0
        mean = float(np.average(slopes, weights=displacement.weights))
        error = float(block_error(slopes, displacement.weights))
        enough = len(slopes) >= FEWEST_BLOCKS
        result[symbol] = Diffusion(mean, error if enough else math.nan)
    return result


def from_spectrum(
    spectrum: Spectrum,
    species: NDArray[np.str_],
    masses_u: NDArray[np.float64],
    dof: dict[str, float],
) -> dict[str, Diffusion]:
    """D from the zero-frequency limit of the velocity spectra: S(0) k_B dof / (12 N m).

    Right where the lags of the spectrum exceed the memory of the velocities.
    """
    result = {}
    for symbol, density in spectrum.density.items():
        at = species == symbol
        mass_u = float(masses_u[at].sum())  # N m
        factor = BOLTZMANN_EV_PER_K * dof[symbol] / (12.0 * mass_u * U_A2_PER_FS2_EV)
        factor *= 1e3 * PER_FS_PER_CM  # K cm to K fs; A^2/fs to A^2/ps
        result[symbol] = Diffusion(
            factor * float(density[0]), factor * float(spectrum.error[symbol][0])
        )
    return result


def finite_size_correction(temperature_K: float, box_A: float, viscosity_mPa_s: float) -> float:
    """What a cubic periodic box takes off D: k_B T xi / (6 pi eta L), A^2/ps; add it.

    Source: Yeh, Hummer, J. Phys. Chem. B 108, 15873 (2004); Duenweg, Kremer, J. Chem. Phys. 99,
    6983 (1993).
    """
    for name, value in (("box", box_A), ("viscosity", viscosity_mPa_s)):
        if not value > 0.0:
            raise InputError(f"{name} must be positive, got {value}")
    viscosity = viscosity_mPa_s / EV_PER_A3_GPA  # mPa s = 1e-12 GPa s = GPa ps, in eV ps / A^3
    return (
        BOLTZMANN_EV_PER_K * temperature_K * LATTICE_CONSTANT / (6.0 * math.pi * viscosity * box_A)
    )
