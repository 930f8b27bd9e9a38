"""Units of trajectories in the words of i-PI, ASE and others.

What leaves is in A, A/fs, eV/A and u A/fs.  Owns these tables, and the names that outputs of i-PI
and columns of extxyz have.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from ncforce_ipi import units
from ncforce_ipi.errors import InputError

_ASE_VELOCITY = 1.0 / math.sqrt(units.U_A2_PER_FS2_EV)  # (eV/u)^(1/2) in A/fs
_ATOMIC_MOMENTUM = units.ELECTRON_MASS_KG / units.ATOMIC_MASS_KG * units.ATOMIC_VELOCITY_A_PER_FS
_KCAL_PER_MOL_EV = 4184.0 / (units.AVOGADRO_PER_MOL * units.ELEMENTARY_CHARGE_C)

FACTORS = {
    "positions": {
        "ase": 1.0,
        "angstrom": 1.0,
        "nanometer": 10.0,
        "picometer": 0.01,
        "meter": 1e10,
        "atomic_unit": units.BOHR_A,
    },
    "velocities": {
        "ase": _ASE_VELOCITY,
        "m/s": 1e-5,
        "kilom/s": 1e-2,
        "angstrom/fs": 1.0,
        "angstrom/ps": 1e-3,
        "nanometer/ps": 1e-2,
        "(ev/u)^0.5": _ASE_VELOCITY,
        "atomic_unit": units.ATOMIC_VELOCITY_A_PER_FS,
    },
    "momenta": {
        "ase": _ASE_VELOCITY,
        "u*angstrom/fs": 1.0,
        "(ev*u)^0.5": _ASE_VELOCITY,
        "atomic_unit": _ATOMIC_MOMENTUM,
    },
    "forces": {
        "ase": 1.0,
        "ev/ang": 1.0,
        "milliev/ang": 1e-3,
        "kcal/mol/ang": _KCAL_PER_MOL_EV,
        "hartree/bohr": units.HARTREE_PER_BOHR_EV_PER_A,
        "atomic_unit": units.HARTREE_PER_BOHR_EV_PER_A,
    },
}
"""What a unit, in i-PI's words, is in ours."""
KINDS = {
    **{name: name for name in FACTORS},
    "x_centroid": "positions",
    "v_centroid": "velocities",
    "p_centroid": "momenta",
    "f_centroid": "forces",
    "forces_component": "forces",
    "forces_component_raw": "forces",
}
"""i-PI's outputs and what they are."""
COLUMNS = {
    "positions": ("pos", "positions", "x_centroid"),
    "velocities": ("vel", "velo", "velocities", "velocity", "v_centroid"),
    "momenta": ("momenta", "p_centroid"),
    "forces": ("forces", "force", "f_centroid"),
}
"""Names of columns in extxyz; a velocity's unit is not agreed on among programs."""
DEFAULT_UNITS = {"positions": "angstrom", "momenta": "ase", "forces": "ase"}
"""Of columns that no word gives a unit: ASE's."""
_SAME = {
    "ang": "angstrom",
    "a": "angstrom",
    "å": "angstrom",
    "angstroms": "angstrom",
    "nm": "nanometer",
    "pm": "picometer",
    "bohr": "atomic_unit",
    "au": "atomic_unit",
    "a.u.": "atomic_unit",
    "amu": "u",
    "da": "u",
    "femtosecond": "fs",
    "picosecond": "ps",
    "mev": "milliev",
}
"""Other words for parts of units."""
_WHOLE = {
    "km/s": "kilom/s",
    "(u*ev)^0.5": "(ev*u)^0.5",
    "sqrt(ev*u)": "(ev*u)^0.5",
    "sqrt(u*ev)": "(ev*u)^0.5",
    "sqrt(ev/u)": "(ev/u)^0.5",
    "ev/angstrom": "ev/ang",
    "milliev/angstrom": "milliev/ang",
    "kcal/mol/angstrom": "kcal/mol/ang",
    "hartree/atomic_unit": "hartree/bohr",
    "ha/atomic_unit": "hartree/bohr",
}
"""Other words for whole units."""


def factor(path: Path, quantity: str, unit: str) -> float:
    """From a unit of the file to ours.

    Raises
    ------
    InputError
        A unit that isn't known, or none.
    """
    factors = FACTORS[quantity]
    known = unit if unit in factors else _usual(unit)
    if known not in factors:
        raise InputError(
            f"{path}: {quantity} in {unit[:40] or 'a unit that the file does not state'!r}; "
            f"expected one of {', '.join(factors)}: state the unit in the i-PI input, or give "
            "--unit"
        )
    return factors[known]


def _usual(unit: str) -> str:
    """The word of the table for one that means the same: ``eV/Angstrom`` is ``ev/ang``."""
    parts: list[str] = [""]
    for letter in unit.lower().replace("**", "^").replace("(1/2)", "0.5"):
        if letter in "/*()^":
            parts += [letter, ""]
        elif not letter.isspace():
            parts[-1] += letter
    whole = "".join(_SAME.get(part, part) for part in parts)
    return _WHOLE.get(whole, whole)


def stated_units(path: Path, value: str | None) -> dict[str, str]:
    """The dictionary that ASE writes as ``units="_JSON {...}"``; nothing where it is none.

    Raises
    ------
    InputError
        It can't be read.
    """
    if value is None or "{" not in value:
        return {}
    try:
        found = json.loads(value.removeprefix("_JSON"))
        return {str(name).lower(): str(unit) for name, unit in found.items()}
    except (ValueError, AttributeError, RecursionError) as err:
        raise InputError(
            f"{path}: units={value[:60]!r} in a comment line is not a dictionary: {err}"
        ) from err


def unit_in(stated: dict[str, str], quantity: str) -> str | None:
    """What a dictionary of units says about a quantity, by its name or a column's."""
    names = [quantity, *COLUMNS[quantity]]
    if quantity == "positions":
        names += ["length", "distance"]
    return next((stated[name] for name in names if name in stated), None)
