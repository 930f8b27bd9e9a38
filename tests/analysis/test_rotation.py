"""Vacuum around a system, and its angular momentum."""

import numpy as np
import pytest

from ncforce_ipi.analysis.rotation import about_centre, is_isolated, spin_of

PERIODIC = (True, True, True)
MASSES_U = np.array([15.999, 1.008, 1.008])
WATER_A = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
ARGON_U = np.full(10, 39.948)


def cells(edge_A, n_frames):
    return np.tile(edge_A * np.eye(3), (n_frames, 1, 1))


def test_a_molecule_across_the_boundary_is_made_whole():
    """Whatever its place and the frame; its vacuum is the cell less its extent."""
    shifts = 20.0 * np.random.default_rng(0).random((30, 1, 3))
    places, vacuum_A = about_centre((WATER_A + shifts) % 20.0, cells(20.0, 30), PERIODIC, MASSES_U)
    middle = MASSES_U @ WATER_A / MASSES_U.sum()
    np.testing.assert_allclose(places, np.tile(WATER_A - middle, (30, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(vacuum_A, [18.8, 19.07, 20.0], atol=1e-12)
    assert is_isolated(vacuum_A)


def test_vacuum_of_a_tilted_cell_is_across_the_other_vectors():
    cell = np.array([[20.0, 0.0, 0.0], [10.0, 17.0, 0.0], [0.0, 0.0, 12.0]])
    _, vacuum_A = about_centre(np.full((1, 3, 3), 1.0), cell[None], PERIODIC, MASSES_U)
    height_A = 20.0 * 17.0 / np.hypot(10.0, 17.0)
    np.testing.assert_allclose(vacuum_A, [height_A, 17.0, 12.0], atol=1e-12)


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False), PERIODIC])
def test_only_vacuum_along_all_three_vectors_counts(pbc):
    """Atoms that fill a cell of 9 A, open along none, one, or all of its vectors."""
    positions = 9.0 * np.random.default_rng(1).random((4, 60, 3))
    _, vacuum_A = about_centre(positions, cells(9.0, 4), pbc, np.ones(60))
    assert is_isolated(vacuum_A) == (not any(pbc))
    assert np.isinf(vacuum_A).tolist() == [not along for along in pbc]


def test_a_thin_gas_is_not_isolated():
    """Each frame has gaps of 6 A and more, each elsewhere."""
    positions = 60.0 * np.random.default_rng(2).random((64, 10, 3))
    alone = [about_centre(one[None], cells(60.0, 1), PERIODIC, ARGON_U)[1] for one in positions]
    assert np.mean([is_isolated(vacuum_A) for vacuum_A in alone]) > 0.9
    assert not is_isolated(about_centre(positions, cells(60.0, 64), PERIODIC, ARGON_U)[1])


def test_the_energy_of_a_rigid_rotor_is_all_in_its_rotation():
    """Turned with a constant velocity, water's share is 1."""
    angles = np.linspace(0.0, 6.0, 50)
    turn = np.zeros((50, 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angles)
    turn[:, 0, 1], turn[:, 1, 0], turn[:, 2, 2] = np.sin(angles), -np.sin(angles), 1.0
    places = (WATER_A - MASSES_U @ WATER_A / MASSES_U.sum()) @ turn
    velocities = np.cross([0.0, 0.0, 0.02], places)
    velocities[..., 0] += 0.1  # it flies as well
    found = spin_of(places, velocities, MASSES_U)
    assert found.constant
    assert found.share == pytest.approx(1.0, abs=1e-12)
    assert found.n_frames == 50


def test_independent_velocities_have_no_constant_angular_momentum():
    """Their share is that of 3 in 3N - 3 degrees of freedom."""
    rng = np.random.default_rng(3)
    masses_u, places = np.array([12.0] * 4 + [1.0] * 6), rng.normal(size=(10, 3))
    places -= masses_u @ places / masses_u.sum()
    velocities = rng.normal(size=(4000, 10, 3)) / np.sqrt(masses_u)[:, None]
    found = spin_of(np.tile(places, (4000, 1, 1)), velocities, masses_u)
    assert not found.constant
    assert found.share == pytest.approx(3.0 / 27.0, rel=0.03)  # sqrt(2/3/4000) is 0.013
