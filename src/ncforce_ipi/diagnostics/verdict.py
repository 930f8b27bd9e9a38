"""How an optimisation ended: converged, at a floor of the forces, or out of steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

Verdict = Literal["converged", "floor", "out of steps", "failed"]
PATIENCE = 60  # steps without a force 10 % smaller than before: the floor of the fast force ...
PERSISTENCE = 0.5  # ... and this share of all its steps: a liquid pauses for a hundred, and goes on
GAIN = 0.9
FEWEST_STEPS = 2 * PATIENCE  # before anything is called a floor
FLAT = 0.8  # the last quarter's median force over that of the third: falling as 1/steps gives 0.71
LOW = 0.1  # quantile that stands for the smallest forces of a half
EVEN = 3.0  # highest over lowest tenth: noise of a few atoms' forces gives 2
LOWER = 0.8  # that of the second half over that of the first: 1/sqrt(steps) gives 0.69, noise 1


def stopped_falling(trace: Sequence[float]) -> bool:
    """Whether forces have stopped falling: no gain of 10 % for 60 steps and half of all steps.

    Asked after each step with fast forces, to hand over to slow ones: a wrong yes only costs time.
    """
    mark, since = math.inf, 0
    for size in trace:
        mark, since = (size, 0) if size < GAIN * mark else (mark, since + 1)
    return since >= max(PATIENCE, PERSISTENCE * len(trace))


def at_floor(trace: Sequence[float], optimiser: str) -> bool:
    """Whether a finished search shows that its forces are level.

    Three things together: 120 steps or more; a median over the last quarter above 80 % of that over
    the quarter before; the lowest tenth of the second half above 80 % of that of the first half.
    FIRE's forces also swing, for hundreds of steps, while it moves a liquid along soft modes: with
    FIRE the second half must lie within a factor of three as well.
    """
    if len(trace) < FEWEST_STEPS:
        return False
    sizes = np.asarray(trace, float)
    n = len(sizes)
    first, second = sizes[: n // 2], sizes[n // 2 :]
    third, last = sizes[n // 2 : 3 * n // 4], sizes[3 * n // 4 :]
    low, high = np.quantile(second, [LOW, 1 - LOW])
    if optimiser == "FIRE" and high > EVEN * low:
        return False
    return bool(np.median(last) > FLAT * np.median(third) and low > LOWER * np.quantile(first, LOW))


def level(trace: Sequence[float]) -> float:
    """Median force of the last quarter, eV/A."""
    return float(np.median(trace[-max(1, len(trace) // 4) :]))


def judge(
    trace: Sequence[float], *, converged: bool, stuck: bool, fmax: float, optimiser: str
) -> tuple[Verdict, str]:
    """The ending and why, from the largest forces (eV/A) of the last forces that were used.

    Parameters
    ----------
    stuck : the optimiser's last step was no number, so that more steps can't help
    """
    if converged:
        return "converged", ""
    near = f"{level(trace):.1e} eV/A"
    if stuck or at_floor(trace, optimiser):
        reason = f"forces no longer fall: they stay near {near}, above fmax = {fmax:g} eV/A"
        if optimiser == "LBFGS":  # cycles where modes are stiffer than 2 x 70 eV/A^2
            reason += "; try FIRE before you blame the forces"
        return "floor", reason
    return "out of steps", f"ran out of steps with the largest force near {near}; allow more steps"
