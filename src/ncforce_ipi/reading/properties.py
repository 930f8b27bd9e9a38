"""i-PI's properties files as named columns; every number in the unit that its column states.

Knows nothing of what the numbers are for.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.framesteps import last_of_each
from ncforce_ipi.reading.ipiunits import factor

log = logging.getLogger(__name__)

_HEADER = re.compile(r"#\s*(?:column|cols\.)\s+(\d+)(?:-(\d+))?\s+-->\s+(.+?)\s*(?::\s|$)")
_UNIT = re.compile(r"\{([^}]*)\}")
_DIMENSIONS = {"time": "time", "temperature": "temperature", "ensemble_temperature": "temperature"}
"""Of columns whose unit can be taken for another dimension's: kelvin and ase are energies too."""
HEAD_BYTES = 1 << 16  # in which a header begins, behind what i-PI says of itself (verbosity high)


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
        known = _DIMENSIONS.get(name.partition("(")[0])
        for dimension in [known] if known else ["energy", "length"]:
            here, there = factor(dimension, stated), factor(dimension, unit)
            if here and there and unit:
                return self.values[:, index] * (here / there)
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
        values = values[_of_one_run(path, values[:, names.index("step")])]
    return Table(path, names, column_units, values)


def _of_one_run(path: Path, steps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows that count; InputError where the steps begin again, as those of frames."""
    again = np.flatnonzero((np.diff(steps) < 0) & (steps[1:] <= steps[0]))
    if len(again):
        first = int(again[0]) + 1
        raise InputError(
            f"{path}: step {steps[first]:.0f} comes after step {steps[first - 1]:.0f} (row {first} "
            "from 0), so that the steps begin again: two runs in one file; split it there"
        )
    kept = last_of_each(steps)
    lost = np.setdiff1d(steps[~kept], steps[kept])
    if len(lost):
        log.warning(
            "%s: %d rows of steps %.0f to %.0f left out: later ones in the file go on from an "
            "earlier step, as a resumed run does", path, len(lost), lost[0], lost[-1],
        )  # fmt: skip
    return kept


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
    words = match[3]
    stated = _UNIT.search(words)
    unit = stated[1].strip() if stated else ""
    # kinetic_md{electronvolt}(bead = 0) is kinetic_md(bead=0), temperature(atom=H) temperature(H)
    name = re.sub(r"\s", "", _UNIT.sub("", words)).replace("(atom=", "(")
    first = int(match[1])
    if match[2] is None:
        return {first: (name, unit)}
    return {first + i: (f"{name}[{i}]", unit) for i in range(int(match[2]) - first + 1)}


def is_properties(path: Path) -> bool:
    """Whether a file begins as i-PI's properties files do."""
    return bool(_first_columns(path))


def n_useful_columns(path: Path) -> int:
    """How many of the columns that runs are measured by a properties file has."""
    names = {name for name, _ in _first_columns(path).values()}
    return len(names & {"step", "time", "kinetic_md", "temperature", "conserved", "potential"})


def _first_columns(path: Path) -> dict[int, tuple[str, str]]:
    """Columns by the comment lines that a file begins with; none of a file that isn't one."""
    try:
        if not path.is_file():
            return {}
        with path.open("rb") as file:
            if file.read(1) != b"#":
                return {}
            head = b"#" + file.read(HEAD_BYTES)
    except OSError:  # somebody else's
        return {}
    lines = head.decode("utf-8", "replace").splitlines()
    found: dict[int, tuple[str, str]] = {}
    for line in takewhile(lambda one: one.startswith("#"), lines):
        found |= header_columns(line)
    return found
