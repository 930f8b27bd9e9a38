"""Which file of a run directory holds what: by the words in it, not by its name."""

from __future__ import annotations

from pathlib import Path

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.trajectory import Trajectory, open_trajectory
from ncforce_ipi.rundir import STRUCTURE_FILE, VELOCITIES_FILE

STARTS = (STRUCTURE_FILE, VELOCITIES_FILE)
PATTERNS = ("*.extxyz", "*.xyz")
CENTROIDS = {"positions": "x_centroid", "velocities": "v_centroid"}
_INSTEAD = {"velocities": ("vel", "velo", "momenta"), "positions": ("pos",), "forces": ("force",)}
_HEADER = b"# column"


def trajectories(directory: Path) -> list[Path]:
    """Files that may be trajectories, by their names; what a run of ours starts from is none."""
    found = (path for pattern in PATTERNS for path in directory.glob(pattern))
    return sorted(path for path in found if path.name not in STARTS)


def trajectory_in(directory: Path, quantity: str) -> Path:
    """The file of a directory that holds the quantity, the centroid's of a path integral first.

    Raises
    ------
    InputError
        None, or several of the same rank.
    """
    words = (CENTROIDS.get(quantity, quantity), quantity, *_INSTEAD.get(quantity, ()))
    files = trajectories(directory)
    for word in words:
        found = [path for path in files if _mentions(path, word)]
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise InputError(f"{directory} holds {word} in {names}; give one of these files")
        if found:
            return found[0]
    raise InputError(f"{directory} holds no trajectory of {quantity}; give the file itself")


def properties_beside(path: Path) -> Path | None:
    """The properties file of a directory, or with the prefix of a trajectory; None without one.

    i-PI calls its files ``prefix.name``.
    """
    if path.is_file() and is_properties(path):
        return path
    pattern = "*" if path.is_dir() else f"{path.name.split('.')[0]}.*"
    directory = path if path.is_dir() else path.parent
    found = [file for file in sorted(directory.glob(pattern)) if is_properties(file)]
    if len(found) > 1:
        named = [file for file in found if file.suffix == ".out"]
        found = named if len(named) == 1 else []
    return found[0] if found else None


def is_properties(path: Path) -> bool:
    """Whether a file begins as i-PI's properties files do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def open_quantity(path: Path, quantity: str, unit: str | None) -> Trajectory:
    """A trajectory of a quantity; velocities may come as momenta.

    Raises
    ------
    InputError
        The file holds something else.
    """
    if quantity != "velocities":
        return open_trajectory(path, quantity, unit=unit)
    try:
        return open_trajectory(path, quantity, unit=unit)
    except InputError:
        if not path.is_file() or not _mentions(path, "momenta"):
            raise
        return open_trajectory(path, "momenta")


def _mentions(path: Path, word: str) -> bool:
    """Whether the first comment line states i-PI's quantity or a column of that name."""
    with path.open("rb") as file:
        comment = (file.readline() + file.readline())[-4096:].decode("utf-8", "replace")
    if "{" in comment:
        return f"{word}{{" in comment
    return f":{word}:" in comment
