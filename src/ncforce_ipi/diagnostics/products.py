"""Products of a Jacobian with vectors, without the Jacobian.  Owns what a product is; no models.

``forward`` gives J u: how all forces change when the atoms move along u.  ``backward`` gives
J^T u.  A differentiable model has both (``Backend.jacobian_products``), a black box
the first by differences.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import JacobianProducts
from ncforce_ipi.diagnostics.jacobian import Array

Forces = Callable[[Array], Array]
"""Forces ``(n_atoms, 3)``, eV/A, at positions ``(n_atoms, 3)``, A."""


Products = JacobianProducts


class WithoutNetForce:
    """Products of the forces less their mean over atoms: (1 - Q) J and J^T (1 - Q)."""

    def __init__(self, products: Products) -> None:
        self._products = products
        self.n_atoms = products.n_atoms
        self.transposable = products.transposable
        self.description = products.description + ", net force removed"

    def forward(self, vectors: Array) -> Array:
        """See ``Products``."""
        return _centred(self._products.forward(vectors))

    def backward(self, vectors: Array) -> Array:
        """See ``Products``."""
        return self._products.backward(_centred(vectors))


def _centred(vectors: Array) -> Array:
    return vectors - vectors.mean(axis=1, keepdims=True)


def dense(products: Products, progress: Callable[[int], None] = lambda done: None) -> Array:
    """The whole Jacobian ``(3 n_atoms, 3 n_atoms)``, eV/A^2, by 3 n_atoms products.

    ``progress`` is called with the number of products done.
    """
    size = 3 * products.n_atoms
    result = np.empty((size, size))
    for start, stop in _pieces(size):
        unit = np.eye(stop - start, size, start).reshape(-1, products.n_atoms, 3)
        if products.transposable:
            result[start:stop] = products.backward(unit).reshape(-1, size)
        else:
            result[:, start:stop] = products.forward(unit).reshape(-1, size).T
        progress(stop)
    return result


def _pieces(size: int, length: int = 48) -> list[tuple[int, int]]:
    return [(start, min(start + length, size)) for start in range(0, size, length)]


def signs(random: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    """Random signs: of all probes of unit variance, those that give norms with the least noise."""
    return random.choice([-1.0, 1.0], size=shape)
