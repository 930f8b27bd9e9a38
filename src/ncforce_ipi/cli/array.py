"""Arrays of Slurm jobs, whose indices are seeds: no two of their runs may be the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from ncforce_ipi.errors import InputError

PART = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?")
MOST = 100_000  # indices that are looked at; Slurm takes fewer


def check_array(text: str, n_seeds: int, *, is_random: bool) -> None:
    """Refuse an array of which two runs would be the same.

    Parameters
    ----------
    text : ``1-20``, ``1-20:4``, ``1,5,9``, with ``%5`` for five jobs at a time
    n_seeds : that each job takes, from its index on
    is_random : whether a seed makes a difference

    Raises
    ------
    InputError
        Seeds are there twice, or make no difference.
    """
    if not is_random:
        raise InputError(
            "--array gives each run its index as seed, and from the same velocities at constant "
            "energy all are the same run; leave --velocities out, or take a thermostat"
        )
    near = min((b - a for a, b in pairwise(sorted(_indices(text)))), default=n_seeds)
    if near < n_seeds:
        raise InputError(
            f"--array {text}: each job takes {n_seeds} seeds, from its index on, so that jobs "
            f"have the same ones; take one index in {n_seeds}: --array "
            f"1-{3 * n_seeds + 1}:{n_seeds} is four jobs"
        )


def _indices(text: str) -> Iterator[int]:
    """All of them; none of what isn't written as Slurm wants it, which is refused elsewhere."""
    for part in text.partition("%")[0].split(","):
        if match := PART.fullmatch(part):
            first = int(match[1])
            found = range(first, int(match[2] or first) + 1, int(match[3] or 1) or 1)
            yield from found[:MOST]
