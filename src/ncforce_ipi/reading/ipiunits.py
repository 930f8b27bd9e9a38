"""i-PI's words for units and what they are in ours: A, eV, fs, u, K.

i-PI writes a unit in braces behind the name of a column, and as ``units=`` in its XML; without one
a number is in atomic units.  A word is a prefix (``milli``) and a base (``electronvolt``).
"""

from __future__ import annotations

import math

from ncforce_ipi import units

DEFAULTS = ("", "automatic", "atomic_unit")
_PER_MOL_EV = 1.0 / (units.ELEMENTARY_CHARGE_C * units.AVOGADRO_PER_MOL)  # 1 J/mol
_HARTREE_K = units.HARTREE_EV / units.BOLTZMANN_EV_PER_K
_ATOMIC_UNITS = {
    "time": units.ATOMIC_TIME_FS,
    "energy": units.HARTREE_EV,
    "temperature": _HARTREE_K,
    "length": units.BOHR_A,
    "mass": units.ELECTRON_MASS_KG / units.ATOMIC_MASS_KG,
}
UNITS = {
    "time": {"second": 1e15, "ase": math.sqrt(units.U_A2_PER_FS2_EV)},
    "energy": {
        "electronvolt": 1.0,
        "ase": 1.0,
        "kelvin": units.BOLTZMANN_EV_PER_K,
        "j/mol": _PER_MOL_EV,
        "cal/mol": 4.1868 * _PER_MOL_EV,  # i-PI's calorie is the international one
    },
    "temperature": {"kelvin": 1.0, "ase": 1.0},
    "length": {"angstrom": 1.0, "ase": 1.0, "meter": 1e10},
    "mass": {"dalton": 1.0, "ase": 1.0, "electronmass": _ATOMIC_UNITS["mass"]},
}
"""i-PI's bases and what they are in ours, by dimension."""
_PREFIXES = {
    "yotta": 1e24, "zetta": 1e21, "exa": 1e18, "peta": 1e15, "tera": 1e12, "giga": 1e9,
    "mega": 1e6, "kilo": 1e3, "milli": 1e-3, "micro": 1e-6, "nano": 1e-9, "pico": 1e-12,
    "femto": 1e-15, "atto": 1e-18, "zepto": 1e-21, "yocto": 1e-24,
}  # fmt: skip


def factor(dimension: str, unit: str) -> float | None:
    """What one of i-PI's units is in ours; None if it is none of that dimension.

    Parameters
    ----------
    dimension : time, energy, temperature, length or mass
    unit : as i-PI reads it: a base in any case, behind a prefix or none
    """
    word = unit.strip()
    prefix = next((one for one in _PREFIXES if word.startswith(one)), "")
    base = word.removeprefix(prefix).strip().lower()
    if base in DEFAULTS:
        return _PREFIXES.get(prefix, 1.0) * _ATOMIC_UNITS[dimension]
    size = UNITS[dimension].get(base)
    return None if size is None else _PREFIXES.get(prefix, 1.0) * size


def names(dimension: str) -> str:
    """The bases of a dimension, for messages."""
    return ", ".join(["atomic_unit", *UNITS[dimension]])
