"""Where a curve has its peak.  Owns nothing but a parabola."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOP = 0.8
"""The parabola goes through the part of the peak above this fraction of its highest point."""


@dataclass(frozen=True)
class Peak:
    """A maximum; NaN and NaN where there is none inside the range.

    Attributes
    ----------
    position : unit of the abscissa
    height : of the parabola, unit of the ordinate
    """

    position: float
    height: float


NO_PEAK = Peak(math.nan, math.nan)


def highest_peak(
    abscissa: NDArray[np.float64],
    ordinate: NDArray[np.float64],
    low: float,
    high: float,
    *,
    n_smooth: int = 1,
) -> Peak:
    """The highest maximum with ``low <= abscissa <= high``, refined by a parabola.

    The parabola is fitted, by least squares, to the points around the highest one that lie above
    80 % of it without a gap, at least three.  A maximum at the edge of the range isn't a peak.

    Parameters
    ----------
    abscissa : ``(n_points,)``, rising and even
    ordinate : ``(n_points,)``
    low, high : range, unit of the abscissa
    n_smooth : odd number of points of a running mean that shows where the peak is in noisy data;
        the parabola goes through the points themselves, or the mean if those have no top there
    """
    points = ordinate
    ordinate = np.convolve(points, np.full(n_smooth, 1.0 / n_smooth), mode="same")
    inside = np.flatnonzero((abscissa >= low) & (abscissa <= high) & np.isfinite(ordinate))
    if len(inside) < 3:
        return NO_PEAK
    top = int(inside[np.argmax(ordinate[inside])])
    if top in (inside[0], inside[-1]) or not ordinate[top] > 0.0:
        return NO_PEAK
    below = np.flatnonzero(ordinate < TOP * ordinate[top])
    first = max(int(below[below < top].max(initial=-1)) + 1, int(inside[0]))
    last = min(int(below[below > top].min(initial=len(ordinate))) - 1, int(inside[-1]))
    chosen = slice(min(first, top - 1), max(last, top + 1) + 1)
    offset = abscissa[chosen] - abscissa[top]
    for series in (points, ordinate):  # the points themselves may be too noisy for a top
        curvature, slope, height = np.polyfit(offset, series[chosen], 2)
        if curvature < 0.0:
            shift = -slope / (2.0 * curvature)
            if offset[0] <= shift <= offset[-1]:
                peak = height - slope**2 / (4.0 * curvature)
                return Peak(float(abscissa[top] + shift), float(peak))
    return NO_PEAK
