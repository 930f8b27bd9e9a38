"""What L-BFGS has learnt of the curvature with fast forces, for its steps with slow ones.

The two forces differ by little more than a constant near a minimum, so that pairs of steps and
changes of force stay true.  Without them L-BFGS learns soft directions anew, which in a liquid
takes hundreds of steps.  Knows the names under which ASE's LBFGS keeps its history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ncforce_ipi.diagnostics.jacobian import Array


@dataclass(frozen=True)
class Memory:
    """History of an L-BFGS search when it arrived at a point.

    Attributes
    ----------
    iteration, s, y, rho : number of pairs, steps (A), changes of gradient (eV/A), 1/(y.s)
    before, before_forces : the point before, A, and the forces there, eV/A, in ASE's shape
    forces : ``(n_atoms, 3)``, eV/A, at the point
    """

    iteration: int
    s: list[Array]
    y: list[Array]
    rho: list[float]
    before: Array
    before_forces: Array
    forces: Array


def remember(optimiser: Any, forces: Array) -> Memory | None:
    """The history of an optimiser of ASE at a point with these forces; None if it keeps none."""
    state = getattr(optimiser, "state", optimiser)  # newer ASE keeps it apart
    if not hasattr(state, "rho") or getattr(optimiser, "r0", None) is None:
        return None
    return Memory(
        state.iteration,
        list(state.s),
        list(state.y),
        list(state.rho),
        optimiser.r0.copy(),
        optimiser.f0.copy(),
        forces.copy(),
    )


def recall(optimiser: Any, memory: Memory, forces: Array) -> None:
    """Give a new optimiser this history, at the same point but with other ``forces`` there.

    What the two forces differ by at the point is taken for what they differed by at the one
    before: the pair of the two points is then the fast forces'.
    """
    state = getattr(optimiser, "state", optimiser)
    state.iteration = memory.iteration
    state.s, state.y, state.rho = list(memory.s), list(memory.y), list(memory.rho)
    optimiser.r0 = memory.before.copy()
    shift = (forces - memory.forces).reshape(memory.before_forces.shape)
    optimiser.f0 = memory.before_forces + shift
