"""Whether a captured graph may be used: what it is captured at, checked at, and what must agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ncforce_ipi.backend import Evaluation, Structure

from . import conversion
from .pairlist import PairList, find_pairs

ROUNDING = {"float32": 1e-5, "float64": 1e-11}  # of sums in another order, relative


def disagreement(found: Evaluation, expected: Evaluation, dtype: str) -> str:
    """'' if the two are equal up to rounding; else what differs, and by how much.

    What is expected but NaN (a virial without a cell) isn't compared.
    """
    rounding = ROUNDING[dtype]
    n, largest = len(expected.forces), float(np.abs(expected.forces).max())
    allowed = {  # sums over all atoms: of energies of some eV, of forces times lengths of some A
        "forces": rounding * (largest + 1.0),
        "energy": rounding * (abs(expected.energy) + n),
        "virial": rounding * n * (largest + 1.0),
    }
    for name, most in allowed.items():
        theirs = np.asarray(getattr(expected, name))
        there = np.isfinite(theirs)
        apart = np.abs(np.asarray(getattr(found, name)) - theirs)[there]
        if not (apart <= most).all():  # NaN is none of it
            return f"{name} differ by {apart.max():.2g}, more than rounding ({most:.2g})"
    return ""


def representable(structure: Structure) -> Structure:
    """The structure, moved by some 1e-7 A, so that float32 can hold it: what is compared then is
    the network, not the rounding of positions by which the model through metatomic differs."""
    positions = conversion.at_home(structure).astype(np.float32).astype(np.float64)
    cell = structure.cell.astype(np.float32).astype(np.float64)
    return Structure(structure.numbers, positions, cell)


def elsewhere(
    structures: Sequence[Structure], cutoff: float
) -> tuple[list[Structure], list[PairList]]:
    """Other positions, and their pairs: what a graph is captured at."""
    random = np.random.default_rng(0)
    moved = [
        Structure(s.numbers, s.positions + 0.01 * random.normal(size=s.positions.shape), s.cell)
        for s in structures
    ]
    return moved, [find_pairs(each, cutoff, 0.0) for each in moved]
