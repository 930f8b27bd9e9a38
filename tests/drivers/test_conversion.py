"""What all families do before a structure goes to a library: positions near the origin."""

import numpy as np
import pytest

from ncforce_ipi.backend import Structure
from ncforce_ipi.drivers.conversion import at_home

CELL = np.array([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [-0.5, 0.7, 7.0]])


def structure(positions, cell):
    return Structure(np.full(len(positions), 1, np.int32), np.asarray(positions, float), cell)


def test_each_atom_has_its_image_in_the_cell():
    rng = np.random.default_rng(0)
    home = rng.random((20, 3)) @ CELL
    shifts = rng.integers(-1000, 1000, (20, 3))
    found = at_home(structure(home + shifts @ CELL, CELL))
    # 1000 cells are 1e4 A, whose last digit is 2e-12
    np.testing.assert_allclose(found, home, rtol=0, atol=1e-11)


def test_positions_in_the_cell_keep_their_bits_and_the_input_its_own():
    home = np.random.default_rng(1).random((20, 3)) @ CELL
    given = structure(home.copy(), CELL)
    assert np.array_equal(at_home(given), home)
    assert np.array_equal(given.positions, home)


def test_a_molecule_stays_whole_along_what_is_not_periodic():
    """A sheet: wrapped along a and b, moved as one along the third direction."""
    sheet = CELL * np.array([[1.0], [1.0], [0.0]])
    normal = np.array([0.0, 0.0, 1.0])
    home = np.array([[0.1, 0.1, 0.0], [1.0, 2.0, 9.0], [2.0, 3.0, -4.0]])
    far = home + np.array([[3, -1, 0], [0, 2, 0], [7, 7, 0]]) @ sheet + 640.0 * normal
    np.testing.assert_allclose(at_home(structure(far, sheet)), home, rtol=0, atol=1e-11)


@pytest.mark.parametrize("offset_A", [0.0, 20.0, -31.0])
def test_a_molecule_near_the_origin_keeps_its_bits(offset_A):
    molecule = np.random.default_rng(2).random((3, 3)) + offset_A
    assert np.array_equal(at_home(structure(molecule, np.zeros((3, 3)))), molecule)


def test_what_is_tolerated_stays():
    """Springs of an ASE calculator have sites at home and no images."""
    near = np.array([[-0.3, -0.2, -0.1], [9.0, 3.0, 2.0]])
    assert np.array_equal(at_home(structure(near, CELL), tolerated=4.0), near)
    far = near + 50 * CELL[0]
    moved = at_home(structure(far, CELL), tolerated=4.0)
    along_a = (moved @ np.linalg.inv(CELL))[:, 0]
    assert (along_a >= 0).all()
    assert (along_a < 1).all()
