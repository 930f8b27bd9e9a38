"""Three answers, and no answer without evidence."""

import math

import pytest

from ncforce_ipi.analysis.verdicts import FAR, verdict


@pytest.mark.parametrize(
    ("value", "half_width", "answer"),
    [
        (0.3, 0.1, "passes"),
        (-0.4, 0.1, "passes"),  # the end of the interval is the limit itself
        (0.45, 0.1, "open"),
        (-0.55, 0.1, "open"),
        (0.5, 10.0, "open"),
        (0.7, 0.1, "fails"),
        (-5.0, 0.1, "fails"),
        (0.0, 0.0, "passes"),
        (0.0, math.nan, "open"),
        (0.99 * FAR * 0.5, math.nan, "open"),
        (-1.01 * FAR * 0.5, math.nan, "fails"),
        (math.inf, math.nan, "fails"),
        (math.nan, math.nan, "open"),
        (math.nan, 0.1, "open"),
    ],
)
def test_an_interval_within_beyond_or_across_the_limit(value, half_width, answer):
    assert verdict(value, half_width, 0.5) == answer
