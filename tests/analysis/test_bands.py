"""Bands that elements may have above the Nyquist frequency, and where they are seen instead."""

import ase.data
import pytest

from ncforce_ipi.analysis.bands import STRETCHES_PER_CM, Band, bands_above


def above(nyquist_per_cm, formula, masses_u=None):
    """Pairs and wavenumbers of a formula such as ``{"O": 1, "H": 2}``."""
    natural = {
        name: ase.data.atomic_masses[ase.data.atomic_numbers.get(name, 1)] for name in formula
    }
    found = bands_above(nyquist_per_cm, formula, natural | (masses_u or {}))
    return {band.pair: round(band.highest_per_cm) for band in found}


@pytest.mark.parametrize(
    ("formula", "pair", "fundamental_per_cm"),
    [  # fundamentals, NIST Chemistry WebBook; harmonic wavenumbers lie up to 5 % higher
        ({"N": 2}, "N-N", 2330),
        ({"C": 1, "O": 1}, "C-O", 2143),
        ({"C": 1, "O": 2}, "C-O", 2349),
        ({"H": 1, "C": 1, "N": 1}, "C-N", 2097),
        ({"H": 2, "S": 1}, "H-S", 2626),
        ({"H": 4, "C": 1}, "C-H", 3019),
        ({"H": 3, "N": 1}, "H-N", 3444),
        ({"H": 2, "O": 1}, "H-O", 3756),
        ({"H": 3, "P": 1}, "H-P", 2328),
        ({"H": 4, "Si": 1}, "H-Si", 2191),
        ({"H": 6, "B": 2}, "B-H", 2612),
        ({"H": 1, "F": 1}, "F-H", 3961),
        ({"H": 1, "Cl": 1}, "Cl-H", 2886),
        ({"H": 2}, "H-H", 4161),
        ({"O": 2}, "O-O", 1556),
        ({"S": 1, "O": 3}, "O-S", 1391),
        ({"F": 2}, "F-F", 894),
        ({"Cl": 2}, "Cl-Cl", 554),
        ({"Ti": 1, "O": 2}, "O-Ti", 935),
        ({"Pt": 4, "H": 1}, "H-Pt", 2294),
        ({"C": 60}, "C-C", 1590),
        ({"C": 4, "H": 6}, "C-C", 2233),  # an alkyne
    ],
)
def test_bands_of_molecules_are_within_the_table(formula, pair, fundamental_per_cm):
    found = above(0.0, formula)[pair]
    assert fundamental_per_cm <= found
    if pair not in ("C-H", "C-N", "O-Ti", "C-O", "C-C"):  # which have higher ones elsewhere
        assert found <= 1.06 * fundamental_per_cm


def test_water_needs_no_warning_at_the_default_step():
    """4 fs: 4169 1/cm.  All hydrogen can be bound to oxygen: there is no H2."""
    assert above(4169.0, {"O": 64, "H": 128}) == {}
    assert above(4169.0, {"O": 64, "H": 129}) == {}  # hydronium
    assert above(4169.0, {"Cu": 36, "H": 2}) == {"H-H": 4401}


def test_isotopes_lower_their_bands():
    heavy = above(2000.0, {"O": 1, "H": 2}, {"H": 2.014})["H-O"]
    assert heavy == pytest.approx(
        3940 * (17.007 / 15.999 / 2) ** 0.5 * (2.016 / 2.014) ** 0.5, abs=10
    )
    assert above(2000.0, {"O": 1, "D": 2}, {"D": 2.014})["D-O"] == heavy
    assert above(3000.0, {"O": 1, "H": 2}, {"H": 2.014}) == {}


@pytest.mark.parametrize("symbol", ["Ar", "Cu", "Al", "Fe", "W"])
def test_solids_of_one_element_end_low(symbol):
    assert all(value < 600 for value in above(0.0, {symbol: 10}).values())


def test_single_atoms_have_no_bond_with_themselves():
    assert above(0.0, {"N": 1, "Ar": 5}) == {}


def test_where_a_band_folds_onto():
    band = Band("N-N", 2359.0)
    assert not band.folds_onto(900.0, 1668.0)  # 2 x 1668 - 2359 = 977 is the lowest
    assert band.folds_onto(1006.0, 1668.0)
    assert band.folds_onto(10.0, 1000.0)  # more than twice: everywhere
    assert not band.folds_onto(1006.0, 2400.0)


def test_table_names_each_pair_once():
    pairs = [frozenset((a, b)) for a, others in STRETCHES_PER_CM.items() for b in others]
    assert len(pairs) == len(set(pairs))
