"""The comment line of a frame: its step, what the columns hold and in which unit, its cell.

Owns what i-PI (``xyz`` and ``ase``), ASE's extxyz and plain xyz write there, and all units of
trajectories; what leaves is in A, A/fs, eV/A and u A/fs.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi import units
from ncforce_ipi.errors import InputError

_QUANTITY = re.compile(rb"(\w+)(?:\([^)]*\))?\{([^}]*)\}\s+cell\{([^}]*)\}")
_PROPERTIES = re.compile(rb'Properties="?([^\s"]+)"?')
_LATTICE = re.compile(rb'Lattice="([^"]*)"')
_CELL = re.compile(rb"CELL[(\[{](abcABC|H)[)\]}]:\s*((?:[-+.\deE]+\s+)+)")
_ASE_VELOCITY = 1.0 / math.sqrt(units.U_A2_PER_FS2_EV)  # (eV/u)^(1/2) in A/fs
_ATOMIC_MOMENTUM = units.ELECTRON_MASS_KG / units.ATOMIC_MASS_KG * units.ATOMIC_VELOCITY_A_PER_FS

FACTORS = {
    "positions": {"ase": 1.0, "angstrom": 1.0, "nanometer": 10.0, "atomic_unit": units.BOHR_A},
    "velocities": {
        "ase": _ASE_VELOCITY,
        "m/s": 1e-5,
        "angstrom/fs": 1.0,
        "angstrom/ps": 1e-3,
        "atomic_unit": units.ATOMIC_VELOCITY_A_PER_FS,
    },
    "momenta": {"ase": _ASE_VELOCITY, "atomic_unit": _ATOMIC_MOMENTUM},
    "forces": {"ase": 1.0, "ev/ang": 1.0, "atomic_unit": units.HARTREE_PER_BOHR_EV_PER_A},
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
    "positions": ("pos", "positions"),
    "velocities": ("vel", "velo", "velocities", "velocity"),
    "momenta": ("momenta",),
    "forces": ("forces", "force"),
}
"""Names of columns in extxyz; a velocity's unit is not agreed on among programs."""
DEFAULT_UNITS = {"positions": "angstrom", "momenta": "ase", "forces": "ase"}
_XYZ = {"pos": (1, 2, 3)}


@dataclass(frozen=True)
class Header:
    """What a comment line says.

    Attributes
    ----------
    quantity : positions, velocities, momenta or forces
    factor : from the file's unit to ours
    columns : three words of each atom's line that hold the quantity
    cell : ``(3, 3)``, A, one lattice vector a row; zeros where there is none
    """

    quantity: str
    factor: float
    columns: tuple[int, ...]
    cell: NDArray[np.float64]


def read_header(path: Path, comment: bytes, wanted: str | None, unit: str | None) -> Header:
    """Meaning of a frame's comment line.

    Parameters
    ----------
    path : for messages
    comment : the line
    wanted : positions, velocities, momenta or forces; None for what an i-PI file holds, which is
        one of them, and for the positions of other files
    unit : of velocities where the file states none

    Raises
    ------
    InputError
        The file holds something else, or in a unit that isn't known.
    """
    match = _QUANTITY.search(comment)
    if match:
        name, unit_of_file, cell_unit = (word.decode() for word in match.groups())
        quantity = KINDS.get(name, name)
        if quantity not in FACTORS or wanted not in (None, quantity):
            raise InputError(
                f"{path} holds {name}; expected {wanted or ', '.join(FACTORS)}: give that file"
            )
        columns: tuple[int, ...] = (-3, -2, -1)
    else:
        quantity, columns = _columns_of(path, comment, wanted)
        unit_of_file, cell_unit = DEFAULT_UNITS.get(quantity, unit or ""), "angstrom"
    cell = _cell(path, comment) * _factor(path, "positions", cell_unit)
    return Header(quantity, _factor(path, quantity, unit_of_file), columns, cell)


def _columns_of(path: Path, comment: bytes, wanted: str | None) -> tuple[str, tuple[int, ...]]:
    """Quantity and columns of an extxyz frame, or of plain xyz, which has positions only."""
    quantity = wanted or "positions"
    match = _PROPERTIES.search(comment)
    there: dict[str, tuple[int, ...]] = {} if match else dict(_XYZ)
    first, words = 0, match[1].decode().split(":") if match else []
    for name, width in zip(words[::3], words[2::3], strict=False):
        there[name] = tuple(range(first, first + int(width)))
        first += int(width)
    for name in COLUMNS[quantity]:
        if len(there.get(name, ())) == 3:
            return quantity, there[name]
    raise InputError(f"{path} holds {', '.join(there)}; expected {quantity}: give a file with them")


def _factor(path: Path, quantity: str, unit: str) -> float:
    factors = FACTORS[quantity]
    if unit not in factors:
        raise InputError(
            f"{path}: {quantity} in {unit or 'a unit that the file does not state'!r}; expected "
            f"one of {', '.join(factors)}: state the unit in the i-PI input, or give --unit"
        )
    return factors[unit]


def _cell(path: Path, comment: bytes) -> NDArray[np.float64]:
    """Lattice vectors as rows, ``(3, 3)``, in the file's unit; zeros without a cell."""
    lattice, match = _LATTICE.search(comment), _CELL.search(comment)
    try:
        if lattice:
            return np.array(lattice[1].split(), dtype=float).reshape(3, 3)
        if match and match[1] == b"H":  # i-PI's h has lattice vectors as columns
            return np.array(match[2].split()[:9], dtype=float).reshape(3, 3).T
        if match:
            return _rows_of_lengths_and_angles(*(float(word) for word in match[2].split()[:6]))
    except (ValueError, TypeError) as err:
        raise InputError(f"{path}: unreadable cell in {comment[:80]!r}: {err}") from err
    return np.zeros((3, 3))


def _rows_of_lengths_and_angles(
    a: float, b: float, c: float, alpha: float, beta: float, gamma: float
) -> NDArray[np.float64]:
    """Lattice vectors as rows, a along x and b in the xy plane, from lengths and degrees."""
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians([alpha, beta, gamma]))
    sin_gamma = math.sin(math.radians(gamma))
    c_y = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    c_z = math.sqrt(1.0 - cos_beta**2 - c_y**2)
    unit_rows = [[1.0, 0.0, 0.0], [cos_gamma, sin_gamma, 0.0], [cos_beta, c_y, c_z]]
    return np.array([a, b, c])[:, None] * np.array(unit_rows)
