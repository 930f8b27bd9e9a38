"""L-BFGS goes on with slow forces where it was with fast ones."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import FIRE, LBFGS

from ncforce_ipi.diagnostics.curvature import recall, remember

N_ATOMS = 6  # 18 directions: L-BFGS remembers 100 pairs


class Bowl(Calculator):
    """F = -K (x - x0), with stiffnesses from 0.1 to 60 eV/A^2 in random directions."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012  as ASE declares it

    def __init__(self, centre):
        super().__init__()
        q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3 * N_ATOMS, 3 * N_ATOMS)))
        self.stiffness = q @ np.diag(np.geomspace(0.1, 60.0, 3 * N_ATOMS)) @ q.T
        self.centre = centre

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        d = (self.atoms.positions - self.centre).ravel()
        forces = -self.stiffness @ d
        self.results = {"energy": -0.5 * d @ forces, "forces": forces.reshape(-1, 3)}


@pytest.fixture
def start():
    return Atoms(f"H{N_ATOMS}", np.random.default_rng(1).normal(size=(N_ATOMS, 3)))


def fast_search(atoms):
    """At the minimum of the fast bowl, with what was learnt on the way."""
    atoms.calc = Bowl(np.zeros((N_ATOMS, 3)))
    search = LBFGS(atoms, logfile=None)
    search.run(fmax=1e-4, steps=500)
    return remember(search, atoms.get_forces())


def slow_steps(atoms, memory):
    """Steps to the minimum of the slow bowl, 0.05 A away."""
    atoms = atoms.copy()
    shift = np.random.default_rng(2).normal(0, 0.05, (N_ATOMS, 3))
    atoms.calc = Bowl(shift)
    search = LBFGS(atoms, logfile=None)
    if memory is not None:
        recall(search, memory, atoms.get_forces())
    assert search.run(fmax=1e-4, steps=500)
    np.testing.assert_allclose(atoms.positions, shift, atol=2e-3)  # fmax over the softest 0.1
    return search.nsteps


def test_what_was_learnt_saves_steps(start):
    """Of one curvature: a few steps with the memory (6), all of them again without (74)."""
    memory = fast_search(start)
    assert memory is not None
    assert memory.iteration >= 30
    assert slow_steps(start, memory) < 12
    assert slow_steps(start, None) > 40


def test_the_last_pair_is_the_fast_forces(start):
    """The change of force that the new search sees first is free of the forces' difference."""
    memory = fast_search(start)
    other = start.copy()
    other.calc = Bowl(np.full((N_ATOMS, 3), 0.3))
    search = LBFGS(other, logfile=None)
    recall(search, memory, other.get_forces())
    seen = search.f0.reshape(-1, 3) - other.get_forces()
    expected = memory.before_forces.reshape(-1, 3) - memory.forces
    np.testing.assert_allclose(seen, expected, atol=1e-12)
    assert search.f0 is not memory.before_forces


def test_no_memory_of_what_keeps_none(start):
    start.calc = Bowl(np.zeros((N_ATOMS, 3)))
    search = FIRE(start, logfile=None)
    search.run(fmax=1e-4, steps=3)
    assert remember(search, start.get_forces()) is None
    assert remember(LBFGS(start, logfile=None), start.get_forces()) is None
