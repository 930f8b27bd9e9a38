"""Small water frames with labels from a formula, so that no data file is needed."""

from __future__ import annotations

import lzma
from io import StringIO

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ncforce_ipi.training.dataset import to_frame

CUTOFF_A = 4.5
RECIPE = """
species = [1, 8]
channels = 8
layers = 2
head_channels = 8
n_radial = 8
atoms_per_batch = 48
n_steps = 6
validate_every = 3
validation = "val"
[pools]
"train:md" = 1.0
[weights]
energy = [1.0, 1.0]
conservative = [1.0, 1.0]
direct = [1.0, 1.0]
difference = [0.0, 1.0]
"""


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


@pytest.fixture
def folder(tmp_path):
    for name, seeds in (("train", range(4)), ("val", range(4, 6))):
        text = StringIO()
        write(text, [labelled_water(s) for s in seeds], format="extxyz")
        (tmp_path / f"{name}.xyz.xz").write_bytes(lzma.compress(text.getvalue().encode()))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path
