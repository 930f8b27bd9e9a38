"""Verdicts on a number with an interval: it passes, it fails, or the question is open."""

from __future__ import annotations

import math
from typing import Literal

Answer = Literal["passes", "fails", "open"]

FAR = 10.0
"""A number without an interval fails if it is so many times the limit: the size of an error that a
short run suggests is wrong by a factor of a few, not of ten."""


def verdict(value: float, half_width: float, limit: float) -> Answer:
    """Say whether ``|value|`` keeps a limit, by the interval ``value +- half_width``.

    "passes" if all of the interval is within the limit, "fails" if none of it is, "open" if a
    longer run must tell.  Without an interval (NaN) a value beyond ten times the limit fails, and
    any other is open.

    Parameters
    ----------
    value, half_width, limit : in one unit; the limit positive
    """
    size = abs(value)
    if not math.isfinite(half_width):
        return "fails" if size > FAR * limit else "open"
    if size + half_width <= limit:
        return "passes"
    return "fails" if size - half_width > limit else "open"
