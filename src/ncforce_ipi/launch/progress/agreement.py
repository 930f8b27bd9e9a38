"""How much slow and fast force disagree in a run: running numbers, and whether that is too much.

Owns the running root mean square and the rule by which it leaves the band of a model's card.  The
rows come from i-PI's process (`disagreement`), in a file that grows.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ncforce_ipi.launch.directory.tails import last_step
from ncforce_ipi.launch.progress.follower import Growing
from ncforce_ipi.models.card import Band
from ncforce_ipi.rundir import DISAGREEING_FILE, DISAGREEMENT_FILE, Record

log = logging.getLogger(__name__)

RUNNING = 25  # outer points
FEWEST = 5  # one point alone says little
WHAT = "slow - fast"
RECORDED = "slow_minus_fast"  # in run.json


@dataclass
class Agreement:
    """Reads the rows of slow - fast as they come.

    Attributes
    ----------
    path : of the rows; there is none in a run of one force
    band : of the fast model's card, if it has one
    stops : whether a run ends where the running number leaves the band
    outside : whether it is beyond the band now
    reason : one line, once it left the band while we watched; empty before
    largest : largest running root mean square, eV/A
    """

    path: Path
    band: Band | None = None
    stops: bool = False
    outside: bool = False
    reason: str = ""
    largest: float = 0.0
    n: int = 0
    _sum: float = 0.0
    _last: deque[float] = field(default_factory=lambda: deque(maxlen=RUNNING))
    _lines: Growing | None = None

    @property
    def running(self) -> float:
        """Root mean square of slow - fast over the last outer points, eV/A; NaN without any."""
        return math.sqrt(sum(self._last) / len(self._last)) if self._last else math.nan

    @property
    def whole(self) -> float:
        """Over the whole run, eV/A; NaN without any."""
        return math.sqrt(self._sum / self.n) if self.n else math.nan

    def skip_old(self) -> None:
        """Take what is there already: nobody is told of it again."""
        for _ in self._new():
            pass

    def update(self) -> None:
        """Take new rows; say once where the running number leaves the band."""
        was = self.outside
        for step in self._new():
            if self.outside and not was and not self.reason:
                self._say(step)
            was = self.outside

    def _say(self, step: int) -> None:
        if self.band is None:
            return
        self.reason = (
            f"{WHAT} is {self.running:.3g} eV/A over the last {len(self._last)} outer steps up to "
            f"step {step}; the card of the fast model says {self.band.expected:.3g}, at most "
            f"{self.band.upper:.3g} eV/A"
        )
        kept = self.path.parent / DISAGREEING_FILE
        log.warning("%s: the system is where it wasn't trained; see %s", self.reason, kept)

    def _new(self) -> Iterator[int]:
        """Take new rows one by one; their steps."""
        self._lines = self._lines or Growing(self.path)
        for line in self._lines.new():
            numbers = [] if line.startswith(b"#") else line.split()
            with suppress(ValueError, IndexError):  # no run ends because nobody can read of it
                square, step = float(numbers[2]) ** 2, int(float(numbers[0]))
                self._add(square)
                yield step

    def _add(self, square: float) -> None:
        self.n += 1
        self._sum += square
        self._last.append(square)
        if len(self._last) >= FEWEST:
            self.largest = max(self.largest, self.running)
            self.outside = self.band is not None and self.running > self.band.upper

    def record(self, before: Record) -> Record:
        """For ``run.json``: what stands there already, the band, and the numbers so far."""
        if not self.n:
            return before
        kept = self.path.parent / DISAGREEING_FILE
        return before | {
            "rms_eV_per_A": self.whole,
            "last_eV_per_A": self.running,
            "largest_running_eV_per_A": self.largest or self.running,
            "frames_kept": last_step(kept) >= 0,
        }


def words(found: Sequence[Agreement]) -> str:
    """For the line of a running program: of replicas the mean, and the largest."""
    values = [one.running for one in found if one.n]
    if not values:
        return ""
    most = f" (at most {max(values):.3g})" if len(values) > 1 else ""
    return f"{WHAT} {sum(values) / len(values):.3g}{most} eV/A"


def agreement_of(directory: Path, record: Record, *, stops: bool) -> Agreement:
    """Of a run; its band is that of the card when it began."""
    return Agreement(directory / DISAGREEMENT_FILE, band_of(record), stops)


def band_of(record: Record) -> Band | None:
    """That of the card when the run began; None without one."""
    band = record.get(RECORDED, {}).get("band")
    return Band(band["expected"], band["upper"]) if band else None
