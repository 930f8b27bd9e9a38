"""Frames without a cell: labels, batches; samples of displaced and relaxing molecules."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ncforce_ipi.training.dataset import Packer, to_frame
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.labels import strain_gradient
from ncforce_ipi.training.objective import BothHeads, make_step
from tests.training.conftest import CUTOFF_A, labelled_water

SCRIPTS = Path(__file__).parents[2] / "benchmarks" / "training"


@pytest.fixture
def ethanol():
    """Shaken, with EMT's energy and forces and no stress."""
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=0)
    atoms.calc = EMT()
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def test_strain_gradient_of_a_molecule_is_that_of_its_energy(ethanol):
    """dE/dstrain by differences: EMT has no preferred origin or direction."""
    step, found = 1e-4, np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            energies = []
            for sign in (1, -1):
                strain = np.zeros((3, 3))
                strain[a, b] += sign * step / 2
                strain[b, a] += sign * step / 2
                moved = ethanol.copy()
                moved.positions = ethanol.positions @ (np.eye(3) + strain)
                moved.calc = EMT()
                energies.append(moved.get_potential_energy())
            found[a, b] = (energies[0] - energies[1]) / (2 * step)
    # third derivatives of bonds, 1e3 eV, times step^2/6
    np.testing.assert_allclose(strain_gradient(ethanol), found, atol=1e-4)


def test_strain_gradient_of_a_crystal_is_its_stress(water):
    expected = water.get_stress(voigt=False) * water.get_volume()
    np.testing.assert_array_equal(strain_gradient(water), expected)


def test_molecules_and_liquid_in_one_batch(ethanol):
    """A step has finite gradients, and no pair of the molecule goes through a boundary."""
    frames = [to_frame(ethanol, CUTOFF_A), to_frame(labelled_water(0), CUTOFF_A)]
    first = frames[0]
    d = ethanol.positions[first.second] - ethanol.positions[first.first]
    np.testing.assert_allclose(first.vectors.numpy(), d, atol=1e-6)  # float32
    lengths = ethanol.get_all_distances()
    assert len(first.first) == np.sum(np.triu(lengths < CUTOFF_A, 1))
    net = HybridNet([1, 6, 8], CUTOFF_A, 8, 1, 8, 8)
    n_pairs = sum(len(f.first) for f in frames)
    packer = Packer(2, 40, n_pairs, CUTOFF_A, net.energy_shift, net.species_index)
    batch = packer.pack(frames)
    step = make_step(net, "scratch", batch, compiled=False)
    values = [p.detach() for p in BothHeads(net).parameters()]
    gradients, loss, terms = step(values, batch, batch.energy.new_ones(6))
    assert np.isfinite(float(loss))
    assert all(bool(g.isfinite().all()) for g in gradients)
    assert float(terms[5]) > 0


@pytest.fixture
def sample(monkeypatch):
    """The script that moves atoms."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield importlib.import_module("sample")
    for name in ("sample", "backends"):
        sys.modules.pop(name, None)


def test_displaced_frames(sample):
    starts = [molecule("H2O"), molecule("CH4")]
    plan = sample.Displaced("displaced", "molecules", 200, (0.1, 0.1))
    found = list(sample.displaced(plan, starts, np.random.default_rng(0)))
    assert [len(a) for a in found[:4]] == [3, 5, 3, 5]
    assert {a.info["kind"] for a in found} == {"displaced"}
    noise = np.concatenate([(a.positions - starts[k % 2].positions) for k, a in enumerate(found)])
    assert noise.std() == pytest.approx(0.1, rel=0.05)  # 2400 numbers: 1.4 %


def test_frames_of_relaxations(sample):
    """Those after the steps asked for, as far as there are any; forces fall."""
    plan = sample.Relaxations("relaxation", "molecules", 1, (0.2, 0.2), (1, 4, 4000))
    (start,) = sample.displaced(plan, [molecule("CH4")], np.random.default_rng(1))
    found = list(sample.relaxation(plan, start, EMT(), "teacher"))
    assert len(found) == 2  # converged long before step 4000
    assert found[0].info == {"kind": "relaxation", "source": "teacher", "T": 0}
    sizes = []
    for atoms in (start, *found):
        atoms.calc = EMT()
        sizes.append(np.abs(atoms.get_forces()).max())
    assert sizes[2] < 0.3 * sizes[0]
