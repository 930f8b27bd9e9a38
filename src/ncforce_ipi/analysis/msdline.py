"""The weights of a line through mean squared displacements, for D."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError

WINDOWS = 8
"""Windows of lags whose mean displacements the line goes through.  What vibrates averages out:
above 70 1/cm for a line from 1 to 5 ps, where fewer windows would do more, with larger errors."""
MOST_LAGS, MOST_IN_SERIES = 1000, 41
"""Lags that the line takes at most, and those of the series that its error comes from."""


def line_weights(
    n_lags: int, time_step_ps: float, from_ps: float, most: int = MOST_LAGS
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Lags, and what their mean squared displacements are multiplied with to give D.

    Generalised least squares of a line with an offset, through means over windows of lags.  The
    covariance of displacements at the lags i <= j of free diffusion in a long run is proportional
    to i^2 (j - i/3) + i/3: the squares of the overlaps of two intervals of i and j steps, summed
    over their shifts.  The offset is what cages and vibrations leave.  The weights are right on
    average for any motion whose displacement is a line there.  Source: Bullerjahn, von Buelow,
    Hummer, J. Chem. Phys. 153, 024116 (2020); McCluskey et al., J. Chem. Theory Comput. 21, 79
    (2025).

    Parameters
    ----------
    n_lags : number of lags from 0 on
    time_step_ps : ps, between frames
    from_ps : start of the line, ps
    most : lags to take, spread evenly

    Returns
    -------
    ``(n_line,)`` each; 1/ps

    Raises
    ------
    InputError
        Fewer than two lags there.
    """
    first = max(math.ceil(from_ps / time_step_ps - 1e-6), 1)
    if first > n_lags - 2:
        raise InputError(
            f"diffusion: lags end at {time_step_ps * (n_lags - 1):g} ps; expected two or more from "
            f"{from_ps:g} ps on"
        )
    count = min(most, n_lags - first)
    lags = np.rint(np.linspace(first, n_lags - 1, count)).astype(np.int64)
    less, more = np.minimum.outer(lags, lags).astype(float), np.maximum.outer(lags, lags)
    covariance = less**2 * (more - less / 3.0) + less / 3.0
    line = np.stack([np.ones(len(lags)), 6.0 * time_step_ps * lags], axis=1)  # offset and 6 D t
    means = windows(len(lags))
    inverse = np.linalg.inv(means @ covariance @ means.T)
    lever = (means @ line).T @ inverse
    return lags, np.linalg.solve(lever @ (means @ line), lever @ means)[1]


def windows(n_lags: int) -> NDArray[np.float64]:
    """Hann's windows, each over half of the next, ``(n_windows, n_lags)``, rows adding to 1."""
    n_windows = min(WINDOWS, n_lags)
    half = (n_lags + 1) / (n_windows + 1)
    off = (np.arange(1, n_lags + 1) - half * np.arange(1, n_windows + 1)[:, None]) / half
    found = np.where(abs(off) < 1.0, 0.5 + 0.5 * np.cos(np.pi * off), 0.0)
    return np.asarray(found / found.sum(axis=1, keepdims=True))
