"""Keeps a run against a loss of power: a checkpoint that is on the disk, with all that leads to it.

i-PI writes its checkpoints over the older ones and leaves it to the system when they reach the
disk, which may be half a minute later.  So the launcher makes the outputs durable now and then, and
after them a copy of a checkpoint that they reach.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from ncforce_ipi import durable
from ncforce_ipi.launch.directory import claim, resume
from ncforce_ipi.rundir import LOGS, SAFE_FILE, WRITTEN_BY_IPI

log = logging.getLogger(__name__)

KEEP_S = 30.0  # at least, between two copies
AGAIN_S = 1.0  # where the checkpoint isn't ready
QUIET_S = 0.05  # after the last write of a file; longer than the clock of a file system ticks
FILE = WRITTEN_BY_IPI[1]


@dataclass
class Keeper:
    """Of the run in a directory."""

    directory: Path
    next_s: float = 0.0
    kept: int = -1

    def look(self) -> None:
        """To be called often; does something every ``KEEP_S`` seconds."""
        if time.monotonic() < self.next_s:
            return
        self.next_s = time.monotonic() + AGAIN_S
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
        path = self.directory / FILE
        if not path.is_file() or time.time() - path.stat().st_mtime < QUIET_S:
            return -1
        before = path.stat()
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.stat() != before:  # i-PI has begun to write a newer one
            return -1
        found = resume.parsed(path, text)
        if not found or found.step <= self.kept or found.first_short(max(self.kept, -1)):
            return -1
        for output in found.outputs:
            durable.sync(output.path)
        durable.write_text(self.directory / SAFE_FILE, text)
        return found.step


def settle(directory: Path) -> None:
    """Make all files of a run that has ended durable, before its record says so."""
    for path in (*claim.run_files(directory), *(directory / LOGS).glob("*"), directory):
        if path.exists():
            try:
                durable.sync(path)
            except OSError as err:
                log.warning("%s may not be on the disk: %s", path, err.strerror)
