"""Labels of data files are the stored ones, whatever was held in the run that wrote them."""

import lzma

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read, write

from ncforce_ipi.training.dataset import read_atoms, read_frames, to_frame
from tests.training.conftest import CUTOFF_A

HELD = [0, 1, 2, 3]


def slab() -> Atoms:
    """Eight atoms of which four are held, with made-up labels."""
    atoms = fcc111("Al", (2, 2, 2), vacuum=5.0, periodic=True)
    atoms.info.clear()  # words of ASE's builder that a file can't hold
    forces = np.arange(1.0, 25.0).reshape(8, 3)
    atoms.set_constraint(FixAtoms(HELD))
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0, forces=forces, stress=np.arange(6.0))
    return atoms


@pytest.mark.parametrize("ending", ["xyz", "xyz.xz"])
def test_forces_on_held_atoms_are_labels(tmp_path, ending):
    """ASE writes a column ``move_mask`` by itself, and then reads zero forces."""
    path = tmp_path / f"slabs.{ending}"
    write(tmp_path / "plain.xyz", [slab(), slab()], format="extxyz")
    text = (tmp_path / "plain.xyz").read_bytes()
    path.write_bytes(lzma.compress(text) if ending == "xyz.xz" else text)
    assert b"move_mask:L:1" in text
    assert not read(tmp_path / "plain.xyz").get_forces()[HELD].any()
    stored = np.arange(1.0, 25.0).reshape(8, 3)
    for frame in read_frames(path, CUTOFF_A, [13]):
        assert np.array_equal(frame.forces.numpy(), stored)  # small whole numbers
    assert all(np.array_equal(atoms.get_forces(), stored) for atoms in read_atoms(path))


def test_atoms_with_a_constraint_have_the_stored_labels():
    """In a molecule the strain gradient is made of the forces: -(x F) of two atoms on a line."""
    atoms = Atoms("Al2", [[0.0, 0, 0], [2.0, 0, 0]], constraint=FixAtoms([0]))
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=[[-3.0, 0, 0], [3.0, 0, 0]])
    frame = to_frame(atoms, CUTOFF_A)
    assert frame.forces[0, 0] == -3.0
    assert frame.strain_gradient[0, 0] == -6.0
