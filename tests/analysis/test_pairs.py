"""Pairs of a frame: all of them, or those of neighbouring blocks; and what that takes of memory."""

import tracemalloc

import numpy as np
import pytest

from ncforce_ipi.analysis import pairs

CUBIC = np.diag([30.0, 30.0, 30.0])
SLANTED = np.array([[31.0, 0.0, 0.0], [12.0, 27.0, 0.0], [-9.0, 11.0, 28.0]])
LONG = np.diag([6.0, 7.0, 200.0])


def box(cell, n_atoms, seed=0):
    """Positions in and around the cell, and three kinds."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-1.0, 2.0, size=(1, n_atoms, 3)) @ cell
    return positions, cell[None], rng.integers(0, 3, n_atoms)


@pytest.mark.parametrize(
    ("cell", "r_max"), [(CUBIC, 3.0), (CUBIC, 7.0), (SLANTED, 4.0), (LONG, 2.9), (LONG, 1.0)]
)
def test_blocks_give_what_all_pairs_give(cell, r_max, monkeypatch):
    positions, cells, kinds = box(cell, 1500)
    edges = np.linspace(0.0, r_max, 41)
    monkeypatch.setattr(pairs, "FEWEST_IN_BLOCK", 1)
    divisions = pairs._divisions(cells, len(kinds), r_max)
    assert divisions.max() > 2  # or nothing is told here
    by_blocks = pairs._of_blocks(positions[0], cell, kinds, edges, divisions)
    assert np.array_equal(by_blocks, pairs._of_all_pairs(positions, cells, kinds, edges)[0])


@pytest.mark.parametrize("cell", [CUBIC, SLANTED, LONG])
def test_blocks_are_as_high_as_the_longest_distance(cell):
    for r_max in (0.7, 2.0, 2.9):
        divisions = pairs._divisions(cell[None], 10**6, r_max)
        heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        assert (heights / divisions >= r_max).all()
        assert (divisions >= 1).all()
        few = pairs._divisions(cell[None], 300, r_max)
        assert few.prod() <= max(300 / pairs.FEWEST_IN_BLOCK, 1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3), (2, 2, 2), (3, 4, 5), (1, 2, 6)])
def test_neighbours_are_all_that_touch_and_each_once(shape):
    places = np.array(list(np.ndindex(shape)))
    apart = np.abs(places[:, None] - places)
    apart = np.minimum(apart, np.array(shape) - apart)
    wanted = {(i, j) for i, j in np.argwhere((apart <= 1).all(axis=-1)).tolist() if i <= j}
    found = list(pairs._neighbours(np.array(shape)))
    assert len(found) == len(set(found))
    assert set(found) == wanted


def test_memory_is_that_of_the_atoms_not_of_the_pairs():
    """A list of the pairs within 10 A would be 20 000 x 400 x 8 bytes = 64 MB for one number."""
    positions, cells, kinds = box(np.diag([58.5, 58.5, 58.5]), 20_000)  # 0.1 atoms/A^3
    tracemalloc.start()
    counts = pairs.pair_counts(positions, cells, kinds, np.linspace(0.0, 10.0, 201))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    ideal = 20_000 * 19_999 * 4.0 / 3.0 * np.pi * 10.0**3 / 58.5**3
    assert counts.sum() == pytest.approx(ideal, rel=5e-3)  # 4 million pairs: sigma 0.05 %
    assert peak < 16e6  # positions, fractions and integers of 20 000 atoms: 3 MB at most each


def test_what_it_costs_is_known_before():
    assert pairs.n_pairs_formed(CUBIC, 1000, 15.0) == 0.5e6
    assert pairs.n_pairs_formed(10 * CUBIC, 10**6, 30.0) == pytest.approx(0.5e12 * 27 / 1000)
