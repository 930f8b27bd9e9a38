"""The highest stretching bands that pairs of elements can have.

Owns a table.  It says what may lie above the Nyquist frequency of a spectrum, not what does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

STRETCHES_PER_CM = {
    "H": {
        "H": 4401, "Li": 1406, "Be": 2255, "B": 2700, "C": 3500, "N": 3580, "O": 3940, "F": 4138,
        "Na": 1172, "Mg": 1600, "Al": 1900, "Si": 2270, "P": 2450, "S": 2712, "Cl": 2991, "K": 986,
        "Ca": 1298, "Zn": 1870, "Ga": 1950, "Ge": 2170, "As": 2200, "Se": 2450, "Br": 2649,
        "Rb": 937, "Sr": 1206, "Sn": 1901, "Sb": 1890, "Te": 2072, "I": 2309, "Cs": 891, "Ba": 1168,
    },
    "C": {"C": 2260, "N": 2330, "O": 2349, "F": 1350, "B": 1600, "Si": 1000, "P": 1300, "S": 1535,
          "Cl": 910, "Se": 1303, "Br": 730, "I": 600},
    "N": {"N": 2359, "O": 1904, "F": 1141, "B": 1610, "Al": 910, "Si": 1200, "P": 1337, "S": 1380,
          "Cl": 830, "Ti": 1037, "Ga": 740, "Se": 957},
    "O": {"O": 1580, "F": 1053, "B": 1886, "Li": 850, "Be": 1487, "Mg": 785, "Al": 979, "Si": 1242,
          "P": 1415, "S": 1391, "Cl": 1300, "Ca": 732, "Zn": 740, "Cu": 640, "Ge": 986, "As": 967,
          "Se": 1000, "Br": 900, "Na": 500, "K": 430},
    "F": {"F": 917, "Li": 910, "Be": 1555, "B": 1505, "Al": 965, "Si": 1031, "P": 1026, "S": 980,
          "Cl": 784, "Na": 536, "K": 428, "Mg": 840},
    "B": {"B": 1180, "Cl": 995, "P": 830},
    "S": {"S": 726, "P": 750, "Si": 750, "Cl": 550},
    "P": {"P": 781, "Cl": 600},
    "Si": {"Si": 520, "Cl": 621},
    "Cl": {"Cl": 560, "Br": 445, "I": 384},
    "Br": {"Br": 325, "I": 269},
    "I": {"I": 215},
}  # fmt: skip
"""Upper ends in 1/cm, of the main isotopes: harmonic wavenumbers of the diatomic molecules (Huber,
Herzberg, Constants of Diatomic Molecules, 1979; NIST Chemistry WebBook), or the highest stretch of
small molecules or solids where that lies higher (Shimanouchi, Tables of Molecular Vibrational
Frequencies, NSRDS-NBS 39, 1972): O-H water, N-H ammonia, C-H acetylene, C-C alkynes, C-N cyanogen,
C-O carbon dioxide, B-N boron nitride, S-O sulfur trioxide, P-O phosphoryl fluoride."""
OF_OTHERS_PER_CM = {"H": 2400.0, "O": 1060.0, "N": 1050.0, "F": 750.0}
"""Of these with any other element, mostly metals: AuH 2305, WO 1060, TiN 1037."""
ONLY_CARBON_PER_CM = 1650.0
"""Graphite, graphene and diamond; 2260 needs triple bonds, which something must end."""
NOBLE = {"He", "Ne", "Ar", "Kr", "Xe", "Rn"}
STIFF_MDYN_PER_A = 2.2
"""Force constant of what the table doesn't have: of Si2; of Al2, Fe2 and Cu2 it is 1.0 to 1.5."""
PER_CM_OF_UNIT = 1302.79
"""1/cm of 1 mdyn/A and 1 u: sqrt(k / mu) / (2 pi c)."""
BONDS = {"B": 4, "C": 4, "N": 4, "O": 3, "F": 2, "Si": 4, "P": 4, "S": 3, "Cl": 2, "Se": 3, "Br": 2,
         "I": 2}  # fmt: skip
"""Hydrogen atoms that an atom can hold, ions included: with more there may be H2."""


@dataclass(frozen=True)
class Band:
    """The highest stretch of a pair of elements.

    Attributes
    ----------
    pair : of elements, ``N-N``
    highest_per_cm : with the run's masses, 1/cm
    """

    pair: str
    highest_per_cm: float

    def folds_onto(self, wavenumber_per_cm: float, nyquist_per_cm: float) -> bool:
        """Whether something of it above the Nyquist frequency is seen at that wavenumber."""
        lowest = 2.0 * nyquist_per_cm - self.highest_per_cm
        return self.highest_per_cm > nyquist_per_cm and wavenumber_per_cm >= lowest


def bands_above(
    nyquist_per_cm: float, counts: Mapping[str, int], masses_u: Mapping[str, float]
) -> tuple[Band, ...]:
    """Bands that may lie above the Nyquist frequency, the highest first.

    Parameters
    ----------
    nyquist_per_cm : 1/cm
    counts : atoms of each species
    masses_u : of each species, u: a heavier isotope lowers its bands
    """
    symbols = sorted(counts)
    found = [
        Band(f"{a}-{b}", highest)
        for rank, a in enumerate(symbols)
        for b in symbols[rank:]
        if (counts[a] > 1 or a != b)
        and (highest := _highest(a, b, counts, masses_u)) > nyquist_per_cm
    ]
    return tuple(sorted(found, key=lambda band: -band.highest_per_cm))


def _highest(a: str, b: str, counts: Mapping[str, int], masses_u: Mapping[str, float]) -> float:
    one, other = _element(a), _element(b)
    reduced = masses_u[a] * masses_u[b] / (masses_u[a] + masses_u[b])
    if {one, other} & NOBLE:
        return 0.0
    if one == other == "H" and not _may_be_hydrogen_gas(counts):
        return 0.0
    if one == other == "C" and {_element(name) for name in counts} == {"C"}:
        known: float | None = ONLY_CARBON_PER_CM
    else:
        known = _known(one, other)
    if known is None:
        return PER_CM_OF_UNIT * math.sqrt(STIFF_MDYN_PER_A / reduced)
    m, n = _natural_u(one), _natural_u(other)
    ratio = m * n / (m + n) / reduced
    return known * (math.sqrt(ratio) if abs(ratio - 1.0) > 0.01 else 1.0)


def _known(one: str, other: str) -> float | None:
    for a, b in ((one, other), (other, one)):
        if b in STRETCHES_PER_CM.get(a, {}):
            return float(STRETCHES_PER_CM[a][b])
    for element in ("H", "O", "N", "F"):
        if element in (one, other):
            return OF_OTHERS_PER_CM[element]
    return None


def _may_be_hydrogen_gas(counts: Mapping[str, int]) -> bool:
    hydrogen = sum(count for name, count in counts.items() if _element(name) == "H")
    held = sum(BONDS.get(_element(name), 0) * count for name, count in counts.items())
    return hydrogen > held


def _element(symbol: str) -> str:
    """Deuterium and tritium are hydrogen."""
    return "H" if symbol in ("D", "T") else symbol


def _natural_u(element: str) -> float:
    """Standard atomic weight, u: the table's isotopes, not the run's."""
    from ase.data import atomic_masses, atomic_numbers

    return float(atomic_masses[atomic_numbers.get(element, 0)])
