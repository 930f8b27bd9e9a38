"""Jacobians and force fields that are known."""

import json

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from tests.drivers import load


class Matrix:
    """A known Jacobian ``(3n, 3n)`` as products, with or without its transpose."""

    description = "a matrix"

    def __init__(self, jacobian, transposable=True):
        self.jacobian, self.transposable = jacobian, transposable
        self.n_atoms = len(jacobian) // 3
        self.n_products = 0

    def forward(self, vectors):
        self.n_products += len(vectors)
        return (vectors.reshape(len(vectors), -1) @ self.jacobian.T).reshape(vectors.shape)

    def backward(self, vectors):
        if not self.transposable:
            raise AssertionError("J^T u was asked for")
        self.n_products += len(vectors)
        return (vectors.reshape(len(vectors), -1) @ self.jacobian).reshape(vectors.shape)


@pytest.fixture
def asymmetric():
    """Of 12 atoms: a symmetric matrix and a tenth of an antisymmetric one; atomic numbers."""
    random = np.random.default_rng(1)
    m = random.normal(size=(36, 36))
    numbers = np.array([8, 1, 1] * 4, np.int32)
    return (m + m.T) / 2 + 0.1 * (m - m.T) / 2, numbers


@pytest.fixture
def argon():
    """32 atoms of a fcc crystal, shaken: structure, and Lennard-Jones forces with a swirl."""
    random = np.random.default_rng(2)
    cube = 5.3 * np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    corners = 5.3 * np.array(list(np.ndindex(2, 2, 2)))
    positions = (corners[:, None] + cube[None]).reshape(-1, 3)
    positions += random.normal(0, 0.1, positions.shape)
    structure = Structure(np.full(32, 18, np.int32), positions, 10.6 * np.eye(3))
    # a swirl as strong as the potential, so that asymmetries are of order one
    model = {"cutoff_A": 5.0, "swirl_eV_per_A2": 0.02}
    backend = load("analytic", "--model", "lennard-jones", "--arguments", json.dumps(model))
    return structure, backend


def forces_of(backend, structure, kind):
    """Forces as a function of positions alone."""
    wanted = Wanted(frozenset([kind]))
    return lambda r: (
        backend.evaluate(Structure(structure.numbers, r, structure.cell), wanted)[kind].forces
    )
