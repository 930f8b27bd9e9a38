"""Files as replicas of one system: what a user gave, what lies around them, blocks of frames.

Owns which file of a directory is meant and what replicas must have in common.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.statistics import Mean, half_width_95
from ncforce_ipi.analysis.temperature import atom_masses
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.metadata import Surroundings, is_properties, look_around, properties_beside
from ncforce_ipi.reading.properties import Table, read_properties
from ncforce_ipi.reading.trajectory import Frames, Trajectory, open_trajectory

FEWEST_REPLICAS = 4
PATTERNS = ("*.extxyz", "*.xyz")
CENTROIDS = {"positions": "x_centroid", "velocities": "v_centroid"}


@dataclass(frozen=True)
class Given:
    """What the user says; None where the files are to say it.

    Attributes
    ----------
    timestep_fs : time of a step as the file counts them (i-PI: outer steps), fs; of a frame where
        the file has no step numbers
    masses_u : of each species, u
    temperature_K : of the ensemble, K
    n_atoms : number of atoms, for properties files
    discard_ps : time left out at the start, ps
    unit : of velocities where the file states none
    fixed_com : whether the centre of mass is held at rest
    """

    timestep_fs: float | None = None
    masses_u: dict[str, float] | None = None
    temperature_K: float | None = None
    n_atoms: int | None = None
    discard_ps: float = 0.0
    unit: str | None = None
    fixed_com: bool = True


@dataclass(frozen=True)
class Replica:
    """One trajectory.

    Attributes
    ----------
    trajectory : its frames
    around : what lies around it
    given : what the user said
    """

    trajectory: Trajectory
    around: Surroundings
    given: Given

    @property
    def species(self) -> NDArray[np.str_]:
        """``(n_atoms,)``, element symbols."""
        return self.trajectory.species

    @property
    def step_fs(self) -> float:
        """Time of a step, fs; InputError where nothing says it."""
        numbered = self.around.step_fs if self.trajectory.numbered else None
        step_fs = self.given.timestep_fs or numbered
        if step_fs is None:
            raise InputError(
                f"{self.trajectory.path} does not say how long a step is; give --timestep-fs"
                + ("" if self.trajectory.numbered else ", the time between frames")
            )
        return step_fs

    @property
    def from_step(self) -> int:
        """First step after the discarded start."""
        if not self.given.discard_ps > 0.0:
            return int(self.trajectory.steps[0])
        first = int(self.trajectory.steps[0])
        return first + math.ceil(1e3 * self.given.discard_ps / self.step_fs - 1e-6)

    @property
    def steps(self) -> NDArray[np.int64]:
        """Steps after the discarded start; InputError if there is none."""
        steps = self.trajectory.steps[self.trajectory.steps >= self.from_step]
        if len(steps) == 0:
            raise InputError(
                f"{self.trajectory.path} ends before the {self.given.discard_ps:g} ps to discard; "
                "give a smaller --discard-ps"
            )
        return steps

    @property
    def frame_fs(self) -> float:
        """Time between frames, fs."""
        return self.trajectory.stride(self.from_step) * self.step_fs

    @property
    def temperature_K(self) -> float | None:
        """Of the ensemble; None where nothing says it."""
        return self.given.temperature_K or self.around.temperature_K

    @property
    def target_K(self) -> float | None:
        """What the mean temperature should be; None in NVE, or where nothing says it."""
        if self.given.temperature_K is None and self.around.isolated:
            return None
        return self.temperature_K

    @property
    def fixed_com(self) -> bool:
        """Whether the centre of mass is held at rest."""
        return self.given.fixed_com and self.around.fixed_com

    def masses_u(self) -> NDArray[np.float64]:
        """``(n_atoms,)``, u, from the run, never from a table."""
        masses = self.given.masses_u or self.around.masses_u
        if masses is None:
            names = ",".join(f"{name}=..." for name in np.unique(self.species))
            raise InputError(
                f"no run.json and no checkpoint beside {self.trajectory.path} says the masses; "
                f"give --masses-u {names}"
            )
        return atom_masses(self.species, masses)

    def blocks(self, n_frames: int) -> Iterator[Frames]:
        """Frames after the discarded start; velocities where the file holds momenta."""
        momenta = self.trajectory.quantity == "momenta"
        masses_u = self.masses_u()[:, None] if momenta else 1.0
        for block in self.trajectory.blocks(n_frames, from_step=self.from_step):
            yield Frames(block.steps, block.values / masses_u if momenta else block.values,
                         block.cells)  # fmt: skip


def open_replicas(paths: Sequence[Path], quantity: str, given: Given) -> list[Replica]:
    """Trajectories of a quantity, of files or directories, of one and the same system.

    Raises
    ------
    InputError
        A file that holds something else, or replicas with other atoms or another time step.
    """
    found = []
    for path in paths:
        file = trajectory_in(path, quantity) if path.is_dir() else path
        found.append(Replica(_open(file, quantity, given.unit), look_around(file), given))
    first = found[0]
    for replica in found[1:]:
        if not np.array_equal(replica.species, first.species):
            raise InputError(
                f"{replica.trajectory.path} has other atoms than {first.trajectory.path}; "
                "expected replicas of one system"
            )
    return found


def same_frame_fs(replicas: Sequence[Replica]) -> float:
    """The time between frames that all replicas share, fs.

    Raises
    ------
    InputError
        They differ.
    """
    times = [replica.frame_fs for replica in replicas]
    if max(times) - min(times) > 1e-6 * max(times):
        raise InputError(
            f"replicas have frames {min(times):g} to {max(times):g} fs apart; expected one time"
        )
    return times[0]


def trajectory_in(directory: Path, quantity: str) -> Path:
    """The file of a directory that holds the quantity, the centroid's of a path integral first.

    Raises
    ------
    InputError
        None, or several of the same rank.
    """
    words = (CENTROIDS.get(quantity, quantity), quantity, *_INSTEAD.get(quantity, ()))
    files = sorted(path for pattern in PATTERNS for path in directory.glob(pattern))
    for word in words:
        found = [path for path in files if _mentions(path, word)]
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise InputError(f"{directory} holds {word} in {names}; give one of these files")
        if found:
            return found[0]
    raise InputError(f"{directory} holds no trajectory of {quantity}; give the file itself")


def read_tables(paths: Sequence[Path], given: Given) -> list[tuple[Table, Surroundings]]:
    """Properties of files, directories, or beside trajectories, after the discarded start."""
    found = []
    for path in paths:
        file = path if is_properties(path) else properties_beside(path)
        if file is None:
            raise InputError(f"{path}: no properties file of i-PI there; give one (PREFIX.out)")
        table, around = read_properties(file), look_around(file)
        time_ps = table.column("time", "picosecond")
        late = time_ps - time_ps[0] >= given.discard_ps - 1e-9
        if not late.any():
            raise InputError(
                f"{file} ends before the {given.discard_ps:g} ps to discard; give a smaller "
                "--discard-ps"
            )
        found.append((Table(table.path, table.names, table.units, table.values[late]), around))
    return found


def number_of_atoms(path: Path, around: Surroundings, given: Given) -> int:
    """Of a run; InputError where nothing says it."""
    n_atoms = given.n_atoms or around.n_atoms
    if n_atoms is None:
        for pattern in PATTERNS:
            for file in sorted(path.parent.glob(f"{path.name.split('.')[0]}.{pattern}")):
                return len(open_trajectory(file).species)
        raise InputError(f"nothing beside {path} says how many atoms there are; give --atoms")
    return n_atoms


def together(means: Sequence[Mean], weights: Sequence[float]) -> Mean:
    """Mean of replicas' means; its error from theirs, or from their spread with 4 and more."""
    share = np.array(weights, dtype=float) / np.sum(weights)
    value = float(share @ [mean.value for mean in means])
    error = float(np.sqrt(np.sum((share * [mean.error for mean in means]) ** 2)))
    if len(means) >= FEWEST_REPLICAS:
        off = share * (np.array([mean.value for mean in means]) - value)
        error = float(np.sqrt(len(means) / (len(means) - 1) * np.sum(off**2)))
    return Mean(value, error, float(sum(mean.n_independent for mean in means)))


def interval_of_replicas(slopes: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % interval, from the replicas alone (Student's t)."""
    spread = float(np.std(slopes, ddof=1)) / math.sqrt(len(slopes)) if len(slopes) > 1 else math.nan
    return float(np.mean(slopes)), half_width_95(spread, len(slopes) - 1)


_INSTEAD = {"velocities": ("vel", "velo", "momenta"), "positions": ("pos",), "forces": ("force",)}


def _open(path: Path, quantity: str, unit: str | None) -> Trajectory:
    """Velocities may come as momenta."""
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
