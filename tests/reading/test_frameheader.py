"""What comment lines of other programs mean, and what is refused in them."""

from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.frameheader import read_header
from ncforce_ipi.reading.frameunits import factor
from ncforce_ipi.units import BOHR_A

PATH = Path("file.xyz")
BOX = 'Lattice="10 0 0 0 10 0 0 0 10"'
PROPERTIES = "Properties=species:S:1:pos:R:3"


def header(comment: str, wanted: str | None = None, unit: str | None = None):
    return read_header(PATH, comment.encode(), wanted, unit)


def test_columns_go_by_their_names():
    found = header(f"{BOX} Properties=id:I:1:species:S:1:stress:R:9:pos:R:3")
    assert found.columns == (11, 12, 13)
    assert found.labels == (1, 0)  # an id may not change either


def test_columns_stand_above_ipis_title():
    """Saved again by ASE with one column more, i-PI's words are still there."""
    found = header(f'{BOX} {PROPERTIES}:mol:I:1 ipi_comment="Step: 3 positions{{ase}} cell{{ase}}"')
    assert (found.quantity, found.columns) == ("positions", (1, 2, 3))
    title = 'ipi_comment="Step: 3  Bead: 0 velocities{ase}  cell{ase}"'
    columns = "Properties=species:S:1:pos:R:3:forces:R:3:velocities:R:3"
    assert header(f"{BOX} {columns} {title}").columns == (7, 8, 9)
    assert header(f"{BOX} {columns} {title}", "forces").columns == (4, 5, 6)
    with pytest.raises(InputError, match="holds velocities; expected positions"):
        header(f"{BOX} {columns} {title}", "positions")  # i-PI writes zeros there


def test_ipi_without_units_is_in_atomic_units_as_in_its_own_reader():
    found = header("# CELL(abcABC): 10 10 10 90 90 90 Step: 0 Bead: 0 positions")
    assert found.factor == BOHR_A
    np.testing.assert_allclose(found.cell, 10 * BOHR_A * np.eye(3), atol=1e-14)
    assert found.assumed == "positions and the cell"
    assert header("# CELL(abcABC): 1 1 1 90 90 90 positions{angstrom} cell{angstrom}").assumed == ""
    with pytest.raises(InputError, match="holds species, pos; expected velocities"):
        header("# CELL(abcABC): 10 10 10 90 90 90", "velocities")


TITLE = "# CELL(abcABC): 10 10 10 90 90 90 cell{angstrom} Step: 3 Bead: 0 "


def test_a_unit_that_is_given_is_used_where_the_title_says_none():
    """And atomic units are assumed only without it."""
    given = header(f"{TITLE}velocities", "velocities", "angstrom/ps")
    assert (given.factor, given.assumed) == (1e-3, "")
    assert header(f"{TITLE}velocities", "velocities").assumed == "velocities"
    # of velocities alone: positions beside them stay in i-PI's units
    assert header(f"{TITLE}positions", "positions", "angstrom/ps").factor == BOHR_A


@pytest.mark.parametrize(
    "comment",
    [
        f"{TITLE}velocities{{angstrom/ps}}",
        f'{BOX} Properties=species:S:1:vel:R:3 units="_JSON {{\\"velocities\\": \\"Ang/ps\\"}}"',
    ],
)
def test_a_unit_that_is_given_beside_another_is_refused(comment):
    assert header(comment, "velocities", "Angstrom/ps").factor == 1e-3
    with pytest.raises(
        InputError, match=r"--unit m/s, but file\.xyz says that its velocities are in [Aa]ng"
    ):
        header(comment, "velocities", "m/s")
    with pytest.raises(InputError, match=r"in atomic_unit; leave the option out"):
        header(f"{TITLE}velocities{{}}", "velocities", "m/s")  # i-PI's own, by its words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", (True, True, True)),
        ('pbc="T T F"', (True, True, False)),
        ("pbc=[1, 0, 0]", (True, False, False)),
        ("pbc=F", (False, False, False)),
    ],
)
def test_periodicity(words, expected):
    assert header(f"{BOX} {PROPERTIES} {words}").pbc == expected
    assert header(f"{PROPERTIES} {words}").pbc == (False, False, False)  # no cell
    slab = 'Lattice="10 0 0 0 10 0 0 0 0"'
    assert header(f"{slab} {PROPERTIES} {words}").pbc == (*expected[:2], False)


def test_units_that_a_dictionary_states():
    """As janus-core writes them by ASE."""
    stated = '"_JSON {\\"momenta\\": \\"(eV*u)^0.5\\", \\"velocities\\": \\"Angstrom/ps\\"}"'
    line = f"{BOX} {PROPERTIES}:momenta:R:3:velocities:R:3 units={stated}"
    assert header(line, "momenta").factor == header(f"{PROPERTIES}:momenta:R:3", "momenta").factor
    assert header(line, "velocities").factor == 1e-3
    with pytest.raises(InputError, match="not a dictionary"):
        header(f'{PROPERTIES} units="_JSON {{"')


@pytest.mark.parametrize(
    ("quantity", "words", "same"),
    [
        ("positions", ("A", "Ang", "Angstroms", "Å"), "angstrom"),
        ("positions", ("bohr", "a.u."), "atomic_unit"),
        ("velocities", ("Ang/fs", "A / fs", "angstrom/femtosecond"), "angstrom/fs"),
        ("velocities", ("(eV/amu)^(1/2)", "sqrt(eV/u)", "(eV/u)**0.5"), "ase"),
        ("velocities", ("km/s",), "kilom/s"),
        ("momenta", ("(u*eV)^0.5", "sqrt(eV*amu)"), "ase"),
        ("forces", ("eV/Angstrom", "eV/A", "ev/Å"), "ev/ang"),
        ("forces", ("Hartree/Bohr",), "atomic_unit"),
        ("forces", ("meV/A",), "milliev/ang"),
    ],
)
def test_words_for_one_unit(quantity, words, same):
    assert {factor(PATH, quantity, word) for word in words} == {factor(PATH, quantity, same)}


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("Properties=species:S:1:pos:R:1000000000", "'1000000000' columns; expected a number from"),
        ("Properties=species:S:1:pos:R:-3", "'-3' columns; expected a number from"),
        ("Properties=species:S:1:pos:R:three", "'three' columns"),
        ("Properties=species:S:1:pos:R:3:pos:R:3", "names pos twice"),
        ("Properties=pos:R:3", "expected a column species, or Z"),
        ("Properties=species:S:1:pos:R:3:x", "not a list of name:type:columns"),
        (f'Lattice="1 2 3" {PROPERTIES}', "unreadable cell in Lattice='1 2 3'"),
        (f'Lattice="nan 0 0 0 1 0 0 0 1" {PROPERTIES}', "expected finite numbers"),
        (f'{BOX} {PROPERTIES} pbc="T T"', r"pbc='T T'; expected three of T and F"),
        ("# CELL(abcABC): 10 10 10 90 90 0 Step: 0 Bead: 0", "unreadable cell in CELL.abcABC"),
        ("# CELL(abcABC): 10 10 10 10 10 90 Step: 0 Bead: 0", "unreadable cell in CELL.abcABC"),
        ("# CELL(H): 10 10 Step: 0 Bead: 0", "unreadable cell in CELL.H"),
        (f"{PROPERTIES} units={{{{}}", "not a dictionary"),
    ],
)
def test_words_that_make_no_sense_are_refused(comment, message):
    with pytest.raises(InputError, match=message):
        header(comment)
