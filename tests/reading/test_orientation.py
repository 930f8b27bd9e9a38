"""i-PI's frame of reference: the same crystal, turned, never mirrored."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.drivers.analytic import load
from ncforce_ipi.reading.orientation import in_ipi_frame, turn_of

BOTH = Wanted(frozenset(["conservative", "direct"]), direct_energy=True, direct_virial=True)
TRICLINIC = np.array([[6.0, 0.0, 0.0], [1.5, 7.0, 0.0], [-2.0, 0.8, 8.0]])


def is_lower(cell):
    """Lower triangular to the last bit, with a positive diagonal where there is a vector."""
    there = cell.any(axis=1)
    return not np.triu(cell, 1).any() and bool((np.diagonal(cell)[there] > 0).all())


def test_a_cell_in_the_frame_stays_to_the_last_bit():
    turn = turn_of(TRICLINIC)
    assert turn.is_none
    assert np.array_equal(turn.cell, TRICLINIC)
    vectors = np.random.default_rng(0).normal(size=(5, 3))
    assert turn.there(vectors) is vectors
    assert turn_of(np.zeros((3, 3))).is_none


@pytest.mark.parametrize("missing", [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("seed", range(5))
def test_any_cell_is_turned(missing, seed):
    rng = np.random.default_rng(seed)
    cell = rng.normal(0, 5, (3, 3))
    cell[list(missing)] = 0.0
    turn = turn_of(cell)
    assert is_lower(turn.cell)
    assert np.array_equal(turn.cell.any(axis=1), cell.any(axis=1))
    np.testing.assert_allclose(turn.rotation @ turn.rotation.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(turn.rotation) == pytest.approx(1.0, abs=1e-14)  # never a mirror
    signs = np.ones((3, 1))
    signs[2] = -1.0 if np.linalg.det(cell) < 0 else 1.0
    np.testing.assert_allclose(turn.there(signs * cell), turn.cell, atol=1e-13)
    v = rng.normal(size=(4, 3))
    np.testing.assert_allclose(turn.back(turn.there(v)), v, atol=1e-14)


def test_the_lattice_of_a_left_handed_cell_stays():
    """The same lattice: each vector is a whole combination of the others, both ways."""
    left = TRICLINIC[[1, 0, 2]]
    turn = turn_of(left)
    combination = turn.back(turn.cell) @ np.linalg.inv(left)
    np.testing.assert_allclose(combination, np.diag([1, 1, -1]), atol=1e-14)
    assert np.linalg.det(turn.cell) > 0


def test_nearly_triangular_cells_become_exactly_so():
    """Noise of 1e-10 A, as other programs write it, is a turn of 1e-11."""
    rng = np.random.default_rng(3)
    noisy = TRICLINIC + 1e-10 * rng.normal(size=(3, 3))
    turn = turn_of(noisy)
    assert is_lower(turn.cell)
    np.testing.assert_allclose(turn.cell, TRICLINIC, rtol=0, atol=1e-9)
    np.testing.assert_allclose(turn.rotation, np.eye(3), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_forces_and_virials_are_those_of_the_given_frame(seed):
    rng = np.random.default_rng(seed)
    cell = TRICLINIC @ Rotation.random(random_state=seed).as_matrix().T
    cell = cell[[1, 0, 2]] if seed == 1 else cell
    positions = np.array(list(np.ndindex(2, 2, 2))) / 2 @ cell + 0.1 * rng.normal(size=(8, 3))
    given = Structure(np.full(8, 18, np.int32), positions, cell)
    turned, turn = in_ipi_frame(given)
    model = load("lennard-jones", arguments={"swirl_eV_per_A2": 0.0})  # swirls have an axis
    here, there = (model.evaluate(s, BOTH)["conservative"] for s in (given, turned))
    # rounding of 1e-15 A in r^-13 of close pairs
    np.testing.assert_allclose(turn.back(there.forces), here.forces, atol=1e-11)
    np.testing.assert_allclose(turn.back_tensor(there.virial), here.virial, atol=1e-11)
    assert there.energy == pytest.approx(here.energy, abs=1e-11)
