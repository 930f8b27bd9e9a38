"""Masses that a user chooses: from the bonds, or of a species."""

import logging

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.masses import Masses, repartitioned, with_masses
from ncforce_ipi.inputs.vibrations import fastest_per_cm

H, C, O = 1.008, 12.011, 15.999  # noqa: E741 - the elements' names
RNG = np.random.default_rng(7)


def boxed(name, side_A=12.0):
    """A molecule in the middle of a periodic box."""
    atoms = molecule(name)
    atoms.set_cell([side_A] * 3)
    atoms.center()
    atoms.pbc = True
    return atoms


def by_four(atoms):
    """Masses with hydrogen atoms of 4 u."""
    return repartitioned(atoms, atoms.get_masses(), 4.0)


def test_water():
    masses = by_four(boxed("H2O"))
    # 1e-12: sums of a few numbers
    np.testing.assert_allclose(masses, [O - 2 * (4 - H), 4.0, 4.0], rtol=1e-12)


@pytest.mark.parametrize("name", ["H2O", "CH3CH2OH", "C6H6", "NH3", "CH3CHO", "C5H8"])
def test_the_total_mass_stays_and_each_hydrogen_has_it_from_its_own_neighbour(name):
    atoms = boxed(name)
    masses = repartitioned(atoms, atoms.get_masses(), 3.0)
    assert masses.sum() == pytest.approx(atoms.get_masses().sum(), rel=1e-12)  # rounding
    assert (masses[atoms.numbers == 1] == 3.0).all()
    distances_A = atoms.get_all_distances(mic=True)
    for k in np.flatnonzero(atoms.numbers != 1):
        n = np.count_nonzero(distances_A[k][atoms.numbers == 1] < 1.2)  # C-H 1.09, N-H 1.02
        assert masses[k] == pytest.approx(atoms.get_masses()[k] - n * (3.0 - H), rel=1e-12)


def test_bonds_go_through_the_boundary_and_images():
    atoms = boxed("CH3CH2OH")
    whole = repartitioned(atoms, atoms.get_masses(), 3.0)
    for shift in RNG.uniform(-20, 20, size=(5, 3)):
        moved = atoms.copy()
        moved.positions += shift
        moved.wrap()
        found = repartitioned(moved, moved.get_masses(), 3.0)
        np.testing.assert_allclose(found, whole, rtol=1e-12)
    order = RNG.permutation(len(atoms))
    shuffled = atoms[order]
    found = repartitioned(shuffled, shuffled.get_masses(), 3.0)
    np.testing.assert_allclose(found, whole[order], rtol=1e-12)


def test_a_hydrogen_between_two_heavy_atoms_belongs_to_the_nearer():
    line = Atoms("OHO", positions=[[0, 0, 0], [1.1, 0, 0], [2.35, 0, 0]], cell=[9] * 3, pbc=True)
    np.testing.assert_allclose(by_four(line), [O - 4 + H, 4, O], rtol=1e-12)


def test_nearer_is_counted_in_covalent_radii():
    # Si-H 1.6 A is a bond of its usual length or so; 1.25 A to O is 1.29 of one
    line = Atoms("OHSi", positions=[[0, 0, 0], [1.25, 0, 0], [2.85, 0, 0]], cell=[9] * 3, pbc=True)
    masses = by_four(line)
    assert masses[0] == O
    assert masses[2] < 28.085


def test_atoms_without_hydrogen_are_left_alone():
    ions = boxed("H2O") + Atoms("Na", positions=[[1, 1, 1]]) + Atoms("Cl", positions=[[9, 1, 1]])
    np.testing.assert_array_equal(by_four(ions)[3:], ions.get_masses()[3:])


def test_masses_that_are_so_already_stay():
    atoms = boxed("CH3CH2OH")
    once = repartitioned(atoms, atoms.get_masses(), 3.0)
    np.testing.assert_array_equal(repartitioned(atoms, once, 3.0), once)


@pytest.mark.parametrize(
    ("atoms", "hydrogen_u", "words"),
    [
        (boxed("H2"), 4.0, r"atom 0 \(H\) has no heavy neighbour .* \(2 such atoms"),
        (boxed("H2O") + Atoms("H", positions=[[1, 1, 1]]), 4.0, r"atom 3 \(H\) has no heavy"),
        (boxed("CH4"), 4.0, r"atom 0 \(C, 12.01 u\) with 4 hydrogen atoms would have 0.0430* u"),
        (boxed("CH4"), 4.0, r"expected at most 3\.2"),  # 16.043 u / 5
        (boxed("C2H6"), 4.0, r"expected at most 3\.75"),  # 15.035 u / 4
        (boxed("H2O"), 0.5, r"atom 1 \(H\) has 1\.008 u already"),
        (bulk("NaCl", "rocksalt", 5.6), 4.0, "there is no hydrogen"),
    ],
)
def test_what_has_no_masses_to_give(atoms, hydrogen_u, words):
    with pytest.raises(InputError, match=words):
        repartitioned(atoms, atoms.get_masses(), hydrogen_u)


@pytest.mark.parametrize("name", ["CH4", "C2H6", "H2O", "NH3"])
def test_the_largest_mass_that_a_message_names_is_possible(name):
    atoms = boxed(name)
    with pytest.raises(InputError, match="expected at most") as found:
        repartitioned(atoms, atoms.get_masses(), 9.0)
    most = float(str(found.value).rsplit(" ", 1)[1])
    repartitioned(atoms, atoms.get_masses(), most)
    with pytest.raises(InputError, match="less than each"):
        repartitioned(atoms, atoms.get_masses(), most + 0.02)  # it is rounded down to 0.01


def test_species_and_what_is_said(caplog):
    caplog.set_level(logging.INFO)
    found = with_masses(boxed("H2O"), Masses({"H": 4.0, "O": 10.0}))
    np.testing.assert_array_equal(found.get_masses(), [10.0, 4.0, 4.0])
    assert "masses H 4 (1.008), O 10 (15.999) u: diffusion, c_vv, spectra" in caplog.text
    assert "the total mass is 18 u instead of 18.015" in caplog.text


def test_repartitioning_keeps_the_total_and_says_no_density(caplog):
    caplog.set_level(logging.INFO)
    with_masses(boxed("C2H6"), Masses(hydrogen_u=2.0))
    assert "averages over positions" in caplog.text
    assert "total mass" not in caplog.text


def test_given_velocities_keep_the_temperature_of_each_atom():
    atoms = boxed("H2O")
    atoms.set_momenta(RNG.normal(size=(3, 3)))
    found = with_masses(atoms, Masses(hydrogen_u=4.0))
    heat = (atoms.get_momenta() ** 2).sum(axis=1) / atoms.get_masses()
    # 1e-12: square roots and products
    np.testing.assert_allclose(
        (found.get_momenta() ** 2).sum(axis=1) / found.get_masses(), heat, rtol=1e-12
    )


def test_nothing_wanted_changes_nothing(caplog):
    caplog.set_level(logging.INFO)
    atoms = boxed("H2O")
    assert with_masses(atoms, Masses()) is atoms
    assert not with_masses(atoms, Masses()).has("masses")
    assert not caplog.text


def test_path_integrals_feel_masses(caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(InputError, match="averages of a path integral depend on masses"):
        with_masses(boxed("H2O"), Masses(hydrogen_u=4.0), beads=4)
    with_masses(boxed("H2O"), Masses({"H": 2.014}), beads=4)
    assert "a path integral's averages are those of these masses" in caplog.text


@pytest.mark.parametrize(
    ("species", "hydrogen_u", "words"),
    [
        ({"Xx": 1.0}, None, "is no element"),
        ({"H": 0.0}, None, "expected more than 0"),
        ({"H": float("nan")}, None, "expected more than 0"),
        (None, -1.0, "expected the mass of a hydrogen atom"),
        (None, float("inf"), "expected the mass of a hydrogen atom"),
    ],
)
def test_words_that_are_no_masses(species, hydrogen_u, words):
    with pytest.raises(InputError, match=words):
        Masses(species, hydrogen_u)


def test_a_species_that_is_not_there():
    with pytest.raises(InputError, match=r"no N in the structure, which has H, O"):
        with_masses(boxed("H2O"), Masses({"N": 14.0}))


def test_the_fastest_vibration_knows_masses():
    atoms = boxed("H2O")
    before = fastest_per_cm(atoms)
    atoms.set_masses(by_four(atoms))
    # O-H: the square root of the reduced masses; 1e-9: rounding, tables of ASE
    ratio = np.sqrt((1 / 4 + 1 / (O - 2 * (4 - H))) / (1 / H + 1 / O))
    assert fastest_per_cm(atoms) == pytest.approx(ratio * before, rel=1e-9)
