"""Charge and spin that a structure says, and that no model sees: i-PI's protocol carries neither.

Owns which words of a file are meant, and how they are said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

# of the whole system, and the values that mean none
CHARGES = {"charge": (0.0,), "total_charge": (0.0,)}
SPINS = {"spin": (0.0, 1.0), "multiplicity": (0.0, 1.0), "spin_multiplicity": (0.0, 1.0)}
ION = 0.5  # e: partial charges in a file sum to less, by their digits


def electrons_of(atoms: Atoms) -> dict[str, float]:
    """Charge and spin of the whole system that ``info`` says and that aren't none, by its words."""
    words = {str(key).lower(): value for key, value in atoms.info.items()}
    found = {}
    for key, none in (CHARGES | SPINS).items():
        value = _number(words.get(key))
        if value is not None and value not in none:
            found[key] = value
    return found


def unseen(name: str, atoms: Atoms) -> str:
    """A line that says them; empty where there are none.

    Parameters
    ----------
    name : of the file or structure
    atoms : as the file has them
    """
    said = ", ".join(_words(atoms))
    if not said:
        return ""
    return (
        f"{name} says {said}, which no model sees: it has the charge and spin of its own "
        "options (--charge and --spin of orb and fairchem, --info of ase), else those that it "
        "takes for granted, mostly none"
    )


def _words(atoms: Atoms) -> Iterator[str]:
    """What is said, as ``charge=-1``."""
    for key, value in electrons_of(atoms).items():
        yield f"{key}={value:g}"
    for key, what in (("initial_charges", "charges"), ("initial_magmoms", "magnetic moments")):
        values = atoms.arrays.get(key, np.zeros(1))
        total = float(values.sum()) if values.ndim == 1 else 0.0
        if abs(total) > ION:
            yield f"{what} of {total:g} in all"


def _number(value: object) -> float | None:
    """A number, or None for anything else."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
