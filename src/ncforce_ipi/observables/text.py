"""Numbers with their errors in words; used by every observable, so that all say the same."""

from __future__ import annotations

import math

from ncforce_ipi.analysis.drift import Drift
from ncforce_ipi.analysis.statistics import Mean, with_error


def of_drift(drift: Drift, unit: str) -> str:
    """Slope and 95 % interval, or why there is none."""
    if math.isnan(drift.ci95):
        return f"{drift.slope:.3g} {unit} (run too short for an interval)"
    return f"{with_error(drift.slope, drift.ci95)} {unit}"


def of_mean(mean: Mean, unit: str) -> str:
    """Value and standard error, or why there is none."""
    if math.isnan(mean.error):
        return f"{mean.value:.4g} {unit} (too few independent samples for an error)"
    return f"{with_error(mean.value, mean.error)} {unit}"
