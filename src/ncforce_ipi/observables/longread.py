"""Words on what takes long: how far the reading of a trajectory, and the work on it, has come."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from ncforce_ipi.reading.trajectory import Frames, Trajectory

log = logging.getLogger(__name__)
EVERY_S = 10.0


def reported(trajectory: Trajectory, n_frames: int) -> Iterator[Frames]:
    """Frames, ``n_frames`` at a time; a message every ten seconds that it takes."""
    start_s = last_s = time.monotonic()
    done, total = 0, len(trajectory.steps)
    for block in trajectory.blocks(n_frames):
        yield block
        done += len(block.steps)
        now_s = time.monotonic()
        if now_s - last_s >= EVERY_S and done < total:
            left_s = (now_s - start_s) * (total - done) / done
            log.info("%s: %d of %d frames, %.0f s to go", trajectory.path, done, total, left_s)
            last_s = now_s
