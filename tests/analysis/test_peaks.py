"""Peaks: where a parabola has its top."""

import math

import numpy as np
import pytest

from ncforce_ipi.analysis.peaks import highest_peak

X = np.linspace(0.0, 10.0, 101)


def test_top_of_a_parabola_between_two_points():
    peak = highest_peak(X, 5.0 - (X - 3.137) ** 2, 0.0, 10.0)
    assert peak.position == pytest.approx(3.137, abs=1e-10)  # exact but for rounding
    assert peak.height == pytest.approx(5.0, abs=1e-10)


def test_sharp_peak_uses_three_points():
    y = np.exp(-0.5 * ((X - 4.03) / 0.06) ** 2)
    # half a point wide: the parabola of a Gaussian is off by a tenth of the spacing of 0.1
    assert highest_peak(X, y, 0.0, 10.0).position == pytest.approx(4.03, abs=0.02)


def test_only_the_range_is_searched():
    y = np.exp(-((X - 2.0) ** 2)) + 3.0 * np.exp(-((X - 7.0) ** 2))
    assert highest_peak(X, y, 0.5, 4.0).position == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("y", [X, -X, np.zeros_like(X), np.full_like(X, np.nan)])
def test_slope_nothing_and_nan_have_no_peak(y):
    assert math.isnan(highest_peak(X, y, 1.0, 9.0).position)


def test_range_without_points_has_no_peak():
    assert math.isnan(highest_peak(X, np.sin(X), 20.0, 30.0).position)


def test_points_too_noisy_for_a_top_are_smoothed():
    """g_HH(r) of 18 frames of water, where the four points above 80 % turn the wrong way."""
    heights = [0.08, 0.35, 0.41, 0.96, 1.37, 2.47, 3.24, 3.01, 3.51, 3.72, 2.44, 1.64, 0.87, 0.63,
               0.28, 0.09, 0.05]  # fmt: skip
    abscissa = 1.39 + 0.02 * np.arange(len(heights))
    peak = highest_peak(abscissa, np.array(heights), 0.5, 3.0, n_smooth=5)
    assert peak.position == pytest.approx(1.54, abs=0.01)
    assert peak.height == pytest.approx(3.2, abs=0.1)
