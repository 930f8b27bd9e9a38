"""Lists of pairs with a skin: no pair within the cutoff is ever missing from one that serves."""

import numpy as np
import pytest

from ncforce_ipi.backend import Structure
from ncforce_ipi.drivers.pairlist import find_pairs

pytest.importorskip("vesin")
CUTOFF, SKIN = 3.0, 0.6
SKEWED = np.array([[5.0, 0.0, 0.0], [1.5, 4.5, 0.0], [-0.7, 1.1, 6.0]])
N_ATOMS = 12


def random_structure(seed, cell=SKEWED):
    random = np.random.default_rng(seed)
    positions = random.uniform(-0.3, 1.4, size=(N_ATOMS, 3)) @ SKEWED
    return Structure(np.ones(N_ATOMS, np.int32), positions, cell)


def pairs_within(structure):
    """The pairs within the cutoff, by looking at all images (27 shells are enough here)."""
    found = set()
    steps = range(-6, 7) if structure.cell.any() else (0,)
    shifts = [np.array([a, b, c]) for a in steps for b in steps for c in steps]
    for i in range(N_ATOMS):
        for shift in shifts:
            ends = structure.positions + shift @ structure.cell - structure.positions[i]
            near = np.linalg.norm(ends, axis=1) < CUTOFF
            for j in np.flatnonzero(near):
                if i < j or (i == j and tuple(shift) > (0, 0, 0)):
                    found.add((i, int(j), *map(int, shift)))
    return found


def listed(pairs, structure):
    """Those of a list that are within the cutoff at a structure."""
    vectors = (
        structure.positions[pairs.second]
        - structure.positions[pairs.first]
        + pairs.shifts @ structure.cell
    )
    near = np.linalg.norm(vectors, axis=1) < CUTOFF
    rows = np.column_stack([pairs.first, pairs.second, pairs.shifts])[near].astype(int)
    assert len({tuple(row) for row in rows}) == len(rows), "each pair once"
    return {tuple(map(int, row)) for row in rows}


@pytest.mark.parametrize("cell", [SKEWED, 0.5 * SKEWED, np.diag([5.0, 4.0, 0.0]), np.zeros((3, 3))])
def test_all_pairs_of_the_structure_itself(cell):
    structure = random_structure(1, cell)
    found = find_pairs(structure, CUTOFF, 0.0)
    expected = {pair for pair in pairs_within(structure) if _allowed(pair, cell)}
    assert listed(found, structure) == expected
    assert expected


def _allowed(pair, cell):
    """Without a lattice vector there are no images along it."""
    return all(shift == 0 or row.any() for shift, row in zip(pair[2:], cell, strict=True))


def _strained(structure, random, size):
    strain = np.eye(3) + size * random.uniform(-1.0, 1.0, size=(3, 3))
    return Structure(structure.numbers, structure.positions @ strain, structure.cell @ strain)


@pytest.mark.parametrize("seed", range(30))
def test_a_list_that_serves_lacks_nothing(seed):
    random = np.random.default_rng(seed)
    before = random_structure(seed)
    pairs = find_pairs(before, CUTOFF, SKIN)
    after = _strained(before, random, size=0.05 * random.random())
    moves = random.normal(size=(N_ATOMS, 3))
    moves *= 0.4 * random.random() * SKIN / np.linalg.norm(moves, axis=1).max()
    after = Structure(after.numbers, after.positions + moves, after.cell)
    if pairs.serves(after):
        assert listed(pairs, after) == pairs_within(after)


def test_how_far_a_list_serves():
    before = random_structure(0)
    pairs = find_pairs(before, CUTOFF, SKIN)

    def moved(by, cell=before.cell):
        positions = before.positions.copy()
        positions[3, 1] += by
        return Structure(before.numbers, positions, cell)

    assert pairs.serves(before)
    assert pairs.serves(moved(0.49 * SKIN))
    assert not pairs.serves(moved(0.51 * SKIN))
    assert not pairs.serves(moved(np.nan))
    # without a move, cells serve until the skin is used up by the shrinking alone
    still = 1.001 * CUTOFF / (CUTOFF + SKIN)
    whole = Structure(before.numbers, still * before.positions, still * before.cell)
    assert pairs.serves(whole)
    torn = 0.998 * whole.cell
    assert not pairs.serves(Structure(before.numbers, 0.998 * whole.positions, torn))
    other = Structure(before.numbers + 1, before.positions, before.cell)
    assert not pairs.serves(other)
    fewer = Structure(before.numbers[:-1], before.positions[:-1], before.cell)
    assert not pairs.serves(fewer)


def test_a_lattice_vector_that_comes_or_goes_needs_a_new_list():
    crystal, molecule = random_structure(0), random_structure(0, np.zeros((3, 3)))
    assert not find_pairs(crystal, CUTOFF, SKIN).serves(molecule)
    assert not find_pairs(molecule, CUTOFF, SKIN).serves(crystal)
    assert find_pairs(molecule, CUTOFF, SKIN).serves(molecule)


def test_two_lists_have_their_common_pairs_in_one_order():
    before = random_structure(3)
    moves = 0.05 * np.random.default_rng(0).normal(size=(N_ATOMS, 3))
    after = Structure(before.numbers, before.positions + moves, before.cell)
    rows = []
    for pairs in (find_pairs(before, CUTOFF, SKIN), find_pairs(after, CUTOFF, 0.0)):
        vectors = after.positions[pairs.second] - after.positions[pairs.first]
        near = np.linalg.norm(vectors + pairs.shifts @ after.cell, axis=1) < CUTOFF
        rows.append(np.column_stack([pairs.first, pairs.second, pairs.shifts])[near])
    np.testing.assert_array_equal(*rows)


def test_a_list_keeps_its_own_arrays():
    structure = random_structure(0)
    pairs = find_pairs(structure, CUTOFF, SKIN)
    structure.positions[0] += 1.0
    assert not pairs.serves(structure)
