"""Lennard-Jones atoms of the size of a hydrogen, so that water molecules don't explode."""

import json
from pathlib import Path

from tests.drivers import Case

SMALL = {"sigma_A": 1.0, "epsilon_eV": 0.1, "cutoff_A": 3.0, "swirl_eV_per_A2": 0.05}


def words(directory: Path, dtype: str) -> list[str]:
    """The model by name, its parameters on the command line."""
    return ["--model", "lennard-jones", "--arguments", json.dumps(SMALL)]


CASES = (
    Case(
        "analytic",
        "lennard-jones",
        "",
        words,
        frozenset(["conservative", "direct"]),
        dtypes=("float64",),
        says_species=False,
    ),
)
