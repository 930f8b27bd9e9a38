"""L-BFGS goes on with slow forces where it was with fast ones."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import LBFGS

from ncforce_ipi.diagnostics.curvature import HandoverLBFGS

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
    search = HandoverLBFGS(atoms)
    search.run(fmax=1e-4, steps=500)
    return search.memory()


def slow_steps(atoms, memory):
    """Steps to the minimum of the slow bowl, 0.05 A away."""
    atoms = atoms.copy()
    shift = np.random.default_rng(2).normal(0, 0.05, (N_ATOMS, 3))
    atoms.calc = Bowl(shift)
    search = HandoverLBFGS(atoms, memory)
    assert search.run(fmax=1e-4, steps=500)
    np.testing.assert_allclose(atoms.positions, shift, atol=2e-3)  # fmax over the softest 0.1
    return search.nsteps


def test_what_was_learnt_saves_steps(start):
    """Of one curvature: a few steps with the memory (6), all of them again without (74)."""
    memory = fast_search(start)
    assert memory is not None
    assert len(memory.pairs) >= 30
    assert slow_steps(start, memory) < 12
    assert slow_steps(start, None) > 40


def test_the_last_pair_is_the_fast_forces(start):
    """The change of force that the new search sees first is free of the forces' difference."""
    memory = fast_search(start)
    other = start.copy()
    other.calc = Bowl(np.full((N_ATOMS, 3), 0.3))
    search = HandoverLBFGS(other, memory)
    before, before_forces = search.before
    expected = memory.before_forces - memory.forces
    np.testing.assert_allclose(before_forces - other.get_forces(), expected, atol=1e-12)
    np.testing.assert_array_equal(before, memory.before)
    assert before is not memory.before


def test_no_memory_before_the_first_step(start):
    start.calc = Bowl(np.zeros((N_ATOMS, 3)))
    assert HandoverLBFGS(start).memory() is None


def test_the_steps_are_those_of_ase(start):
    """150 steps, so that the 100 pairs that are kept are exceeded."""
    ends = []
    for kind in (LBFGS, HandoverLBFGS):
        atoms = start.copy()
        atoms.calc = Rough()
        kind(atoms, logfile=None).run(fmax=1e-30, steps=150)
        ends.append(atoms.positions)
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-10)  # the same sums in another order


class Rough(Calculator):
    """A force that never vanishes: cos(x) of each coordinate and a constant pull."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012  as ASE declares it

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        x = self.atoms.positions
        self.results = {"energy": np.sum(-np.sin(x) - 1.5 * x), "forces": np.cos(x) + 1.5}
