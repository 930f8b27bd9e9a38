"""Diffusion coefficients that a run doesn't resolve, and what is said in their place."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ncforce_ipi.analysis.diffusion import Diffusion, change
from ncforce_ipi.analysis.displacement import Displacement

APART = 3.0
"""Errors by which two ways to the same number may differ."""


def by_displacement(every: Mapping[str, Diffusion], moved: Displacement) -> dict[str, str]:
    """Of each species whose displacement is no line, why it has no D."""
    return {name: _no_line(one, moved) for name, one in every.items() if not one.is_resolved}


def too_slow(every: Mapping[str, Diffusion], moved: Displacement) -> dict[str, str]:
    """Of each species whose displacement grows otherwise at lags that velocities don't see."""
    return {
        name: "its displacement has another slope at longer lags, of which velocities know nothing"
        for name, one in every.items()
        if change(moved, name) > 0.1 * abs(one.value)
    }


def apart(
    every: Mapping[str, Diffusion], moved: Mapping[str, Diffusion], memory_ps: float
) -> dict[str, str]:
    """Of each species whose velocities give another D than its displacements do at longer lags.

    An integral that falls slowly, as in a cage that opens after picoseconds, changes too little
    between lags of one length to be seen there.
    """
    found = {}
    for name, one in every.items():
        other = moved.get(name, one)
        difference = abs(one.value - other.value)
        sigma = math.hypot(one.error, other.error)  # NaN where there is no error
        far = difference > max(APART * sigma, 0.1 * abs(other.value))
        if sigma > 0.0 and far and one.excess < difference:
            found[name] = (
                f"{one.text('A^2/ps')} is {difference / sigma:.1f} of the errors of both away from "
                f"D from displacements at longer lags: its velocities remember for longer than "
                f"{memory_ps:.3g} ps; give a longer time (ncforce diffusion --memory-ps)"
            )
    return found


def without(
    every: Mapping[str, Diffusion], why: Mapping[str, str], source: str
) -> tuple[dict[str, Diffusion], list[str]]:
    """Those that are resolved, and a note on each of the others."""
    notes = [f"none from {source} for {name}: {reason}" for name, reason in why.items()]
    return {name: one for name, one in every.items() if name not in why}, notes


def by_velocity(
    every: Mapping[str, Diffusion], frame_fs: float, nyquist_per_cm: float, memory_ps: float
) -> dict[str, str]:
    """Of each species whose motion is too fast for the frames, or too slow for the lags."""
    found = {}
    for name, one in every.items():
        if one.is_resolved:
            continue
        if one.excess > one.unsettled:
            found[name] = (
                f"its velocities change faster than frames of {frame_fs:g} fs show (a thermostat "
                f"with strong friction, or vibrations at {nyquist_per_cm:.0f} cm^-1), which would "
                f"make {one.value:.3g} A^2/ps too large by about {one.excess:.2g} or more; D from "
                "displacements has no such error"
            )
        else:
            found[name] = (
                f"its velocities remember for longer than {memory_ps:.3g} ps, as where slow "
                f"vibrations go on: {one.value:.2g} A^2/ps changes by {one.unsettled:.2g} with a "
                "slightly shorter memory; give a longer one (ncforce diffusion --memory-ps)"
            )
    return found


def _no_line(one: Diffusion, moved: Displacement) -> str:
    first_ps, last_ps = moved.lag_ps[moved.line_lags[[0, -1]]]
    return (
        f"its mean squared displacement isn't a line from {first_ps:.3g} to {last_ps:.3g} ps and "
        "on, as where atoms swing about their places or molecules turn: "
        f"{one.value:.2g} A^2/ps may be off by {one.unsettled:.2g}; run longer, or give other lags "
        "(ncforce diffusion --from-ps --lag-ps)"
    )
