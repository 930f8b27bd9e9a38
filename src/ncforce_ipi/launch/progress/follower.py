"""What a run has done so far, read from i-PI's ``simulation.out`` while it grows."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from ncforce_ipi.errors import RunError
from ncforce_ipi.reading.properties import header_columns

COLUMNS = (
    ("step", ""),
    ("time", "picosecond"),
    ("conserved", "electronvolt"),
    ("temperature", "kelvin"),
)


@dataclass(frozen=True)
class Row:
    """One line of ``simulation.out``."""

    step: int
    time_ps: float
    conserved_eV: float
    temperature_K: float

    @property
    def finite(self) -> bool:
        """Whether energy and temperature are numbers."""
        return math.isfinite(self.conserved_eV) and math.isfinite(self.temperature_K)


@dataclass
class RunningLine:
    """Slope of a straight line through points that come one by one; memory doesn't grow.

    Sums of deviations from the first point and from the running means (Welford), so that a large
    constant energy doesn't cost digits.
    """

    n: int = 0
    origin: float = 0.0
    mean_x: float = 0.0
    mean_y: float = 0.0
    s_xx: float = 0.0
    s_xy: float = 0.0

    def add(self, x: float, y: float) -> None:
        """Take one more point."""
        if self.n == 0:
            self.origin = y
        y -= self.origin
        self.n += 1
        dx = x - self.mean_x
        self.mean_x += dx / self.n
        self.mean_y += (y - self.mean_y) / self.n
        self.s_xx += dx * (x - self.mean_x)
        self.s_xy += dx * (y - self.mean_y)

    @property
    def slope(self) -> float:
        """dy/dx; NaN with fewer than two different x."""
        return self.s_xy / self.s_xx if self.s_xx > 0 else math.nan


class Growing:
    """A text file to which somebody appends; an unfinished line waits."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def new(self) -> list[bytes]:
        """Whole lines that came since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        end = text.rfind(b"\n") + 1
        self._offset += end
        return text[:end].splitlines()


@dataclass
class Follower:
    """Reads the lines that i-PI has added since the last look; an unfinished line waits.

    Attributes
    ----------
    first, last : first and last row of the file so far
    fresh_step : step of the first row that was added while we watched (not read at the start)
    fresh_s, last_s : our clock when that row and the last one were seen, seconds
    """

    path: Path
    first: Row | None = None
    last: Row | None = None
    fresh_step: int | None = None
    fresh_s: float = 0.0
    last_s: float = field(default_factory=time.monotonic)
    line: RunningLine = field(default_factory=RunningLine)
    _lines: Growing | None = None
    _indices: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Last outer step that is done; 0 before the first."""
        return self.last.step if self.last else 0

    @property
    def step_s(self) -> float:
        """Seconds that an outer step took, as long as it is watched; 0 before there are two."""
        done = self.step - (self.fresh_step or 0)
        return (self.last_s - self.fresh_s) / done if done > 0 else 0.0

    def update(self) -> list[Row]:
        """Rows that are new since the last call."""
        self._lines = self._lines or Growing(self.path)
        rows = [self._row(line) for line in self._lines.new() if not self._is_header(line)]
        for row in rows:
            self.first = self.first or row
            self.line.add(row.time_ps, row.conserved_eV)
        if rows:
            self.last = rows[-1]
            self.last_s = time.monotonic()
            if self.fresh_step is None:
                self.fresh_step, self.fresh_s = rows[-1].step, self.last_s
        return rows

    def skip_old(self) -> None:
        """Take what is there already, without counting it as progress."""
        self.update()
        self.fresh_step = None

    def _is_header(self, line: bytes) -> bool:
        if not line.startswith(b"#"):
            return not line.strip()
        for number, column in header_columns(line.decode(errors="replace")).items():
            self._indices[column] = number - 1
        return True

    def _row(self, line: bytes) -> Row:
        numbers = line.split()
        try:
            step, time_ps, conserved_eV, temperature_K = (
                float(numbers[self._indices[column]]) for column in COLUMNS
            )
            return Row(int(step), time_ps, conserved_eV, temperature_K)
        except (KeyError, IndexError, ValueError) as err:
            raise RunError(
                f"{self.path} has a line {line[:40].decode(errors='replace')!r} after step "
                f"{self.step}; expected i-PI's columns step, time, conserved and temperature"
            ) from err
