"""Wall time: a limit as schedulers write it, and when a run must stop to be gone before it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ncforce_ipi.errors import InputError

FORMS = "MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS[:MINUTES[:SECONDS]]"
UNLIMITED = {"UNLIMITED", "INFINITE"}
NUMBER = r"(\d{1,9})"
DAYS = re.compile(f"{NUMBER}-{NUMBER}(?::{NUMBER})?(?::{NUMBER})?")
CLOCK = re.compile(f"(?:{NUMBER}:)?{NUMBER}:{NUMBER}")
LEAST_S, PART, MOST_S = 10.0, 0.1, 120.0  # of the limit, for the end of i-PI and of drivers
STEPS = 3  # i-PI ends the step that it is in, which may be a long one


def seconds_of(text: str) -> float:
    """Seconds of a time as Slurm's ``--time`` takes it and ``squeue`` shows it; inf for no limit.

    Raises
    ------
    InputError
        It is none, or zero.
    """
    if text.strip().upper() in UNLIMITED:
        return float("inf")
    seconds = _seconds(text.strip())
    if not seconds:
        raise InputError(f"time limit: expected {FORMS} or UNLIMITED, got {text[:40]!r}")
    return float(seconds)


def _seconds(text: str) -> int:
    if re.fullmatch(NUMBER, text):
        return 60 * int(text)
    if found := DAYS.fullmatch(text):
        days, hours, minutes, seconds = (int(number or 0) for number in found.groups())
    elif found := CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(number or 0) for number in found.groups())
        days = 0
    else:
        return 0
    return ((24 * days + hours) * 60 + minutes) * 60 + seconds


def written(seconds: float) -> str:
    """A time as Slurm shows it, ``1-02:03:04``; UNLIMITED for inf."""
    if seconds == float("inf"):
        return "UNLIMITED"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}-" * bool(days) + f"{hours:02d}:{minutes:02d}:{rest:02d}"


def spare_s(limit_s: float) -> float:
    """Seconds before a limit at which a run begins to stop, besides those for its steps."""
    return min(MOST_S, max(LEAST_S, PART * limit_s))


def process_age_s() -> float:
    """Seconds since this process was started, where /proc says it; else 0.

    On a busy machine or a slow file system Python's imports take long, and a job's time runs.
    """
    try:
        started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        return max(0.0, now_s - int(started) / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError, IndexError, ValueError):
        return 0.0


@dataclass(frozen=True)
class TimeLimit:
    """Wall time from now on, or from an earlier moment.

    Attributes
    ----------
    seconds : from ``begun_s`` on; inf for no limit
    begun_s : of the clock
    """

    seconds: float = float("inf")
    clock: Callable[[], float] = time.monotonic
    begun_s: float = field(default=-1.0)

    def __post_init__(self) -> None:
        if self.begun_s < 0:
            object.__setattr__(self, "begun_s", self.clock())

    @classmethod
    def of_this_process(cls, text: str) -> TimeLimit:
        """As ``--time-limit`` gives it: from the start of the process on."""
        return cls(seconds_of(text), begun_s=time.monotonic() - process_age_s())

    @property
    def left_s(self) -> float:
        """Seconds until the limit."""
        return self.begun_s + self.seconds - self.clock()

    def is_near(self, step_s: float) -> bool:
        """Whether a run whose outer steps take this long must stop now."""
        return self.left_s < spare_s(self.seconds) + STEPS * step_s

    def __str__(self) -> str:
        return written(self.seconds)
