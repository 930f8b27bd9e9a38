"""Keeps a run against a loss of power: a checkpoint that is on the disk, with all that leads to it.

i-PI writes its checkpoints over the older ones and leaves it to the system when they reach the
disk, which may be half a minute later.  So the launcher makes the outputs durable now and then, and
after them a copy of a checkpoint that they reach.  The first one is made as soon as there is one to
copy: on a disk that fills up i-PI's own may all be of a step whose outputs found no room.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

from ncforce_ipi import durable
from ncforce_ipi.launch.directory import claim, resume
from ncforce_ipi.rundir import LOGS, SAFE_FILE, WRITTEN_BY_IPI

log = logging.getLogger(__name__)

KEEP_S = 30.0  # at least, between two copies
AGAIN_S = 1.0  # where no checkpoint is ready
FIRST_S = 0.1  # likewise, before the first copy
QUIET_S = 0.05  # after the last write of a file; longer than the clock of a file system ticks
FILES = WRITTEN_BY_IPI[1:]  # the latest, and one that a quick run writes less often


@dataclass
class Keeper:
    """Of the run in a directory."""

    directory: Path
    next_s: float = 0.0
    kept: int = -1
    old: dict[Path, tuple[int, int, int]] = field(default_factory=dict)  # not to be read again

    def look(self) -> None:
        """To be called often; does something every ``KEEP_S`` seconds."""
        if time.monotonic() < self.next_s:
            return
        self.next_s = time.monotonic() + (AGAIN_S if self.kept > 0 else FIRST_S)
        try:
            step = self._keep()
        except OSError as err:  # a full disk: the run goes on, and ends by itself if it must
            log.debug("no checkpoint was kept: %s", err)
            return
        if step > max(self.kept, 0):
            self.next_s = time.monotonic() + KEEP_S
        self.kept = max(step, self.kept)

    def _keep(self) -> int:
        """The step of the checkpoint that is safe now; -1 if there is none yet."""
        steps = (self._copied(self.directory / name) for name in FILES)
        return next((step for step in steps if step >= 0), -1)

    def _copied(self, path: Path) -> int:
        """The step of a checkpoint that was worth it; -1 of another."""
        if not path.is_file() or time.time() - path.stat().st_mtime < QUIET_S:
            return -1
        before = _written(path)
        if before == self.old.get(path):
            return -1
        text = path.read_text(encoding="utf-8", errors="replace")
        if _written(path) != before:  # i-PI has begun to write a newer one
            return -1
        found = resume.parsed(path, text)
        if found and found.step <= self.kept:
            self.old[path] = before
            return -1
        if not found or found.first_short(max(self.kept, -1)):
            return -1
        for output in found.outputs:
            durable.sync(output.path)
        durable.write_text(self.directory / SAFE_FILE, text)
        return found.step


def _written(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written, unlike the time of its reading."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def settle(directory: Path) -> None:
    """Make all files of a run that has ended durable, before its record says so."""
    for path in (*claim.run_files(directory), *(directory / LOGS).glob("*"), directory):
        if path.exists():
            try:
                durable.sync(path)
            except OSError as err:
                log.warning("%s may not be on the disk: %s", path, err.strerror)
