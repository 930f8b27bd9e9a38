"""The comment line of a frame: what the columns hold and in which unit, its cell and periodicity.

Owns what i-PI (``xyz`` and ``ase``), ASE's extxyz and plain xyz mean by their words.  A file's own
words decide, in every frame: ``Properties`` says where the columns are, i-PI's title says what an
output of its own is and in which unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.commentline import Title, keys_and_values, title_of
from ncforce_ipi.reading.framesearch import first_frame
from ncforce_ipi.reading.frameunits import (
    COLUMNS,
    DEFAULT_UNITS,
    FACTORS,
    KINDS,
    factor,
    stated_units,
    unit_in,
)
from ncforce_ipi.species import NUMBER_COLUMNS, SYMBOL_COLUMNS

NAMES = frozenset(KINDS)
IDS = ("id", "ids", "atom_id", "atom_ids", "index", "indices")
ATOMIC = "atomic_unit"
OWN = ("", "automatic")  # units of i-PI's titles that mean its own
MOST_COLUMNS = 100_000  # of an atom's line
_BOOLEANS = {"T": True, "true": True, "True": True, "TRUE": True, "1": True,
             "F": False, "false": False, "False": False, "FALSE": False, "0": False}  # fmt: skip
_Columns = dict[str, tuple[int, int]]
_PLAIN: _Columns = {"species": (0, 1), "pos": (1, 3)}


@dataclass(frozen=True)
class Header:
    """What a comment line says.

    Attributes
    ----------
    quantity : positions, velocities, momenta or forces
    factor : from the file's unit to ours
    columns : three words of each atom's line that hold the quantity
    labels : words that say which atom it is, the species first, then an id
    by_number : whether the species are atomic numbers
    cell : ``(3, 3)``, A, one lattice vector a row; zeros where there is none
    pbc : whether the system is periodic along each lattice vector
    assumed : what the line leaves out and i-PI's own reader takes; empty where it says all
    """

    quantity: str
    factor: float
    columns: tuple[int, ...]
    labels: tuple[int, ...]
    by_number: bool
    cell: NDArray[np.float64]
    pbc: tuple[bool, bool, bool]
    assumed: str


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
        The file holds something else, or in a unit that isn't known, or in another one than
        ``unit``, or words that make no sense.
    """
    line = comment.decode("utf-8", "replace")
    title = title_of(line, NAMES)
    keys = keys_and_values(line) if "=" in line else {}
    properties = keys.get("Properties")
    stated = stated_units(path, keys.get("units"))
    assumed = ""
    if properties is not None:
        columns = _columns(path, properties)
        quantity, place = _quantity_of_columns(path, columns, title, wanted)
    else:
        columns, place = _PLAIN, 1
        quantity = _quantity_of_plain(path, title, wanted)
    unit = unit if quantity == "velocities" else None
    if properties is not None or title is None or "Lattice" in keys:
        said = _unit_of_column(title, stated, quantity)
        own = said or unit or ""
        cell_unit = (title and title.cell_unit) or unit_in(stated, "positions") or "angstrom"
    else:
        own, cell_unit, assumed = _units_of_title(title, quantity, unit)
        said = None if title.unit is None else own
    if said and unit and factor(path, quantity, said) != factor(path, quantity, unit):
        raise InputError(
            f"--unit {unit}, but {path} says that its velocities are in {said}; leave the option "
            "out"
        )
    if "Lattice" in keys:
        cell = _nine(path, keys["Lattice"])
    elif title is not None and title.cell is not None:
        cell = _cell_of_title(path, *title.cell)
    else:
        cell = np.zeros((3, 3))
    if cell.any():
        cell = cell * factor(path, "positions", cell_unit)
    species = _species(columns)
    same = [
        columns[name][0] for name in (*SYMBOL_COLUMNS, *NUMBER_COLUMNS, *IDS) if name in columns
    ]
    return Header(
        quantity=quantity,
        factor=factor(path, quantity, own),
        columns=tuple(range(place, place + 3)),
        labels=tuple(dict.fromkeys([columns[species][0], *same])),
        by_number=species in NUMBER_COLUMNS,
        cell=cell,
        pbc=_pbc(path, keys.get("pbc"), cell),
        assumed=assumed,
    )


def first_header(
    path: Path, file: BinaryIO, wanted: str | None, unit: str | None
) -> tuple[Header, str]:
    """Meaning of the first frame's comment line, and the unit of times that it states, or none."""
    _, first, whole = first_frame(path, file.fileno())
    comment = (whole if whole.head else first).comment
    header = read_header(path, comment, wanted, unit)
    keys = keys_and_values(comment.decode("utf-8", "replace"))
    return header, stated_units(path, keys.get("units")).get("time", "")


def names_in(head: bytes) -> frozenset[str]:
    """All that a frame's two first lines say it holds: i-PI's output, extxyz's columns of three."""
    line = head.partition(b"\n")[2].decode("utf-8", "replace")
    title = title_of(line, NAMES)
    keys = keys_and_values(line) if "=" in line else {}
    words = keys.get("Properties", "").split(":")
    named = {name for name, width in zip(words[::3], words[2::3], strict=False) if width == "3"}
    if title is None or title.name is None:
        return frozenset(named)
    if named:  # i-PI's velocities in ASE's format have positions of zeros
        named -= set(COLUMNS["positions"])
    return frozenset(named | {title.name})


def _columns(path: Path, properties: str) -> _Columns:
    """First column and width of each name in ``Properties``."""
    words = properties.split(":")
    found: _Columns = {}
    first = 0
    for name, width in zip(words[::3], words[2::3], strict=False):
        if not width.isdecimal() or len(width) > 6 or not 0 < int(width) <= MOST_COLUMNS:
            raise InputError(
                f"{path}: Properties gives {name[:40]} {width[:20]!r} columns; expected a number "
                f"from 1 to {MOST_COLUMNS}"
            )
        if name in found:
            raise InputError(f"{path}: Properties names {name[:40]} twice; expected it once")
        found[name] = (first, int(width))
        first += int(width)
    if len(words) % 3:
        raise InputError(
            f"{path}: Properties={properties[:60]!r} is not a list of name:type:columns; expected "
            "for example species:S:1:pos:R:3"
        )
    if not _species(found):
        raise InputError(
            f"{path} holds {_listed(found)}; expected a column species, or Z, that says the "
            "elements"
        )
    return found


def _listed(columns: _Columns) -> str:
    return ", ".join(columns)[:200]


def _quantity_of_plain(path: Path, title: Title | None, wanted: str | None) -> str:
    """Of lines of a species and three numbers: what i-PI's title names, else positions."""
    named = None if title is None else title.name
    kind = "positions" if named is None else KINDS.get(named, named)
    if kind not in FACTORS or wanted not in (None, kind):
        raise InputError(
            f"{path} holds {named or 'species, pos'}; expected {wanted or ', '.join(FACTORS)}: "
            "give that file"
        )
    return kind


def _quantity_of_columns(
    path: Path, columns: _Columns, title: Title | None, wanted: str | None
) -> tuple[str, int]:
    """The quantity, and the first of its three columns."""
    named = "" if title is None or title.name is None else title.name
    kind = KINDS.get(named, "")
    own = kind != "" and _place(columns, (named, *COLUMNS[kind])) is not None
    quantity = wanted or (kind if own else "positions")
    first = (named,) if kind == quantity else ()
    place = _place(columns, (*first, *COLUMNS[quantity]))
    hollow = own and quantity == "positions" != kind  # i-PI writes zeros there
    if place is None or hollow:
        what = named or _listed(columns)
        raise InputError(f"{path} holds {what}; expected {quantity}: give a file with them")
    return quantity, place


def _species(columns: _Columns) -> str:
    """The column that says the element; empty without one."""
    names = (
        name for name in (*SYMBOL_COLUMNS, *NUMBER_COLUMNS) if columns.get(name, (0, 0))[1] == 1
    )
    return next(names, "")


def _place(columns: _Columns, names: tuple[str, ...]) -> int | None:
    """First column of the first of these names that is there with three columns."""
    return next((columns[name][0] for name in names if columns.get(name, (0, 0))[1] == 3), None)


def _units_of_title(title: Title, quantity: str, unit: str | None) -> tuple[str, str, str]:
    """Units of the quantity and of the cell, and what had to be assumed, as i-PI's reader does."""
    missing = []
    if title.unit is None and unit is None:
        missing.append(quantity)
    if title.cell is not None and title.cell_unit is None:
        missing.append("the cell")
    own = (unit or ATOMIC) if title.unit is None else title.unit
    own, cell = (ATOMIC if word in OWN else word for word in (own, title.cell_unit or ATOMIC))
    return own, cell, " and ".join(missing)


def _unit_of_column(title: Title | None, stated: dict[str, str], quantity: str) -> str | None:
    """By i-PI's title if it speaks of this column, by a dictionary of units, by ASE's custom."""
    if title is not None and KINDS.get(title.name or "") == quantity:
        return title.unit or "ase"  # i-PI's format='ase' has no other
    return unit_in(stated, quantity) or DEFAULT_UNITS.get(quantity)


def _pbc(path: Path, value: str | None, cell: NDArray[np.float64]) -> tuple[bool, bool, bool]:
    """As ASE does: by ``pbc``, else along every lattice vector; never along one of zeros."""
    words = (value or "T").replace(",", " ").split()
    words = words * 3 if len(words) == 1 else words
    if len(words) != 3 or any(word not in _BOOLEANS for word in words):
        raise InputError(f"{path}: pbc={str(value)[:40]!r}; expected three of T and F")
    a, b, c = (_BOOLEANS[word] and bool(row.any()) for word, row in zip(words, cell, strict=True))
    return (a, b, c)


def _nine(path: Path, text: str) -> NDArray[np.float64]:
    """Lattice vectors as rows, ``(3, 3)``, from nine numbers."""
    words = text.replace(",", " ").split()
    try:
        cell = np.array([float(word) for word in words]).reshape(3, 3)
    except ValueError as err:
        raise InputError(f"{path}: unreadable cell in Lattice={text[:80]!r}: {err}") from err
    return _require_finite(path, cell, text)


def _cell_of_title(path: Path, kind: str, words: list[str]) -> NDArray[np.float64]:
    """Lattice vectors as rows, ``(3, 3)``, in the file's unit."""
    n_numbers = 6 if kind == "abcABC" else 9
    try:
        numbers = [float(word) for word in words[:n_numbers]]
        if kind == "abcABC":
            cell = _rows_of_lengths_and_angles(*numbers)
        else:
            cell = np.array(numbers).reshape(3, 3)
    except (ValueError, TypeError, ArithmeticError) as err:
        text = " ".join(words)[:80]
        raise InputError(f"{path}: unreadable cell in CELL({kind}): {text!r}: {err}") from err
    _require_finite(path, cell, " ".join(words))
    return cell.T if kind == "H" else cell  # i-PI's h has lattice vectors as columns


def _require_finite(path: Path, cell: NDArray[np.float64], text: str) -> NDArray[np.float64]:
    if not np.isfinite(cell).all():
        raise InputError(f"{path}: unreadable cell in {text[:80]!r}; expected finite numbers")
    return cell


def _rows_of_lengths_and_angles(
    a: float, b: float, c: float, alpha: float, beta: float, gamma: float
) -> NDArray[np.float64]:
    """Lattice vectors as rows, a along x and b in the xy plane, from lengths and degrees."""
    cos_alpha, cos_beta, cos_gamma = (math.cos(math.radians(x)) for x in (alpha, beta, gamma))
    sin_gamma = math.sin(math.radians(gamma))
    c_y = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    c_z = math.sqrt(1.0 - cos_beta**2 - c_y**2)
    unit_rows = [[1.0, 0.0, 0.0], [cos_gamma, sin_gamma, 0.0], [cos_beta, c_y, c_z]]
    return np.array([a, b, c])[:, None] * np.array(unit_rows)
