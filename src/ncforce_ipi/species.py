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
        column = _symbol_column(comment)
        lines = list(itertools.islice(file, int(first)))  # what there is, not what is promised
    if len(lines) < int(first):
        raise InputError(f"structure {path} ends after {len(lines)} of {first} atoms; is it cut?")
    numbers = [_number(line.split(), column, path, k) for k, line in enumerate(lines, start=3)]
    return np.array(numbers, np.int32)


def _symbol_column(comment: str) -> int:
    """Column of the symbol by ``Properties=name:type:count:...``; the first where it isn't said."""
    words = [word for word in comment.split() if word.startswith("Properties=")]
    fields = words[0].removeprefix("Properties=").split(":") if words else []
    column = 0
    for name, _, count in zip(fields[::3], fields[1::3], fields[2::3]):  # noqa: B905  py3.10 too
        if name in ("species", "element", "symbols"):
            return column
        column += int(count) if count.isdigit() else 1
    return 0


def _number(words: list[str], column: int, path: Path, line: int) -> int:
    symbol = words[column] if len(words) > column else ""
    if symbol in NUMBERS:
        return NUMBERS[symbol]
    if symbol.isdigit() and 0 < int(symbol) < len(SYMBOLS):
        return int(symbol)
    raise InputError(f"structure {path} line {line}: expected a chemical symbol, got {symbol!r}")
