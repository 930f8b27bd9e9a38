"""Frames that follow the held-out ones aren't learnt."""

import numpy as np
import pytest
from ase.build import bulk

from ncforce_ipi.distil.heldout import apart, nearest_A


def moved(distance_A, seed, **more):
    """A crystal whose atoms are displaced by so much, root mean square, without their centre."""
    atoms = bulk("NaCl", "rocksalt", a=5.64).repeat(2)
    random = np.random.default_rng(seed)
    away = random.normal(size=(len(atoms), 3))
    away -= away.mean(axis=0)
    atoms.positions += distance_A * away / np.sqrt((away**2).sum(axis=1).mean())
    for name, value in more.items():
        setattr(atoms, name, value)
    return atoms


def test_distance_is_that_of_the_displacement():
    """Of known size; through boundaries of a skewed cell, and wherever the centre is."""
    other = moved(0.3, seed=1)
    assert nearest_A(moved(0.0, seed=1), [other]) == pytest.approx(0.3, rel=1e-12)
    other.translate([4.0, 1.0, 0.5])
    other.wrap()
    assert nearest_A(moved(0.0, seed=1), [moved(0.9, 2), other]) == pytest.approx(0.3, rel=1e-9)
    molecule = moved(0.1, seed=1, pbc=False, cell=np.zeros((3, 3)))
    assert nearest_A(moved(0.0, 1, pbc=False), [molecule]) == pytest.approx(0.1, rel=1e-12)
    assert nearest_A(other, []) == np.inf


def test_a_frame_is_no_nearer_to_held_out_ones_than_trained_ones_are():
    held_out = [moved(0.2, seed) for seed in (1, 2)]
    trained = [moved(0.2, seed) for seed in (3, 4, 5)]
    limit = min(nearest_A(one, held_out) for one in trained)
    assert 0.2 < limit < 0.3  # 0.2 sqrt(2) of independent ones
    following = held_out[1].copy()
    following.positions[0, 0] += 0.05
    other = held_out[1].copy()
    other.numbers = other.numbers[::-1].copy()  # of other atoms: nothing is known of these
    frames = [moved(0.3, 6), following, trained[0], other, held_out[0]]
    assert nearest_A(frames[0], held_out) > limit
    assert apart(frames, held_out, trained) == [0, 2, 3]
    assert apart(frames, [], trained) == [0, 1, 2, 3, 4]
