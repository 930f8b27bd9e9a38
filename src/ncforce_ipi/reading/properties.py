"""i-PI's properties files as named columns; every number in the unit that its column states.

Knows nothing of what the numbers are for.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi import units
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.trajectory import last_of_each

log = logging.getLogger(__name__)

_HEADER = re.compile(r"#\s*(?:column|cols\.)\s+(\d+)(?:-(\d+))?\s+-->\s+([^\s{]+)(?:\{([^}]*)\})?")
_UNITS = {
    "time": {
        "femtosecond": 1.0,
        "picosecond": 1e3,
        "second": 1e15,
        "atomic_unit": units.ATOMIC_TIME_FS,
    },
    "energy": {
        "electronvolt": 1.0,
        "atomic_unit": units.HARTREE_EV,
        "kelvin": units.BOLTZMANN_EV_PER_K,
        "j/mol": 1.0 / (units.ELEMENTARY_CHARGE_C * units.AVOGADRO_PER_MOL),
        "cal/mol": 4.184 / (units.ELEMENTARY_CHARGE_C * units.AVOGADRO_PER_MOL),
    },
    "temperature": {"kelvin": 1.0, "atomic_unit": units.HARTREE_EV / units.BOLTZMANN_EV_PER_K},
    "length": {"angstrom": 1.0, "nanometer": 10.0, "atomic_unit": units.BOHR_A},
}
"""i-PI's words and what they are in ours; what states no unit is in atomic ones."""
_PREFIXES = {"milli": 1e-3, "micro": 1e-6, "nano": 1e-9, "pico": 1e-12, "kilo": 1e3, "mega": 1e6}


@dataclass(frozen=True)
class Table:
    """An i-PI properties file.

    Attributes
    ----------
    path : the file
    names : of the columns, as i-PI writes them, e.g. ``temperature(H)``
    units : of the columns, i-PI's words, e.g. ``kelvin``; empty where i-PI states none
    values : ``(n_rows, n_columns)``, the columns' units
    """

    path: Path
    names: tuple[str, ...]
    units: tuple[str, ...]
    values: NDArray[np.float64]

    def column(self, name: str, unit: str = "") -> NDArray[np.float64]:
        """One column, ``(n_rows,)``, in the unit asked for; non-finite values are left in.

        Parameters
        ----------
        name : as i-PI writes it
        unit : i-PI's word, for instance ``picosecond``; empty for a plain number

        Raises
        ------
        InputError
            No such column, or its unit is none of that kind.
        """
        if name not in self.names:
            raise InputError(
                f"{self.path} has no column {name!r} but {', '.join(self.names)}: "
                f"add {name}{{{unit}}} to the properties in the i-PI input"
            )
        index = self.names.index(name)
        stated = self.units[index]
        if stated == unit:
            return self.values[:, index]
        for in_ours in _UNITS.values():
            if (factor := _factor(in_ours, stated or "atomic_unit")) and unit in in_ours:
                return self.values[:, index] * (factor / in_ours[unit])
        raise InputError(
            f"{self.path}: column {name!r} is in {stated or 'default units'}; "
            f"expected {unit or 'a number'}: request {name}{{{unit}}} in the i-PI input"
        )

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return name in self.names


def read_properties(path: Path) -> Table:
    """Read an i-PI properties file; incomplete lines are left out with a warning.

    A resumed run repeats the header and may repeat steps (it goes on from its last checkpoint);
    of rows with the same step the later one counts, and with it all that follows.

    Raises
    ------
    InputError
        No file, no header, no complete row, or two different headers.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; expected i-PI's properties file: is this a run?")
    header: dict[int, tuple[str, str]] = {}
    with path.open(encoding="utf-8", errors="replace") as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "loadtxt: input contained no data", UserWarning)
        try:
            values = np.loadtxt(_complete_rows(path, file, header), ndmin=2)
        except ValueError as err:
            raise InputError(f"{path}: not a table of numbers: {err}") from err
    if not values.size:
        raise InputError(f"{path} has a header but no complete row: has the run made a step?")
    names, column_units = zip(*(header[number] for number in sorted(header)), strict=True)
    if "step" in names:
        values = values[last_of_each(values[:, names.index("step")])]
    return Table(path, names, column_units, values)


def _complete_rows(path: Path, file: TextIO, header: dict[int, tuple[str, str]]) -> Iterator[str]:
    """Rows with a number for each column of the header, which is filled on the way."""
    n_cut = 0
    for line in file:
        if line.startswith("#"):
            _read_header(path, line, header)
        elif not header:
            break
        elif line.endswith("\n") and len(line.split()) == len(header):
            yield line
        else:
            n_cut += 1
    if not header:
        raise InputError(f"{path} has no '# column 1 --> name' header; expected i-PI's properties")
    if n_cut:
        log.warning("%s: %d incomplete line(s) left out", path, n_cut)


def _factor(in_ours: dict[str, float], unit: str) -> float | None:
    """What a unit with or without a prefix is in ours; None for one of another kind."""
    if unit in in_ours:
        return in_ours[unit]
    prefix = next((word for word in _PREFIXES if unit.startswith(word)), "")
    base = in_ours.get(unit.removeprefix(prefix))
    return base * _PREFIXES[prefix] if prefix and base else None


def _read_header(path: Path, line: str, header: dict[int, tuple[str, str]]) -> None:
    """Add the column(s) of one ``# column 3 --> temperature{kelvin} : help`` line."""
    for number, column in header_columns(line).items():
        if header.setdefault(number, column) != column:
            raise InputError(
                f"{path}: column {number} is {header[number][0]!r} and later {column[0]!r}; "
                "expected one header: don't append a run to another one's file"
            )


def header_columns(line: str) -> dict[int, tuple[str, str]]:
    """Number, from 1, to name and unit of the column(s) that one line of a header names.

    ``# column 3 --> temperature{kelvin} : help`` names one, ``# cols. 4-6 --> ...`` three;
    none in any other line.
    """
    match = _HEADER.match(line)
    if match is None:
        return {}
    name, unit = match[3], match[4] or ""
    first = int(match[1])
    if match[2] is None:
        return {first: (name, unit)}
    return {first + i: (f"{name}[{i}]", unit) for i in range(int(match[2]) - first + 1)}
