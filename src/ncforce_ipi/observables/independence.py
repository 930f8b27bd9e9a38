"""Whether runs that are averaged as replicas are independent: error bars say so.

Owns two questions: is a run there twice, and did two draw the same random numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations, islice
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.source import Source
from ncforce_ipi.reading.directory import trajectories
from ncforce_ipi.reading.properties import is_properties

log = logging.getLogger(__name__)
COMPARED_BYTES = 4096
FEWEST_ROWS = 3  # or frames


def require_independent(sources: Sequence[Source]) -> None:
    """Refuse a run that is there twice; say where two runs have one seed.

    Runs of one seed have the same start velocities, and their thermostats draw the same random
    numbers in turn.  A global thermostat (SVR) then moves the temperatures of both alike, whatever
    else differs between them.

    Raises
    ------
    InputError
        The same path twice, or files with the same numbers.
    """
    for one, other in combinations(sources, 2):
        if _same(one, other):
            raise InputError(
                f"{one.path} and {other.path} hold the same numbers: one run is there twice, and "
                "error bars would be too small; leave one out, and give replicas a --seed of "
                "their own"
            )
    seeds: dict[int, Source] = {}
    for source in sources:
        seed = _drawn_with(source.metadata.record)
        if seed is None or source.directory in [one.directory for one in seeds.values()]:
            continue
        if seed in seeds:
            log.warning(
                "%s and %s have the same seed, %s: start velocities and thermostat drew the same "
                "random numbers, so that error bars are too small; give replicas a --seed of "
                "their own",
                seeds[seed].path, source.path, seed,
            )  # fmt: skip
            return
        seeds[seed] = source


def _drawn_with(record: Mapping[str, Any]) -> int | None:
    """The seed of a run's velocities or thermostat; None where nothing was drawn, or is known."""
    isolated = (record.get("ensemble") or {}).get("name") == "nve"
    seed = record.get("seed")
    return None if seed is None or (isolated and record.get("velocities")) else int(seed)


def _same(one: Source, other: Source) -> bool:
    """Whether both are one run, or one of them is the beginning of the other."""
    if one.path.resolve() == other.path.resolve():
        return True
    files = [_numbers_of(source) for source in (one, other)]
    if None in files:
        return False
    shorter, longer = sorted(filter(None, files), key=lambda file: file.stat().st_size)
    size = shorter.stat().st_size
    if _bytes_before(shorter, size) != _bytes_before(longer, size):
        return False
    return not _just_begun(shorter)


def _numbers_of(source: Source) -> Path | None:
    """The file that tells a run from others: a given one, its properties, or a trajectory."""
    if source.path.is_file():
        return source.path
    found = source.properties_files or trajectories(source.path)
    return found[0] if found else None


def _just_begun(file: Path) -> bool:
    """Whether there is little more than a start, which replicas may well have in common."""
    with file.open("rb") as stream:
        if is_properties(file):
            rows = (line for line in stream if not line.startswith(b"#"))
            return sum(1 for _ in islice(rows, FEWEST_ROWS)) < FEWEST_ROWS
        first = stream.readline().strip()
        if not first.isdigit():
            return False
        frame = len(first) + sum(len(line) for line in islice(stream, int(first) + 1))
        return file.stat().st_size < FEWEST_ROWS * frame


def _bytes_before(file: Path, end: int) -> bytes:
    """The last bytes of the first ``end`` ones."""
    with file.open("rb") as stream:
        stream.seek(max(0, end - COMPARED_BYTES))
        return stream.read(min(end, COMPARED_BYTES))
