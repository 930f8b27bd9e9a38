"""Which file of a run directory holds what: by the words in it, not by its name.

i-PI calls its files ``prefix.name``, both of which may have dots.
"""

from __future__ import annotations

from itertools import islice, takewhile
from pathlib import Path

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.ipixml import begins_with
from ncforce_ipi.reading.properties import is_properties, n_useful_columns
from ncforce_ipi.reading.trajectory import Trajectory, names_of, open_trajectory
from ncforce_ipi.rundir import DISAGREEING_FILE, STRUCTURE_FILE, VELOCITIES_FILE

NONE_OF_THEM = (STRUCTURE_FILE, VELOCITIES_FILE, DISAGREEING_FILE)
PATTERNS = ("*.extxyz", "*.xyz")
CENTROIDS = {"positions": "x_centroid", "velocities": "v_centroid"}
HEAD_BYTES = 1 << 16
COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ", b"BZh")
_INSTEAD = {"velocities": ("vel", "velo", "momenta"), "positions": ("pos",), "forces": ("force",)}


def trajectories(path: Path) -> list[Path]:
    """Files that may be trajectories, by their names; what our runs start from or keep is none.

    Parameters
    ----------
    path : a directory, or a file of a run in it: then those with the run's prefix
    """
    directory = path if path.is_dir() else path.parent
    every = (file for pattern in PATTERNS for file in directory.glob(pattern))
    found = sorted(file for file in every if file.name not in NONE_OF_THEM and file.is_file())
    if path.is_dir():
        return found
    known = _prefixes(directory)
    prefix = _longest(path, known)
    return [file for file in found if file == path or _longest(file, known) == prefix]


def prefix_of(path: Path) -> str:
    """The prefix of a run, by the name of a file of it."""
    return _longest(path, _prefixes(path.parent))


def _prefixes(directory: Path) -> set[str]:
    """Those of the properties files there: ``prefix.name``."""
    return {file.name.rpartition(".")[0] for file in directory.iterdir() if is_properties(file)}


def _longest(path: Path, known: set[str]) -> str:
    """The longest known prefix that the name begins with; else that of ``prefix.name_bead.xyz``."""
    fitting = [prefix for prefix in known if begins_with(path.name, prefix)]
    return max(fitting, key=len, default=Path(path.stem).stem)


def trajectory_in(path: Path, quantity: str) -> Path:
    """The file of a run that holds the quantity, the centroid's of a path integral first.

    A file of one frame that i-PI didn't write is a structure.

    Parameters
    ----------
    path : a directory, or a file that itself or by its prefix says which run in it
    quantity : positions, velocities or forces

    Raises
    ------
    InputError
        None, or several of the same rank.
    """
    directory = path if path.is_dir() else path.parent
    words = (CENTROIDS.get(quantity, quantity), quantity, *_INSTEAD.get(quantity, ()))
    files = trajectories(path)
    structures: list[Path] = []
    for word in words:
        holding = [file for file in files if _mentions(file, word)]
        if path in holding:
            return path
        found = [file for file in holding if not _is_structure(file)]
        structures += [file for file in holding if file not in found]
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise InputError(f"{directory} holds {word} in {names}; give one of these files")
        if found:
            return found[0]
    alone = f" but {structures[0].name} with one frame" if structures else ""
    raise InputError(f"{path} holds no trajectory of {quantity}{alone}; give the file itself")


def properties_beside(path: Path) -> list[Path]:
    """The properties file of a directory, or with the prefix of a trajectory; all that may be it.

    Of prefixes that the trajectory's name begins with the longest counts: ``run.1.vel_0.xyz``
    belongs to ``run.1.out``, not to ``run.out``.  Of files with one prefix that one counts which
    has more of the columns that are read here.
    """
    if path.is_file() and is_properties(path):
        return [path]
    directory = path if path.is_dir() else path.parent
    found = [file for file in sorted(directory.iterdir()) if is_properties(file)]
    if not path.is_dir():
        found = _highest({file: _in_common(path.name, file.name) for file in found})
    found = _highest({file: (1 + n_useful_columns(file),) for file in found})
    return [file for file in found if file.suffix == ".out"] or found


def _highest(ranks: dict[Path, tuple[int, ...]]) -> list[Path]:
    """Those of the highest rank, which isn't 0."""
    best = max(ranks.values(), default=(0,))
    return [path for path, rank in ranks.items() if rank == best and any(rank)]


def may_be_trajectory(path: Path) -> bool:
    """Whether a file begins with a number of atoms, or is compressed."""
    with path.open("rb") as file:
        head = file.readline(64)
    return head.strip().isdigit() or head.startswith(COMPRESSED)


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


def _in_common(trajectory: str, properties: str) -> tuple[int, int]:
    """How far a trajectory's name goes with a properties file's; (0, 0) with another prefix.

    Letters of the prefix, then words of the system's: ``run.a_out`` goes with ``run.a_pos.xyz``.
    """
    prefix, _, name = properties.rpartition(".")
    if not begins_with(trajectory, prefix):
        return 0, 0
    rest = trajectory.removeprefix(f"{prefix}.")
    pairs = zip(name.split("_")[:-1], rest.split("_"), strict=False)
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return len(prefix) + 1, alike


def _is_structure(path: Path) -> bool:
    """Whether a file holds one frame, and not one of i-PI's."""
    with path.open("rb") as file:
        try:
            n_atoms = int(file.readline(64))
        except ValueError:
            return False
        comment = file.readline(HEAD_BYTES)
        lines = islice(file, n_atoms, None)
        return b"Step:" not in comment and not any(line.strip() for line in lines)


def _mentions(path: Path, word: str) -> bool:
    """Whether the first comment line states i-PI's quantity or a column of that name."""
    return word in names_of(path)
