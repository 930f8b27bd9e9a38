"""Small water frames with labels from a formula, so that no data file is needed."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from ncforce_ipi.training.dataset import to_frame

CUTOFF_A = 4.5


def labelled_water(seed: int, n_side: int = 2):
    """``n_side``^3 rattled molecules on a lattice with made-up labels (random, zero net force)."""
    random = np.random.default_rng(seed)
    atoms = molecule("H2O")
    atoms.set_cell([3.1] * 3)
    atoms.pbc = True
    atoms = atoms.repeat(n_side)
    atoms.rattle(0.05, seed=seed)
    forces = random.normal(size=atoms.positions.shape)
    atoms.calc = SinglePointCalculator(
        atoms,
        energy=float(random.normal()),
        forces=forces - forces.mean(0),
        stress=random.normal(size=6) * 1e-3,
    )
    atoms.info.update(kind="md", T=300)
    return atoms


@pytest.fixture
def water():
    return labelled_water(0)


@pytest.fixture
def frames():
    return [to_frame(labelled_water(seed), CUTOFF_A) for seed in range(4)]
