"""Frames with forces: from the files of a run, and as the data files of a distillation.

At the outer points of a run both forces are known, so that its frames are labels for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from numpy.typing import NDArray

from ncforce_ipi.distil.teacher import with_labels
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.directory import open_quantity
from ncforce_ipi.reading.properties import read_properties
from ncforce_ipi.rundir import DISAGREEING_FILE, PREFIX, PROPERTIES_FILE, TRAJECTORY_FILES
from ncforce_ipi.species import SYMBOLS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Outer points of a run at which positions and forces were written.

    Attributes
    ----------
    numbers : ``(n_atoms,)``, atomic numbers
    steps : ``(n,)``, outer steps
    positions : ``(n, n_atoms, 3)``, A
    cells : ``(n, 3, 3)``, A
    energies : ``(n,)``, eV, of the slow force
    slow : ``(n, n_atoms, 3)``, eV/A
    fast : the same; None in a run with slow forces alone
    """

    numbers: NDArray[np.int64]
    steps: NDArray[np.int64]
    positions: Array
    cells: Array
    energies: Array
    slow: Array
    fast: Array | None

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def rms(self) -> Array:
        """``(n,)``, eV/A: root mean square of slow - fast over the components of each frame."""
        if self.fast is None:
            return np.full(len(self), np.nan)
        return np.asarray(np.sqrt(np.mean((self.slow - self.fast) ** 2, axis=(1, 2))))

    def atoms(self, k: int, kind: str) -> Atoms:
        """Frame ``k`` with the slow force as its label."""
        frame = Atoms(self.numbers, self.positions[k], cell=self.cells[k], pbc=True)
        frame.info = {"kind": kind, "step": int(self.steps[k])}
        return with_labels(frame, float(self.energies[k]), self.slow[k])

    def below(self, force_limit_eV_per_A: float) -> list[int]:
        """Frames in which no component of the slow force is larger."""
        largest = np.abs(self.slow).max(axis=(1, 2), initial=0.0)
        return [int(k) for k in np.flatnonzero(largest <= force_limit_eV_per_A)]


def outer_points(directory: Path) -> Points:
    """Of a run whose forces were written (``--write-forces``).

    What a run that ran away wrote last may lack a part: only steps with all parts count.

    Raises
    ------
    InputError
        No forces were written, or no step has all.
    """
    files = {name: _force_file(directory, name) for name in ("slow", "fast")}
    if files["slow"] is None:
        raise InputError(
            f"{directory} has no slow forces; expected a run with --write-forces, or frames in "
            f"{DISAGREEING_FILE}"
        )
    places = open_quantity(directory / TRAJECTORY_FILES[0][0], "positions", None)
    frames = {"positions": next(places.blocks(len(places.steps)))}
    for name, path in files.items():
        if path is not None:
            one = open_quantity(path, "forces", None)
            frames[name] = next(one.blocks(len(one.steps)))
    table = read_properties(directory / PROPERTIES_FILE)
    steps_of = [found.steps for found in frames.values()]
    table_steps = table.column("step").astype(np.int64)
    steps = table_steps
    for other in steps_of:
        steps = np.intersect1d(steps, other)
    if not len(steps):
        raise InputError(f"{directory} has no step with positions, forces and an energy")
    where = {name: np.searchsorted(found.steps, steps) for name, found in frames.items()}
    rows = {int(step): k for k, step in enumerate(table_steps)}  # a resumed run repeats steps
    energies = table.column("potential", "electronvolt")[[rows[int(step)] for step in steps]]
    atoms = Atoms([str(name) for name in places.species])
    fast = frames.get("fast")
    return Points(
        numbers=atoms.numbers,
        steps=steps,
        positions=frames["positions"].values[where["positions"]],
        cells=frames["positions"].cells[where["positions"]],
        energies=energies,
        slow=frames["slow"].values[where["slow"]],
        fast=None if fast is None else fast.values[where["fast"]],
    )


def _force_file(directory: Path, name: str) -> Path | None:
    found = sorted(directory.glob(f"{PREFIX}.forces_{name}*.xyz"))
    return found[0] if found else None


def save(frames: Sequence[Atoms], path: Path) -> None:
    """Extended xyz, in one move."""
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    write(partial, list(frames), format="extxyz")
    partial.replace(path)


def load(path: Path) -> list[Atoms]:
    """Frames of a data file, without constraints: ASE would give no forces on held atoms."""
    found = read(path, ":", format="extxyz")
    frames = found if isinstance(found, list) else [found]
    for frame in frames:
        frame.set_constraint()
    return frames


def of_run(directory: Path, species: Sequence[int]) -> list[Atoms]:
    """Frames that a run kept because its forces disagreed, else all whose forces it wrote.

    Raises
    ------
    InputError
        Neither is there, or an element that the distillation doesn't have.
    """
    kept = directory / DISAGREEING_FILE
    if kept.is_file():
        frames = [with_labels(a, a.get_potential_energy(), a.get_forces()) for a in _labelled(kept)]
    else:
        points = outer_points(directory)
        frames = [points.atoms(k, "added") for k in range(len(points))]
    numbers = {int(z) for frame in frames for z in frame.numbers}
    if strange := sorted(numbers - set(species)):
        raise InputError(
            f"{directory} has {', '.join(SYMBOLS[z] for z in strange)}, which this distillation "
            "doesn't have; begin another one with a structure that has all"
        )
    for frame in frames:
        frame.info["kind"] = "added"
    return frames


def _labelled(path: Path) -> list[Atoms]:
    frames = load(path)
    for k, frame in enumerate(frames):
        if frame.calc is None or not {"energy", "forces"} <= frame.calc.results.keys():
            raise InputError(f"{path}, frame {k}: expected an energy and forces (the slow ones)")
    return frames
