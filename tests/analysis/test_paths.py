"""Positions are made continuous: across boundaries, in a cell that changes, about the centre."""

import numpy as np
import pytest

from ncforce_ipi.analysis.paths import Follower, manner_of
from ncforce_ipi.errors import InputError

CELLS = {
    "cubic": np.eye(3) * 8.0,
    "orthorhombic": np.diag([5.0, 8.0, 11.0]),
    "triclinic": np.array([[8.0, 0.0, 0.0], [3.5, 7.0, 0.0], [-2.0, 3.0, 6.0]]),
    "turned": np.array([[1.0, 5.0, 5.0], [6.0, -1.0, 5.0], [5.0, 6.0, 0.0]]),
}
N_FRAMES, N_ATOMS = 400, 20


def walkers(seed=1, step_A=0.2):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0.0, 8.0, size=(N_ATOMS, 3))
    return start + rng.normal(scale=step_A, size=(N_FRAMES, N_ATOMS, 3)).cumsum(axis=0)


def wrapped(positions, cells, lowest=0.0):
    fractions = positions @ np.linalg.inv(cells)
    return ((fractions - lowest) % 1.0 + lowest) @ cells


def followed(positions, cells, masses=None, blocks=7, pbc=(True, True, True)):
    """Continuous places and notes, from a sample of pairs as the observables take it."""
    cells = np.broadcast_to(cells, (len(positions), 3, 3))
    first = np.linspace(0, len(positions) - 2, 32).astype(int)
    pairs = np.stack([first, first + 1], axis=1)
    follower = Follower(manner_of(positions[pairs], cells[pairs], masses, pbc), "x.xyz")
    parts = zip(np.array_split(positions, blocks), np.array_split(cells, blocks), strict=True)
    places = np.concatenate([follower.follow(*part) for part in parts])
    return places, follower.notes()


@pytest.mark.parametrize("lowest", [0.0, -0.5])
@pytest.mark.parametrize("cell", CELLS)
def test_wrapped_places_become_continuous(cell, lowest):
    positions = walkers()
    inside = wrapped(positions, CELLS[cell], lowest)
    places, notes = followed(inside, CELLS[cell])
    moved = positions - positions[0]
    np.testing.assert_allclose(places - places[0], moved, atol=1e-11)  # rounding of 1e3 additions
    assert "x.xyz is wrapped into the cell" in notes[0]


def test_continuous_places_are_left_bit_by_bit():
    positions = walkers()
    places, notes = followed(positions, CELLS["triclinic"])
    assert np.array_equal(places, positions)
    assert notes == []


def test_continuous_places_with_long_moves_are_left():
    """Moves of a cell and more between frames, by atoms that are far outside the cell."""
    positions = walkers(step_A=6.0)
    places, notes = followed(positions, CELLS["cubic"])
    assert np.array_equal(places, positions)
    assert notes == []


@pytest.mark.parametrize("step_A", [1.2, 3.0])
def test_wrapped_places_with_long_moves_are_refused(step_A):
    inside = wrapped(walkers(step_A=step_A), CELLS["cubic"])
    with pytest.raises(InputError, match="whether they cross its boundary can't be told"):
        followed(inside, CELLS["cubic"])


def breathing(seed=3):
    """A triclinic cell of changing size and shape."""
    rng = np.random.default_rng(seed)
    strain = 0.01 * rng.normal(size=(N_FRAMES, 3, 3)).cumsum(axis=0) / 10.0
    return CELLS["triclinic"] @ (np.eye(3) + strain)


@pytest.mark.parametrize("outside", [0, 20])
@pytest.mark.parametrize("wrap", [False, True])
def test_crystal_in_a_changing_cell_stays(wrap, outside):
    """Sites that go with the cell, some in far images of it, where they move most."""
    fractions = np.random.default_rng(4).uniform(-outside, outside + 1.0, size=(N_ATOMS, 3))
    cells = breathing()
    positions = fractions @ cells
    if wrap:
        positions = wrapped(positions, cells)
    places, notes = followed(positions, cells)
    assert np.abs(np.diff(positions, axis=0)).max() > 0.01
    # 8 A times 20 images and 1e-16, and the inverse of a cell
    np.testing.assert_allclose(places - places[0], 0.0, atol=1e-11)
    assert "the cell changes" in " ".join(notes)


def test_walkers_in_a_changing_cell_move_as_in_its_mean():
    cells = breathing()
    fractions = walkers() @ np.linalg.inv(CELLS["triclinic"])
    for wrap in (False, True):
        positions = fractions @ cells
        places, _ = followed(wrapped(positions, cells) if wrap else positions, cells)
        reference = cells[np.unique(np.linspace(0, N_FRAMES - 2, 32).astype(int)[:, None]
                                    + np.arange(2))].mean(axis=0)  # fmt: skip
        expected = (fractions - fractions[0]) @ reference
        # the sample's mean counts a frame twice where pairs touch: none do here
        np.testing.assert_allclose(places - places[0], expected, atol=1e-9)


def test_centre_of_mass_is_taken_off():
    masses = np.array([1.0, 16.0] * (N_ATOMS // 2))
    positions = walkers()
    drift = np.linspace(0.0, 30.0, N_FRAMES)[:, None, None] * np.array([1.0, 0.5, 0.0])
    for moved in (positions, positions + drift, wrapped(positions + drift, CELLS["triclinic"])):
        places, _ = followed(moved, CELLS["triclinic"], masses)
        centre = np.einsum("fac,a->fc", places, masses)
        np.testing.assert_allclose(centre - centre[0], 0.0, atol=1e-10)
        relative = positions - np.einsum("fac,a->fc", positions, masses / masses.sum())[:, None]
        np.testing.assert_allclose(places - places[0], relative - relative[0], atol=1e-10)


def test_atoms_that_never_move_are_left_out_and_hold_the_frame():
    positions = walkers()
    positions[:, 5:9] = positions[0, 5:9]
    places, notes = followed(positions, CELLS["cubic"], np.ones(N_ATOMS))
    assert np.array_equal(places, np.delete(positions, range(5, 9), axis=1))
    assert notes == ["4 atoms never move and are left out"]


def test_one_atom_keeps_its_motion():
    positions = walkers()[:, :1]
    places, _ = followed(positions, CELLS["cubic"], np.ones(1))
    assert np.array_equal(places, positions)


def test_jumps_without_a_cell_are_refused():
    inside = wrapped(walkers(step_A=0.1), CELLS["cubic"])
    none = {"cells": np.zeros((3, 3)), "pbc": (False, False, False)}
    with pytest.raises(InputError, match="the file has no cell: they look wrapped"):
        followed(inside, **none)
    positions = walkers()
    assert np.array_equal(followed(positions, **none)[0], positions)


@pytest.mark.parametrize("flat", [False, True])
def test_a_rare_jump_without_a_cell_is_refused(flat):
    """One crossing in 400 frames, between two that aren't in the sample of neighbouring frames."""
    positions = walkers(step_A=0.005)[:, :3]
    if flat:
        positions[..., 2] = 0.0
    positions[:, 0, 0] = 7.0 + 0.005 * np.arange(N_FRAMES) + 0.0025  # at 8 A after frame 199
    first = np.linspace(0, N_FRAMES - 2, 32).astype(int)
    assert 199 not in first
    none = {"cells": np.zeros((3, 3)), "pbc": (False, False, False)}
    assert np.array_equal(followed(positions, **none)[0], positions)
    positions[:, 0, 0] %= 8.0
    with pytest.raises(InputError, match=r"x\.xyz: positions jump by 8 A .* they look wrapped"):
        followed(positions, **none)


@pytest.mark.parametrize("height_A", [0.0, 20.0])
def test_atoms_jump_along_periodic_vectors_only(height_A):
    """A film: wrapped in its plane; its third vector is zero, or long and not periodic."""
    positions, cell = walkers(), np.array([[8.0, 0.0, 0.0], [3.0, 7.0, 0.0], [0.0, 0.0, height_A]])
    positions[::2, 0, 2] += 15.0  # to and fro, over more than half of that vector, and no jump
    plane = np.array([[8.0, 0.0, 0.0], [3.0, 7.0, 0.0], [0.0, 0.0, 1.0]])
    fractions = positions @ np.linalg.inv(plane)
    fractions[..., :2] %= 1.0
    places, notes = followed(fractions @ plane, cell, pbc=(True, True, False))
    np.testing.assert_allclose(places - places[0], positions - positions[0], atol=1e-11)
    assert "is wrapped into the cell" in notes[0]
