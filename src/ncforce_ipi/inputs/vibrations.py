"""The fastest vibration that a structure may have, by its elements and masses.

Owns a rough table, against which time steps are judged before a run; what is there is seen in
spectra.
"""

from __future__ import annotations

import math
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms

HYDROGEN_PER_CM = 3700.0  # X-H stretch
SECOND_ROW, SECOND_ROW_PER_CM = range(5, 10), 1650.0  # C=C, C=O, O=O
LIGHT_AND_HEAVY_PER_CM = 1100.0  # Si-O, Ti=O, C-Cl; S=O and P=O, up to 1400, are the exception
OTHER_PER_CM = 700.0
ISOTOPE = 1.01  # tables differ by less, isotopes by more


def fastest_per_cm(atoms: Atoms) -> float:
    """The highest vibration to expect of any two of these atoms with their masses, cm^-1."""
    from ase.data import atomic_masses

    numbers = atoms.numbers.tolist()
    own = {n: float(atoms.get_masses()[atoms.numbers == n].min()) for n in set(numbers)}
    pairs = combinations_with_replacement(sorted(own), 2)
    possible = [pair for pair in pairs if pair[0] != pair[1] or numbers.count(pair[0]) > 1]

    def heavier(pair: tuple[int, int]) -> float:
        """Reduced mass over that of the table's elements."""
        ratio = sum(1.0 / float(atomic_masses[n]) for n in pair) / sum(1.0 / own[n] for n in pair)
        return ratio if abs(ratio - 1.0) > ISOTOPE - 1.0 else 1.0

    found = (_stretch_per_cm(*pair) / math.sqrt(heavier(pair)) for pair in possible)
    return max(found, default=OTHER_PER_CM)


def _stretch_per_cm(lighter: int, heavier: int) -> float:
    if lighter == 1:
        return HYDROGEN_PER_CM
    if lighter not in SECOND_ROW:
        return OTHER_PER_CM
    return SECOND_ROW_PER_CM if heavier in SECOND_ROW else LIGHT_AND_HEAVY_PER_CM
