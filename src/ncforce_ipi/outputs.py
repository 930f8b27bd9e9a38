"""What i-PI writes: properties as named columns, trajectories as a stream of blocks of frames.

Owns i-PI's file formats and their units; every number leaves in A, fs and the unit that the column
states.  Knows nothing of what the numbers are for.  A trajectory is read with numpy's own text
parser: faster here than chemfiles, which also loses the step number and the unit that i-PI writes
in the comment line.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi import units
from ncforce_ipi.errors import InputError

log = logging.getLogger(__name__)

_HEADER = re.compile(r"#\s*(?:column|cols\.)\s+(\d+)(?:-(\d+))?\s+-->\s+([^\s{]+)(?:\{([^}]*)\})?")
_STEP = re.compile(rb"Step:\s*(\d+)")
_QUANTITY = re.compile(rb"(positions|velocities)\{([^}]*)\}\s+cell\{([^}]*)\}")
_LATTICE = re.compile(rb'Lattice="([^"]*)"')
_ABC = re.compile(rb"CELL\(abcABC\):\s*((?:[-+.\deE]+\s+){6})")
_FACTORS = {
    "positions": {"ase": 1.0, "angstrom": 1.0, "atomic_unit": units.BOHR_A},
    "velocities": {
        "ase": 1.0 / math.sqrt(units.U_A2_PER_FS2_EV),  # (eV/u)^(1/2)
        "m/s": 1e-5,
        "atomic_unit": units.ATOMIC_VELOCITY_A_PER_FS,
    },
}


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

        Raises
        ------
        InputError
            No such column, or it's in another unit.
        """
        if name not in self.names:
            raise InputError(
                f"{self.path} has no column {name!r} but {', '.join(self.names)}: "
                f"add {name}{{{unit}}} to the properties in the i-PI input"
            )
        index = self.names.index(name)
        if self.units[index] != unit:
            raise InputError(
                f"{self.path}: column {name!r} is in {self.units[index] or 'default units'}; "
                f"expected {unit}: request {name}{{{unit}}} in the i-PI input"
            )
        return self.values[:, index]


@dataclass(frozen=True)
class Frames:
    """Consecutive frames of a trajectory.

    Attributes
    ----------
    steps : ``(n_frames,)``, i-PI's step numbers (outer steps)
    values : ``(n_frames, n_atoms, 3)``, A for positions, A/fs for velocities
    cells : ``(n_frames, 3, 3)``, A, one lattice vector a row
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    cells: NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """A trajectory file and where its valid frames lie; holds 24 bytes a frame, not the frames.

    Attributes
    ----------
    path : the file
    quantity : ``positions`` or ``velocities``
    species : ``(n_atoms,)``, element symbols
    steps : ``(n_frames,)``, i-PI's step numbers, strictly rising
    spans : ``(n_frames, 2)``, first byte and number of bytes of each frame
    """

    path: Path
    quantity: str
    species: NDArray[np.str_]
    steps: NDArray[np.int64]
    spans: NDArray[np.int64]

    def blocks(self, n_frames: int, *, from_step: int = 0) -> Iterator[Frames]:
        """Frames from ``from_step`` on, ``n_frames`` at a time; the last block may be shorter.

        Raises
        ------
        InputError
            A frame that can't be read, or a value that isn't finite (with step and atom).
        """
        first = int(np.searchsorted(self.steps, from_step))
        with self.path.open("rb") as file:
            for start in range(first, len(self.steps), n_frames):
                chosen = slice(start, start + n_frames)
                frames = [self._frame(file, *span) for span in self.spans[chosen]]
                values, cells = zip(*frames, strict=True)
                block = Frames(self.steps[chosen], np.stack(values), np.stack(cells))
                self._require_finite(block)
                yield block

    def stride(self, from_step: int = 0) -> int:
        """Steps between frames from ``from_step`` on.

        Raises
        ------
        InputError
            Fewer than two frames there, or uneven steps.
        """
        steps = self.steps[self.steps >= from_step]
        gaps = np.unique(np.diff(steps))
        if len(gaps) != 1:
            found = "fewer than two frames" if len(gaps) == 0 else f"gaps of {gaps[:4]} steps"
            raise InputError(f"{self.path}: {found}; expected frames at one constant stride")
        return int(gaps[0])

    def _frame(
        self, file: BinaryIO, offset: int, size: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        file.seek(offset)
        _, comment, *lines = file.read(size).splitlines()
        match = _QUANTITY.search(comment)
        if match is None:
            raise InputError(f"{self.path}: {comment!r} lacks i-PI's 'positions{{unit}} cell{{}}'")
        quantity, unit, cell_unit = (word.decode() for word in match.groups())
        factor = _factor(self.path, quantity, unit)
        try:
            values = np.loadtxt([line.decode() for line in lines], usecols=(-3, -2, -1), ndmin=2)
        except ValueError as err:
            raise InputError(f"{self.path}: unreadable frame at byte {offset}: {err}") from err
        return values * factor, _cell(self.path, comment) * _factor(
            self.path, "positions", cell_unit
        )

    def _require_finite(self, block: Frames) -> None:
        bad = np.argwhere(~np.isfinite(block.values))
        if len(bad):
            frame, atom, _ = bad[0]
            raise InputError(
                f"{self.path}: {block.values[tuple(bad[0])]} at step {block.steps[frame]}, "
                f"atom {atom}; expected finite {self.quantity}: the run has blown up there"
            )


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
        values = values[_last_of_each(values[:, names.index("step")])]
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


def open_trajectory(path: Path) -> Trajectory:
    """Index an i-PI trajectory (``format='ase'`` or ``'xyz'``); one pass, one frame in memory.

    Cut frames are left out with a warning; of frames repeated by a resumed run the later count.

    Raises
    ------
    InputError
        No file, no frame, not i-PI's, or frames with different numbers of atoms.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; expected a trajectory written by i-PI")
    with path.open("rb") as file:
        found, n_cut = _index(path, file)
        if n_cut:
            log.warning("%s: %d cut frame(s) left out", path, n_cut)
        if not found:
            raise InputError(f"{path} holds no complete frame written by i-PI")
        frames = np.array(found, dtype=np.int64).reshape(-1, 3)  # (frame, step | byte | size)
        file.seek(frames[0, 1])
        _, comment, *lines = file.read(frames[0, 2]).splitlines()
    match = _QUANTITY.search(comment)
    if match is None:
        raise InputError(f"{path}: {comment!r} states no positions or velocities with a unit")
    species = np.array([line.split(maxsplit=1)[0].decode() for line in lines])
    frames = frames[_last_of_each(frames[:, 0])]
    return Trajectory(path, match[1].decode(), species, frames[:, 0], frames[:, 1:])


def _read_header(path: Path, line: str, header: dict[int, tuple[str, str]]) -> None:
    """Add the column(s) of one ``# column 3 --> temperature{kelvin} : help`` line."""
    match = _HEADER.match(line)
    if match is None:
        return
    first, last = int(match[1]), int(match[2] or match[1])
    for number in range(first, last + 1):
        name = match[3] if match[2] is None else f"{match[3]}[{number - first}]"
        column = (name, match[4] or "")
        if header.setdefault(number, column) != column:
            raise InputError(
                f"{path}: column {number} is {header[number][0]!r} and later {name!r}; "
                "expected one header: don't append a run to another one's file"
            )


def _last_of_each(steps: NDArray) -> NDArray[np.bool_]:
    """Rows that no later row replaces: those with a step before every later row's step."""
    later = np.minimum.accumulate(steps[::-1])[::-1]
    return np.append(steps[:-1] < later[1:], True)


def _index(path: Path, file: BinaryIO) -> tuple[array[int], int]:
    """Step, first byte and size of each complete frame in turn, and the number of cut frames."""
    found = array("q")  # three numbers a frame: a list of tuples would take ten times as much
    n_cut, position, count = 0, 0, file.readline()
    n_atoms = _atom_count(path, count)
    while count:
        if not count.strip().isdigit():  # what follows a cut frame, up to the next whole one
            position += len(count)
            count = file.readline()
            continue
        comment = file.readline()
        if int(count) != n_atoms:
            raise InputError(
                f"{path}: a frame of {int(count)} atoms after frames of {n_atoms} "
                f"(byte {position}); expected one number of atoms throughout"
            )
        lines = list(islice(file, n_atoms))
        size = len(count) + len(comment) + sum(map(len, lines))
        following = file.readline()
        step = _STEP.search(comment)
        whole = len(lines) == n_atoms and lines[-1].endswith(b"\n")
        if whole and step and (not following or following.strip().isdigit()):
            found.extend((int(step[1]), position, size))
        else:
            n_cut += 1
        position, count = position + size, following
    return found, n_cut


def _atom_count(path: Path, line: bytes) -> int:
    if not line.strip().isdigit():
        raise InputError(f"{path} begins with {line[:40]!r}; expected a number of atoms")
    return int(line)


def _factor(path: Path, quantity: str, unit: str) -> float:
    factors = _FACTORS[quantity]
    if unit not in factors:
        raise InputError(
            f"{path}: {quantity} in {unit!r}; expected one of {', '.join(factors)}: "
            "state the unit in the i-PI input"
        )
    return factors[unit]


def _cell(path: Path, comment: bytes) -> NDArray[np.float64]:
    """Lattice vectors as rows, ``(3, 3)``, in the file's unit."""
    lattice, abc = _LATTICE.search(comment), _ABC.search(comment)
    if lattice:
        return np.array(lattice[1].split(), dtype=float).reshape(3, 3)
    if abc:
        return _rows_of_lengths_and_angles(*(float(word) for word in abc[1].split()))
    raise InputError(f"{path}: no cell in {comment[:80]!r}; expected Lattice=... or CELL(abcABC)")


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
