"""L-BFGS whose history of the curvature can be handed to a search with other forces.

The fast and the slow force differ by little more than a constant near a minimum, so that pairs of
steps and changes of force stay true.  Without them L-BFGS learns soft directions anew, which in a
liquid takes hundreds of steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.optimize.optimize import Optimizer

from ncforce_ipi.diagnostics.jacobian import Array

STIFFNESS_EV_PER_A2 = 70.0  # of all directions at first; this and the next two as in ASE's LBFGS
LONGEST_STEP_A = 0.2  # of any atom
MOST_PAIRS = 100

Pair = tuple[Array, Array, float]
"""Step s (A), change of the gradient y (eV/A), both ``(3 n_atoms,)``, and 1/(y.s)."""


@dataclass(frozen=True)
class Memory:
    """History of a search when it arrived at a point.

    Attributes
    ----------
    pairs : steps and changes of the gradient, the oldest first
    before, before_forces : ``(n_atoms, 3)``, the point before, A, and the forces there, eV/A
    forces : ``(n_atoms, 3)``, eV/A, at the point
    """

    pairs: tuple[Pair, ...]
    before: Array
    before_forces: Array
    forces: Array


class HandoverLBFGS(Optimizer):
    """L-BFGS with the steps of ``ase.optimize.LBFGS`` and a history of its own.

    Two-loop recursion of Nocedal, Math. Comput. 35, 773 (1980).

    Parameters
    ----------
    atoms : ASE's atoms with a calculator
    memory : history of a search with other forces that ended at the same positions.  What the two
        forces differ by at this point is taken for what they differed by at the one before: the
        pair of the two points is then that of the earlier forces.
    logfile : see ASE
    """

    def __init__(self, atoms: Any, memory: Memory | None = None, logfile: Any = None) -> None:
        self.pairs: list[Pair] = []
        self.before: tuple[Array, Array] | None = None
        super().__init__(atoms, logfile=logfile)
        self._moved = atoms
        if memory is not None:
            shift = atoms.get_forces() - memory.forces
            self.pairs = list(memory.pairs)
            self.before = memory.before.copy(), memory.before_forces + shift

    def memory(self) -> Memory | None:
        """The history at the present positions; None before the first step."""
        if self.before is None:
            return None
        before, before_forces = (array.copy() for array in self.before)
        return Memory(tuple(self.pairs), before, before_forces, self._moved.get_forces().copy())

    def step(self, forces: Any = None) -> None:
        """Learn from the last step, and take the next one."""
        positions = self._moved.get_positions()
        forces = self._moved.get_forces()
        if self.before is not None:
            self._learn(positions, forces, *self.before)
        step = self._direction(-forces.ravel()).reshape(-1, 3)  # (atom, xyz)
        longest = float(np.linalg.norm(step, axis=1).max())
        if longest >= LONGEST_STEP_A:
            step *= LONGEST_STEP_A / longest
        self._moved.set_positions(positions + step)
        self.before = positions, forces

    def _learn(self, positions: Array, forces: Array, before: Array, before_forces: Array) -> None:
        s = (positions - before).ravel()
        y = (before_forces - forces).ravel()
        self.pairs = [*self.pairs, (s, y, 1.0 / np.dot(y, s))][-MOST_PAIRS:]

    def _direction(self, gradient: Array) -> Array:
        """Minus the approximate inverse Hessian times the gradient ``(3 n_atoms,)``, A."""
        q, shares = gradient.copy(), []
        for s, y, rho in reversed(self.pairs):
            shares.append(rho * np.dot(s, q))
            q -= shares[-1] * y
        z = q / STIFFNESS_EV_PER_A2
        for (s, y, rho), share in zip(self.pairs, reversed(shares), strict=True):
            z += s * (share - rho * np.dot(y, z))
        return -z
