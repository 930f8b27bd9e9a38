"""Jacobian products of any force field from forces alone: central differences.

    J u ~ (F(r + h u) - F(r - h u)) / 2h        error  h^2/6 F''' u^3  +  rounding / h

The step h is chosen where the two errors meet, by looking: the same columns with steps a factor of
sqrt(10) apart differ by truncation where h is large and by rounding where it is small, and the pair
that differs least wins.  What it differs by is reported as the noise of the products, and noise /
sqrt(2) is the lambda that a conservative model would be found to have: no lower value means
anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.diagnostics.products import Forces, signs
from ncforce_ipi.errors import InputError

STEPS_A = tuple(float(10**k) for k in np.arange(-5.0, -0.9, 0.5))
SAMPLED_COLUMNS = 6
SAMPLED_PROBES = 3


@dataclass(frozen=True)
class Step:
    """A step of finite differences.

    Attributes
    ----------
    step_A : A
    noise : norm of the error of sampled columns over that of the columns
    """

    step_A: float
    noise: float

    @property
    def lambda_floor(self) -> float:
        """Asymmetry that this noise, alike in all elements, gives a symmetric Jacobian."""
        return self.noise / np.sqrt(2.0)


class Differences:
    """Products J u by central differences; see ``ncforce_ipi.diagnostics.products.Products``.

    ``step_A`` is the largest displacement of any coordinate, A: vectors are scaled to it.  With
    ``several`` the forces are a function of several positions ``(n, n_atoms, 3)`` at once.
    """

    transposable = False

    def __init__(
        self, forces: Forces, positions: Array, step_A: float, *, several: bool = False
    ) -> None:
        if not step_A > 0:
            raise InputError(f"the step of differences must be positive, got {step_A} A")
        self.n_atoms = len(positions)
        self.description = f"central differences, step {step_A:.1e} A"
        self._forces = forces if several else _each(forces)
        self._positions, self._step_A = positions, step_A

    def forward(self, vectors: Array) -> Array:
        """J u of vectors ``(n_vectors, n_atoms, 3)``; two evaluations each."""
        largest = np.abs(vectors).max(axis=(1, 2), keepdims=True)
        result = np.zeros_like(vectors, dtype=np.float64)
        moving = largest[:, 0, 0] > 0.0
        if moving.any():
            h = self._step_A / largest[moving]
            moves = h * vectors[moving]
            found = self._forces(np.concatenate([self._positions + moves, self._positions - moves]))
            ahead, behind = np.split(found, 2)
            result[moving] = (ahead - behind) / (2 * h)
        return result

    def backward(self, vectors: Array) -> Array:
        """Differences don't give J^T u.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError("finite differences give J u alone, not J^T u; use one-sided estimators")


def _each(forces: Forces) -> Forces:
    """Of several positions, one after the other."""
    return lambda several: np.array([forces(positions) for positions in several])


def columns(n_atoms: int, seed: int = 0) -> Array:
    """Some random columns of the Jacobian as vectors ``(n_vectors, n_atoms, 3)``."""
    size = 3 * n_atoms
    chosen = np.random.default_rng(seed).choice(size, min(SAMPLED_COLUMNS, size), replace=False)
    vectors = np.zeros((len(chosen), size))
    vectors[np.arange(len(chosen)), chosen] = 1.0
    return vectors.reshape(-1, n_atoms, 3)


def collective(n_atoms: int, seed: int = 0) -> Array:
    """Vectors ``(n_vectors, n_atoms, 3)`` like the probes of estimators: all atoms at once."""
    return signs(np.random.default_rng(seed), SAMPLED_PROBES, n_atoms, 3)


def choose_step(
    forces: Forces,
    positions: Array,
    vectors: Array,
    steps_A: tuple[float, ...] = STEPS_A,
    *,
    several: bool = False,
) -> Step:
    """The step whose products with ``vectors`` differ least from those of the next smaller one.

    Costs two evaluations for each vector and step.  Of two steps that differ by truncation, the
    larger has ten times the error of the smaller; of two that differ by rounding, the smaller has
    three times that of the larger: what is reported is the difference, which is never the better
    of the two errors alone.  A step that changes no digit of coarse forces says nothing.
    """
    products = [
        Differences(forces, positions, step, several=several).forward(vectors) for step in steps_A
    ]
    if not any(found.any() for found in products):  # forces that don't change
        return Step(steps_A[-1], 0.0)
    pairs = [
        Step(steps_A[k], _relative(products[k - 1], products[k])) for k in range(1, len(steps_A))
    ]
    return min(pairs, key=lambda step: step.noise)


def _relative(smaller: Array, larger: Array) -> float:
    size = float(np.linalg.norm(larger))
    return float(np.linalg.norm(smaller - larger)) / size if size else np.inf
