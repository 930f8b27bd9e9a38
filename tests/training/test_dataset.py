"""Labels of data files are the stored ones, whatever was held in the run that wrote them."""

import lzma

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read

from ncforce_ipi.training.dataset import read_atoms, read_frames, to_frame
from tests.training.conftest import CUTOFF_A

FORCES = np.arange(1.0, 13.0).reshape(4, 3)
FRAME = """4
Lattice="8 0 0 0 8 0 0 0 8" Properties=species:S:1:pos:R:3:move_mask:L:1:forces:R:3 \
energy=-3 stress="0 0 0 0 0 0 0 0 0" pbc="T T T"
Al 0 0 0 F 1 2 3
Al 3 0 0 T 4 5 6
Al 0 3 0 F 7 8 9
Al 0 0 3 T 10 11 12
"""


@pytest.mark.parametrize("ending", ["xyz", "xyz.xz"])
def test_forces_on_held_atoms_are_labels(tmp_path, ending):
    """ASE writes a column ``move_mask`` by itself, and then reads zero forces."""
    path = tmp_path / f"slabs.{ending}"
    (tmp_path / "plain.xyz").write_text(2 * FRAME)
    text = (tmp_path / "plain.xyz").read_bytes()
    path.write_bytes(lzma.compress(text) if ending == "xyz.xz" else text)
    assert not read(tmp_path / "plain.xyz").get_forces()[[0, 2]].any()
    frames = read_frames(path, CUTOFF_A, [13])
    assert len(frames) == 2
    assert all(np.array_equal(frame.forces.numpy(), FORCES) for frame in frames)  # whole numbers
    assert all(np.array_equal(atoms.get_forces(), FORCES) for atoms in read_atoms(path))


def test_atoms_with_a_constraint_have_the_stored_labels():
    """In a molecule the strain gradient is made of the forces: -(x F) of two atoms on a line."""
    atoms = Atoms("Al2", [[0.0, 0, 0], [2.0, 0, 0]], constraint=FixAtoms([0]))
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=[[-3.0, 0, 0], [3.0, 0, 0]])
    frame = to_frame(atoms, CUTOFF_A)
    assert frame.forces[0, 0] == -3.0
    assert frame.strain_gradient[0, 0] == -6.0
