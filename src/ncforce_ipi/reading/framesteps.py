"""Which frames of a file count, and when they were: steps, times, and what was written twice.

Owns the rules for runs that were resumed, appended or written twice.  A resumed run writes the
steps after its checkpoint again: the later ones count.  A file whose steps begin again holds two
runs and is refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.commentline import counts_in, time_of
from ncforce_ipi.reading.frameindex import Index
from ncforce_ipi.reading.once import warn

MOST_TIMES = 512  # frames whose time is compared with their step
TAIL_BYTES = 256  # of a frame, by which two that are the same are noticed
MOST_COMPARED = 64  # frames whose ends are alike: atoms that never move may be there
MOST_DOUBLED = 0.1  # of the frames: where more are the same, nothing moves
RISING = 0.9  # of the numbers of frames that count steps: a resumed run goes back
EVEN = 0.1  # of the time between frames: printed times are rounded


@dataclass(frozen=True)
class Counted:
    """The frames that count.

    Attributes
    ----------
    steps : ``(n_frames,)``, strictly rising
    spans : ``(n_frames, 3)``, see `frameindex.Index`
    numbered : whether the steps are the file's own; else they count frames from 0
    time_per_step : by the file's own times, in its unit; None where it says none
    time_unit : ``fs``, ``ps``, or None where the key doesn't say it
    """

    steps: NDArray[np.int64]
    spans: NDArray[np.int64]
    numbered: bool
    time_per_step: float | None
    time_unit: str | None


def frames_that_count(path: Path, file: BinaryIO, index: Index) -> Counted:
    """Leave out what a resumed run wrote again, and find how long a step is.

    Raises
    ------
    InputError
        The steps or times begin again, or are there twice throughout.
    """
    steps, spans, numbered = index.steps, index.spans, index.numbered
    if numbered and len(steps) > 2 and steps.min() == steps.max():
        warn(path, f"all {len(steps)} frames say step {steps[0]}: counted from 0")
        steps, numbered = np.arange(len(steps)), False
    elif not numbered and (counts := _counts(file, spans)) is not None:
        steps, numbered = counts, True
        _say_counts(path, steps)
    if numbered:
        kept = of_one_run(path, steps)
        unit, slope = _time_of_steps(path, file, steps[kept], spans[kept])
        return Counted(steps[kept], spans[kept], True, slope, unit)
    unit, times = _times(file, spans)
    if times is not None and times.min() < times.max():
        steps, slope = _counted_by_time(path, times)
        kept = of_one_run(path, steps)
        return Counted(steps[kept], spans[kept], False, slope, unit)
    kept = _without_doubles(path, file, spans)
    return Counted(np.arange(kept.sum()), spans[kept], False, None, None)


def last_of_each(steps: NDArray) -> NDArray[np.bool_]:
    """Rows that no later row replaces: those with a step before every later row's step."""
    later = np.minimum.accumulate(steps[::-1])[::-1]
    return np.append(steps[:-1] < later[1:], True)


def of_one_run(path: Path, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows that count; InputError where the file holds more than one run."""
    gaps = np.diff(steps)
    doubled = int((gaps == 0).sum())
    if doubled > 1 and doubled >= len(np.unique(steps)) / 2:
        raise InputError(
            f"{path}: {doubled} steps are there twice in a row, the first is "
            f"{steps[:-1][gaps == 0][0]}; expected one frame of a step: "
            "are these two beads or two systems in one file?"
        )
    again = np.flatnonzero((gaps <= 0) & (steps[1:] <= steps[0]) & (np.arange(len(gaps)) > 0))
    if len(again):
        first = int(again[0]) + 1
        raise InputError(
            f"{path}: step {steps[first]} comes after step {steps[first - 1]} (frame {first} from "
            f"0), so that the steps begin again: two runs in one file; split it there"
        )
    kept = last_of_each(steps)
    lost = np.setdiff1d(steps[~kept], steps[kept])
    if len(lost):
        warn(
            path,
            f"{len(lost)} frames of steps {lost[0]} to {lost[-1]} left out: later ones in the file "
            "go on from an earlier step, as a resumed run does",
        )
    return kept


def _counts(file: BinaryIO, spans: NDArray) -> NDArray[np.int64] | None:
    """Steps ``(n_frames,)`` by words that may mean something else: numbers that rise are steps."""
    rows: list[list[int]] = []
    for offset, n_head, _ in spans.tolist():
        head = os.pread(file.fileno(), n_head, offset)
        rows.append(counts_in(head.partition(b"\n")[2]))
        if not rows[-1] or len(rows[-1]) != len(rows[0]):
            return None
    for numbers in np.array(rows, dtype=np.int64).T if len(rows) > 1 else ():
        if (np.diff(numbers) > 0).mean() >= RISING:
            return np.ascontiguousarray(numbers)
    return None


def _say_counts(path: Path, steps: NDArray[np.int64]) -> None:
    stride = int(np.median(np.diff(steps)))
    if stride != 1:
        warn(
            path,
            f"comment lines count steps ({steps[0]}, {steps[1]}, ...), {stride} between frames: "
            "--timestep-fs is the time of one of these",
        )


def _times(file: BinaryIO, spans: NDArray) -> tuple[str | None, NDArray[np.float64] | None]:
    """Unit and times ``(n_frames,)`` by the comment lines; None unless all say one."""
    times = np.empty(len(spans))
    unit = None
    for row, (offset, n_head, _) in enumerate(spans):
        head = os.pread(file.fileno(), int(n_head), int(offset))
        found = time_of(head)
        if found is None:
            return None, None
        times[row], unit = found
    return unit, times if np.isfinite(times).all() else None


def _time_of_steps(
    path: Path, file: BinaryIO, steps: NDArray, spans: NDArray
) -> tuple[str | None, float | None]:
    """Unit and time of a step, by up to `MOST_TIMES` frames that say both."""
    rows = np.unique(np.linspace(0, len(steps) - 1, MOST_TIMES).astype(int))
    unit, times = _times(file, spans[rows])
    if times is None or len(rows) < 2 or times[0] == times[-1]:
        return None, None
    first, steps = steps[0], steps[rows] - steps[0]
    slope = float((times[-1] - times[0]) / steps[-1])
    off = np.abs(times - times[0] - slope * steps)
    if off.max() > EVEN * abs(slope) * np.diff(steps).min():
        worst = int(off.argmax())
        warn(
            path,
            f"time= and step= don't fit together: time {times[worst]:g} at step "
            f"{first + steps[worst]}, expected {times[0] + slope * steps[worst]:g}: the times are "
            "not used",
        )
        return None, None
    return unit, slope


def _counted_by_time(path: Path, times: NDArray) -> tuple[NDArray[np.int64], float | None]:
    """Frames counted by their times, so that gaps and repetitions are seen; the time of a count."""
    gaps = np.diff(times)
    between = float(np.median(gaps[gaps > 0.0])) if (gaps > 0.0).any() else 1.0
    counts = np.rint(gaps / between)
    if np.abs(gaps / between - counts).max() > EVEN:
        warn(
            path,
            f"times are not evenly spaced ({gaps.min():g} to {gaps.max():g} between frames): "
            "frames are counted instead",
        )
        return np.arange(len(times)), None
    steps = np.append(0, np.cumsum(counts)).astype(np.int64)
    return steps, float((times[-1] - times[0]) / steps[-1]) if steps[-1] > 0 else between


def _without_doubles(path: Path, file: BinaryIO, spans: NDArray) -> NDArray[np.bool_]:
    """Rows that count where nothing numbers them: one of two that follow each other and agree."""
    tails = [_tail(file, *span) for span in spans.tolist()]
    same = np.array([a == b for a, b in pairwise(tails)], dtype=bool)
    kept = np.append(~same, True) if len(spans) > 1 else np.ones(len(spans), dtype=bool)
    if not 0 < same.sum() <= min(max(MOST_DOUBLED * len(spans), 1), len(spans) - 2):
        kept[:] = True
    for row in np.flatnonzero(~kept):
        kept[row] = _body(file, spans[row]) != _body(file, spans[row + 1])
    if not kept.all():
        warn(
            path,
            f"{(~kept).sum()} frame(s) left out that are there twice, one after the other, the "
            f"first at byte {spans[~kept][0, 0]}",
        )
    _say_repetition(path, file, spans[kept], [t for t, k in zip(tails, kept, strict=True) if k])
    return kept


def _say_repetition(path: Path, file: BinaryIO, spans: NDArray, tails: list[int]) -> None:
    """Warn of the first frame that is there again later, as where runs were put together."""
    rows: dict[int, int] = {}
    n_compared = 0
    for row, tail in enumerate(tails):
        first = rows.setdefault(tail, row)
        if first >= row - 1 or (n_compared := n_compared + 1) > MOST_COMPARED:
            continue
        if _body(file, spans[first]) == _body(file, spans[row]):
            warn(
                path,
                f"frame {row} is frame {first} again (from 0): are these two runs, or a resumed "
                "one, in one file? nothing in it numbers the frames",
            )
            return


def _tail(file: BinaryIO, offset: int, n_head: int, n_bytes: int) -> int:
    """Of the end of a frame's text."""
    n_tail = min(TAIL_BYTES, n_bytes - n_head)
    return hash(os.pread(file.fileno(), n_tail, offset + n_bytes - n_tail))


def _body(file: BinaryIO, span: NDArray) -> bytes:
    offset, n_head, n_bytes = (int(number) for number in span)
    return os.pread(file.fileno(), n_bytes - n_head, offset + n_head)
