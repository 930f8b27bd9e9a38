"""Numbers of records with their errors, and as text."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import t as student

from reproduction.tasks import Numbers

NO_ERROR = "no error bar"
NONE = "Nothing was measured yet."
Measured = tuple[float, float | None]


def pm(found: Measured | None, shift: float = 0.0) -> str:
    """Value ± error, digits as the error allows; no value where there is no error."""
    if found is None:
        return ""
    value, error = found[0] - shift, found[1]
    if error is None or not math.isfinite(error):
        return NO_ERROR
    digits = max(0, 1 - math.floor(math.log10(error))) if error > 0 else 3
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def of_replicas(values: list[float], errors: list[float | None], interval: bool) -> Measured:
    """Mean over independent replicas; the error from their scatter, of one its own.

    ``interval``: 95 %, by Student's t; else one standard error.
    """
    if len(values) == 1:
        return values[0], errors[0]
    error = float(np.std(values, ddof=1) / math.sqrt(len(values)))
    scale = float(student.ppf(0.975, len(values) - 1)) if interval else 1.0
    return float(np.mean(values)), scale * error


def slope(result: Numbers, observable: str, key: str) -> Measured | None:
    """A drift or power and its 95 % interval; None where there is none."""
    runs = result.get(observable, {}).get("runs", [])
    stem, unit = key.split("|")
    found = [(r.get(f"{stem}_{unit}"), r.get(f"{stem}_ci95_{unit}")) for r in runs]
    there = [(v, e) for v, e in found if v is not None]
    if not there:
        return None
    return of_replicas([v for v, _ in there], [e for _, e in there], interval=True)


def drift(result: Numbers) -> Measured | None:
    """Of the conserved quantity, meV/atom/ps."""
    return slope(result, "drift", "drift_conserved|meV_per_atom_per_ps")


def heating(result: Numbers) -> Measured | None:
    """Drift of T, K/ps."""
    return slope(result, "drift", "drift_temperature|K_per_ps")


def power(result: Numbers) -> Measured | None:
    """In a thermostat, meV/atom/ps."""
    return slope(result, "power", "power|meV_per_atom_per_ps")


def temperature(result: Numbers, species: str) -> Measured | None:
    """Of all, H, O or H_minus_O, K, and its standard error."""
    found = result.get("temperature", {})
    value = found.get(f"temperature_{species}_K")
    return None if value is None else (value, found.get(f"temperature_{species}_standard_error_K"))


def diffusion(result: Numbers, species: str, way: str) -> Measured | None:
    """A^2/ps and its standard error."""
    found = result.get("diffusion", {})
    value = found.get(f"diffusion_{species}_{way}_A2_per_ps")
    error = found.get(f"diffusion_{species}_{way}_standard_error_A2_per_ps")
    return None if value is None else (value, error)


def ratio(one: Measured | None, other: Measured | None) -> Measured | None:
    """Of two independent numbers."""
    if one is None or other is None or other[0] == 0.0:
        return None
    value = one[0] / other[0]
    if one[1] is None or other[1] is None or one[0] == 0.0:
        return value, None
    return value, abs(value) * math.hypot(one[1] / one[0], other[1] / other[0])


def ps(result: Numbers) -> str:
    """Length, with the replicas where there are several."""
    n = result.get("replicas", 1) or 1
    each = result.get("ps") or 0.0
    return f"{n} x {each:.3g}" if n > 1 else f"{each:.3g}"
