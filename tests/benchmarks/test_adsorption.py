"""Sites of an adsorbed atom, on slabs whose sites ASE knows by name."""

import numpy as np
import pytest
from ase.build import add_adsorbate, fcc111

from benchmarks.adsorption import adsorption_sites, layers
from ncforce_ipi.errors import InputError

NEIGHBOURS = {"ontop": 1, "bridge": 2, "fcc": 3, "hcp": 3}
BOND_A = 1.95


def slab(site):
    """Three layers of Cu(111) with O at a named site, ``BOND_A`` from its neighbours."""
    atoms = fcc111("Cu", (3, 3, 3), a=3.6, vacuum=6.0)
    radius_A = {"ontop": 0.0, "bridge": 0.5, "fcc": 3**-0.5, "hcp": 3**-0.5}[site] * 3.6 / 2**0.5
    add_adsorbate(atoms, "O", np.sqrt(BOND_A**2 - radius_A**2), site)
    atoms.pbc = True
    atoms.cell[2, 2] = 20.0
    return atoms


def sites(atoms, frames=None):
    lowest, second, top = layers(atoms.positions[:-1, 2], 3)
    assert len(lowest) == 9
    frames = atoms.positions[None] if frames is None else frames
    symbols = atoms.get_chemical_symbols()
    return adsorption_sites(
        frames, atoms.cell.array, symbols, adsorbate=len(atoms) - 1, top=top, second=second
    )


@pytest.mark.parametrize("site", NEIGHBOURS)
def test_named_sites(site):
    found = sites(slab(site))
    assert found.kind.tolist() == [{"ontop": "top"}.get(site, site)]
    assert found.neighbours.tolist() == [" ".join(["Cu"] * NEIGHBOURS[site])]
    np.testing.assert_allclose(found.bond_A, BOND_A, atol=1e-9)


@pytest.mark.parametrize("site", NEIGHBOURS)
def test_thermal_motion_and_the_boundary_of_the_cell_change_nothing(site):
    """Random displacements as at 300 K, and every atom in another periodic image."""
    atoms, random = slab(site), np.random.default_rng(0)
    frames = atoms.positions + random.normal(0.0, 0.05, (50, len(atoms), 3))
    shifts = random.integers(-2, 3, (50, len(atoms), 3)) * [1, 1, 0]
    found = sites(atoms, frames + shifts @ atoms.cell.array)
    assert set(found.kind) == {{"ontop": "top"}.get(site, site)}
    # 0.05 A for O and for each of its neighbours
    np.testing.assert_allclose(found.bond_A, BOND_A, atol=0.3)
    np.testing.assert_allclose(found.height_A, sites(atoms).height_A[0], atol=0.3)


def test_occupancy_names_the_neighbours():
    atoms = slab("fcc")
    top = layers(atoms.positions[:-1, 2], 3)[-1]
    to_oxygen = atoms.get_distances(-1, top, mic=True)
    atoms.symbols[top[np.argmin(to_oxygen)]] = "Al"
    there, over_top = atoms.positions, slab("ontop").positions
    found = sites(atoms, np.array([there, there, there, over_top]))
    shares = found.occupancy()
    assert next(iter(shares)) == "fcc Al Cu Cu"
    assert sorted(shares.values()) == [0.25, 0.75]
    np.testing.assert_allclose(found.height_A[0], np.sqrt(BOND_A**2 - 3.6**2 / 6), atol=1e-9)


def test_an_atom_among_many_is_on_no_site():
    atoms = slab("ontop")
    atoms.positions[-1, 2] += 20.0  # far above: all neighbours are about as far
    atoms.cell[2, 2] = 200.0
    assert sites(atoms).kind.tolist() == ["other"]


def test_layers_are_cut_at_the_widest_gaps():
    heights_A = np.array([4.1, 0.0, 2.0, 4.5, 0.1, 2.2])
    assert [part.tolist() for part in layers(heights_A, 3)] == [[1, 4], [2, 5], [0, 3]]
    assert [part.tolist() for part in layers(heights_A, 1)] == [[0, 1, 2, 3, 4, 5]]
    with pytest.raises(InputError, match="7 layers of 6 atoms"):
        layers(heights_A, 7)
