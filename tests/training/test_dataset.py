"""Labels of data files are the stored ones, whatever was held in the run that wrote them."""

import lzma

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read, write

from ncforce_ipi.errors import InputError
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


def smeared(x_A):
    """Two atoms on a spring k = 2 eV/A^2, whose free energy is 0.1 eV + 0.3 eV/A x above."""
    atoms = Atoms("Al2", [[0.0, 0, 0], [2.0 + x_A, 0, 0]])
    force = -2.0 * x_A - 0.3
    labels = {"energy": x_A**2, "free_energy": x_A**2 + 0.1 + 0.3 * x_A}
    atoms.calc = SinglePointCalculator(atoms, forces=[[-force, 0, 0], [force, 0, 0]], **labels)
    return atoms


def test_forces_are_the_gradient_of_the_energy_that_is_learnt(tmp_path, caplog):
    """VASP and others give the energy at no smearing too; forces are of the free energy."""
    write(tmp_path / "f.xyz", [smeared(x) for x in (0.1, 0.2, 0.3)], format="extxyz")
    frames = read_frames(tmp_path / "f.xyz", CUTOFF_A, [13], needs_stress=False)
    slope = (frames[2].energy - frames[0].energy) / 0.2  # exact: a parabola's mean slope
    assert slope == pytest.approx(-float(frames[1].forces[1, 0]), abs=1e-6)  # float32, 8 decimals
    said = "energies are free energies (free_energy), whose gradient the forces are; in 3 of 3"
    assert said in caplog.text
    assert "up to 95 meV/atom" in caplog.text


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("REF_energy=-2 dft_forces=1", "labels are energy and forces; not used: REF_energy, dft_f"),
        ("config_weight=0.5", "config_weight isn't used: frames of a pool count the same"),
    ],
)
def test_what_is_not_used_is_said(tmp_path, caplog, words, line):
    (tmp_path / "f.xyz").write_text(FRAME + FRAME.replace("energy=-3", f"energy=-3 {words}"))
    assert len(read_frames(tmp_path / "f.xyz", CUTOFF_A, [13])) == 2
    assert line in caplog.text
    caplog.clear()
    (tmp_path / "f.xyz").write_text(FRAME.replace("energy=-3", "energy=-3 config_weight=1.0"))
    read_frames(tmp_path / "f.xyz", CUTOFF_A, [13])
    assert not caplog.text


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("energy=-3", "energy=nan", "frame 1: its energy isn't finite"),
        ("7 8 9", "7 inf 9", "frame 1: its forces isn't finite"),
        ("0 0 0 0 0 0 0 0 0", "nan 0 0 0 0 0 0 0 0", "frame 1: its stress isn't finite"),
        ("energy=-3", "energy=-3 config_energy_weight=0", "frame 1: config_energy_weight = 0, and"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path, old, new, line):
    (tmp_path / "f.xyz").write_text(FRAME + FRAME.replace(old, new))
    with pytest.raises(InputError, match=line):
        read_frames(tmp_path / "f.xyz", CUTOFF_A, [13])


@pytest.mark.parametrize("ending", ["xyz", "xyz.xz"])
def test_frames_behind_an_empty_line_are_read(tmp_path, ending):
    """Of files that were put together; ASE's reader ends there."""
    path = tmp_path / f"both.{ending}"
    text = (FRAME + "\n" + FRAME.replace("energy=-3", "energy=-4") + " \n\n").encode()
    path.write_bytes(lzma.compress(text) if ending == "xyz.xz" else text)
    assert [frame.energy for frame in read_frames(path, CUTOFF_A, [13])] == [-3.0, -4.0]


@pytest.mark.parametrize("n_lost", [5, 16, 110])
def test_a_file_that_was_cut_is_refused(tmp_path, n_lost):
    (tmp_path / "cut.xyz").write_text((2 * FRAME)[:-n_lost])
    with pytest.raises(InputError, match=r"cut.xyz can't be read: .*is it cut"):
        read_frames(tmp_path / "cut.xyz", CUTOFF_A, [13])
