"""Chemical symbols, and the species of a structure file.  Knows no geometry.

i-PI's protocol says how many atoms there are, not which: a driver reads that from a file.  Xyz,
i-PI's xyz and extended xyz need nothing but this module; other formats are ASE's, if it's there.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError

PERIODIC_TABLE = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb
Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf
Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
SYMBOL_COLUMNS = ("species", "symbols", "symbol", "element", "elements")
NUMBER_COLUMNS = ("Z", "numbers", "atomic_numbers")
ISOTOPES = ("D", "T")  # of hydrogen, in i-PI's xyz
MAX_DIGITS = 10  # of a number of atoms
SYMBOLS = ("X", *PERIODIC_TABLE.split())  # the index is the atomic number
NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS) if number}


def read_species(path: Path) -> NDArray[np.int32]:
    """Atomic numbers ``(n_atoms,)`` of the first structure in a file.

    Raises
    ------
    InputError
        The file is missing or broken, or is of a format that only ASE reads, and ASE isn't there.
    """
    if not path.is_file():
        raise InputError(f"structure {path} is not a file; give the server's start structure")
    if path.suffix in (".xyz", ".extxyz"):
        return _read_xyz(path)
    try:
        import ase.io
    except ImportError as err:
        raise InputError(
            f"structure {path}: expected .xyz or .extxyz, got {path.suffix or 'no suffix'}; "
            "convert it, or pip install ase to read other formats"
        ) from err
    try:
        return np.asarray(ase.io.read(path, index=0).numbers, np.int32)  # type: ignore[union-attr]
    except Exception as err:
        raise InputError(f"structure {path} can't be read by ASE: {err}") from err


def _read_xyz(path: Path) -> NDArray[np.int32]:
    """Atom count, comment, one atom a line; extended xyz says in which column the symbol is."""
    with path.open(encoding="utf-8", errors="replace") as file:
        first, comment = file.readline().strip(), file.readline()
        if not (first.isdecimal() and len(first) <= MAX_DIGITS):
            raise InputError(f"structure {path} line 1: expected an atom count, got {first!r}")
        column, by_number = _species_column(comment, path)
        lines = list(itertools.islice(file, int(first)))  # what there is, not what is promised
    if len(lines) < int(first):
        raise InputError(f"structure {path} ends after {len(lines)} of {first} atoms; is it cut?")
    rows = enumerate(lines, start=3)
    numbers = [_number(line.split(), column, by_number, path, k) for k, line in rows]
    return np.array(numbers, np.int32)


def _species_column(comment: str, path: Path) -> tuple[int, bool]:
    """Column of the species, and whether it may hold atomic numbers, by ``Properties=name:type:n``.

    Without such words it is the first column, of either.
    """
    words = [word for word in comment.split() if word.startswith("Properties=")]
    if not words:
        return 0, True
    fields = words[0].removeprefix("Properties=").strip("\"'").split(":")
    column, found = 0, {}
    for name, _, count in zip(fields[::3], fields[1::3], fields[2::3]):  # noqa: B905  py3.10 too
        found[name] = column
        column += int(count) if count.isdigit() else 1
    for name in (*SYMBOL_COLUMNS, *NUMBER_COLUMNS):
        if name in found:
            return found[name], name in NUMBER_COLUMNS
    raise InputError(
        f"structure {path} holds {', '.join(found)[:200]}; expected a column species, or Z, that "
        "says the elements"
    )


def _number(words: list[str], column: int, by_number: bool, path: Path, line: int) -> int:
    symbol = words[column] if len(words) > column else ""
    if symbol in NUMBERS or symbol in ISOTOPES:
        return NUMBERS.get(symbol, 1)
    if by_number and symbol.isdigit() and 0 < int(symbol) < len(SYMBOLS):
        return int(symbol)
    raise InputError(f"structure {path} line {line}: expected a chemical symbol, got {symbol!r}")
