"""What a driver has answered so far and since when it computes, in a small file beside its report.

The launcher reads it while the driver runs, and after it was killed.  An answer is counted before
it is sent: what a server has got is never more than what is counted.  A driver of several replicas
has a report, and so a pulse, for each: the answers are those of that replica, and it is busy while
a call goes on that is for that replica too.
"""

from __future__ import annotations

import os
import platform
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ncforce_ipi.backend import Role

LAYOUT = struct.Struct("<16sqqdd")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Beat:
    """One state of a driver.

    Attributes
    ----------
    machine : on which it runs; clocks and files of others say nothing here
    slow, fast : answers of each role
    busy_since_s : `time.monotonic` of the call of the model that goes on; 0 without one
    longest_s : the longest call of the model so far, seconds
    """

    machine: bytes = b""
    slow: int = 0
    fast: int = 0
    busy_since_s: float = 0.0
    longest_s: float = 0.0

    def answers(self, role: str) -> int:
        """Of this role."""
        return self.slow if role == "slow" else self.fast


class Pulse:
    """The file, as its driver writes it; without a path nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._beat = Beat(this_machine())
        self._file: int | None = None
        self.open()

    def open(self) -> None:
        """Write again after ``close``: counts go on from where they were."""
        if self._path is None or self._file is not None:
            return
        with suppress(OSError):  # who can't write it can still serve
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._write()

    def begins(self) -> None:
        """A call of the model."""
        self._beat = replace(self._beat, busy_since_s=time.monotonic())
        self._write()

    def answered(self, role: Role, n: int, n_evaluated: int = 1, at_most: int = 1) -> None:
        """The call has ended, and ``n`` answers of a role will be sent.

        Its structures of this pulse (``n_evaluated``) are fewer than a request may have
        (``at_most``) where beads are at one place, as at the start of a path integral, or
        remembered, or not all there.  The time is then counted as that of so many.
        """
        took_s = time.monotonic() - self._beat.busy_since_s
        took_s *= max(1.0, at_most / max(1, n_evaluated))
        self._beat = replace(
            self._beat,
            slow=self._beat.slow + n * (role == "slow"),
            fast=self._beat.fast + n * (role == "fast"),
            busy_since_s=0.0,
            longest_s=max(self._beat.longest_s, took_s),
        )
        self._write()

    def close(self) -> None:
        """Leave the file with the last state."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self) -> None:
        if self._file is None:
            return
        try:
            os.pwrite(self._file, LAYOUT.pack(*vars(self._beat).values()), 0)
        except OSError:  # a full disk: rather no counts than old ones
            with suppress(OSError):
                os.ftruncate(self._file, 0)
            self.close()


def live_file(report: Path) -> Path:
    """Where a driver with this report writes its pulse."""
    return report.with_suffix(".live")


def read(path: Path) -> Beat | None:
    """The last state that a driver of this machine wrote there; None where it can't be known."""
    try:
        beat = Beat(*LAYOUT.unpack(path.read_bytes()))
    except (OSError, struct.error):
        return None
    return beat if beat.machine == this_machine() else None


def this_machine() -> bytes:
    """Sixteen bytes that no other machine has."""
    try:
        text = BOOT_ID.read_text()
    except OSError:
        text = platform.node()
    return text.encode()[:16].ljust(16, b"\0")
