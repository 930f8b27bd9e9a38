"""One run's files, read once, and the part of the run that everything is measured over.

Owns the rule for the discarded start and for a runaway.  Observables open no files of their own.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.freedom import Freedom
from ncforce_ipi.analysis.runaway import HOT, before_runaway, hottest
from ncforce_ipi.analysis.temperature import atom_masses
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import clock
from ncforce_ipi.observables.beads import Bead, bead_of, n_beads_shown
from ncforce_ipi.observables.freedom import Counted, counted, of_velocities
from ncforce_ipi.observables.options import Options, Window, discarded
from ncforce_ipi.observables.replica import Replica, frame_step_fs
from ncforce_ipi.observables.series import Series, series_of
from ncforce_ipi.reading.directory import (
    open_quantity,
    properties_beside,
    trajectories,
    trajectory_in,
)
from ncforce_ipi.reading.framemasses import masses_in
from ncforce_ipi.reading.metadata import RunMetadata, read_metadata
from ncforce_ipi.reading.properties import Table, read_properties
from ncforce_ipi.reading.trajectory import Trajectory, open_trajectory

SAME_MASS = 1e-3  # relative: tables of masses differ by less, isotopes by more
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """One run: a directory, or one of its files.  What is read is read once.

    Attributes
    ----------
    path : a directory, a properties file or a trajectory
    options : what the user said
    whole : a file stands for the run that it belongs to; else a trajectory for itself alone
    """

    path: Path
    options: Options = field(default_factory=Options)
    whole: bool = False
    _opened: dict[str, Replica] = field(default_factory=dict, compare=False, repr=False)
    _all: dict[str, Trajectory] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def metadata(self) -> RunMetadata:
        """What lies beside the files; the number of beads by the files themselves, if they must."""
        found = read_metadata(self.path)
        if found.n_beads > 1 or found.counts or found.record or self.table is None:
            return found
        n_atoms = self.options.n_atoms
        if n_atoms is None and self.table.has("kinetic_md") and self.table.has("temperature"):
            with suppress(InputError):  # whoever needs it is told
                n_atoms = self._n_atoms_of_files()
        return replace(found, n_beads=n_beads_shown(self.table, n_atoms))

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def name(self) -> str:
        """For tables and figures: the directory's name, and that of a file."""
        if self.path.is_dir():
            return self.path.absolute().name
        return f"{self.path.absolute().parent.name}/{self.path.name}"

    @cached_property
    def table(self) -> Table | None:
        """All of the properties file, with the prefix of a trajectory; None without one."""
        found = self.properties_files
        if len(found) > 1:
            log.warning("%s: several properties files of i-PI there, none used", self.path)
        return read_properties(found[0]) if len(found) == 1 else None

    @cached_property
    def properties_files(self) -> list[Path]:
        """Those that may be the run's."""
        return properties_beside(self.path)

    @cached_property
    def series(self) -> Series:
        """Temperature and energies of the whole run; InputError where nothing says them."""
        if self.table is None:
            names = ", ".join(file.name for file in self.properties_files)
            raise InputError(
                f"{self.path}: {f'properties files {names}' if names else 'no properties file'} "
                "of i-PI there; give one (PREFIX.out)"
            )
        return series_of(
            self.table,
            self.metadata,
            time_ps=clock.times_ps(self.table, self.step_fs),
            n_atoms=self.n_atoms,
            temperature_K=self.temperature_K,
            counted=self.counted,
        )

    @property
    def n_atoms(self) -> int:
        """Of the run; InputError where nothing says it."""
        n_atoms = self.options.n_atoms or self.metadata.n_atoms
        if n_atoms is not None:
            return n_atoms
        n_atoms = self._n_atoms_of_files()
        if n_atoms is None:
            raise InputError(
                f"nothing beside {self.path} says how many atoms there are; give --atoms"
            )
        return n_atoms

    def _n_atoms_of_files(self) -> int | None:
        """By the first trajectory there; None without one."""
        for file in trajectories(self.path):
            return len(open_trajectory(file).species)
        return None

    @cached_property
    def step_fs(self) -> float | None:
        """Time of one of i-PI's steps, fs: as given, else of the properties, else of a record."""
        if self.options.timestep_fs is not None:
            return self.options.timestep_fs
        of_table = None if self.table is None else clock.step_fs(self.table)
        return of_table or self.metadata.step_fs

    @property
    def temperature_K(self) -> float | None:
        """Of the ensemble; None where nothing says it."""
        return self.options.temperature_K or self.metadata.temperature_K

    @property
    def target_K(self) -> float | None:
        """What the mean temperature should be; None in NVE, or where nothing says it."""
        if self.options.temperature_K is None and self.metadata.isolated:
            return None
        return self.temperature_K

    @cached_property
    def velocities(self) -> Trajectory | None:
        """The trajectory of velocities or momenta that shows what moves; None without one."""
        try:
            return self.all_frames("velocities")
        except InputError:  # whoever needs them is told
            return None

    @cached_property
    def freedom(self) -> Freedom | None:
        """Degrees of freedom as velocities show them; None without any, or without masses."""
        try:
            return None if self.velocities is None else of_velocities(self, self.velocities)
        except InputError:
            return None

    @cached_property
    def counted(self) -> Counted:
        """What the kinetic energy of the properties file holds."""
        if self.table is None:
            raise InputError(f"{self.path}: no properties file of i-PI there; give PREFIX.out")
        return counted(self, self.table)

    def bead(self, trajectory: Trajectory) -> Bead | None:
        """The bead that a trajectory of this run is of; None for a classical one, or a centroid."""
        return bead_of(trajectory, self.metadata)

    def masses_u(self, trajectory: Trajectory) -> NDArray[np.float64]:
        """Of the atoms of a trajectory, ``(n_atoms,)``, u: its own, the run's, never a table's.

        Raises
        ------
        InputError
            Nothing says them, or --masses-u something else than a column of the trajectory.
        """
        stated = masses_in(trajectory)
        if stated is not None:
            given = self.options.masses_u
            if given and not np.allclose(atom_masses(trajectory.species, given), stated, SAME_MASS):
                raise InputError(
                    f"--masses-u, but {trajectory.path} says other masses in a column of its own; "
                    "leave the option out"
                )
            return stated
        own = self.metadata.atom_masses_u
        if own is not None and not self.options.masses_u:
            if len(own) != len(trajectory.species):
                raise InputError(
                    f"{trajectory.path} has {len(trajectory.species)} atoms, and the run's masses "
                    f"are of {len(own)}; give --masses-u"
                )
            return np.array(own)
        masses = self.options.masses_u or self.metadata.masses_u
        if masses is None:
            names = ",".join(f"{name}=..." for name in np.unique(trajectory.species))
            raise InputError(
                f"no run.json and no checkpoint beside {trajectory.path} says the masses; "
                f"give --masses-u {names}"
            )
        return atom_masses(trajectory.species, masses)

    @cached_property
    def window(self) -> Window:
        """The part that everything is measured over, by the properties file where there is one."""
        timed = self.table is not None and (self.table.has("time") or self.step_fs is not None)
        if self.table is None or not (self.table.has("step") and timed):
            return Window(self.options.discard_ps or 0.0)
        return _window(self, self.table)

    def trajectory(self, quantity: str) -> Replica:
        """The file that holds a quantity, without what lies outside the window.

        Raises
        ------
        InputError
            None, another quantity, another number of atoms than the run, or no frame left.
        """
        if quantity not in self._opened:
            self._opened[quantity] = _open(self, quantity)
        return self._opened[quantity]

    def all_frames(self, quantity: str) -> Trajectory:
        """The file that holds a quantity, all of it.

        Raises
        ------
        InputError
            None, another quantity, or another number of atoms than the run.
        """
        if quantity not in self._all:
            self._all[quantity] = _open_all(self, quantity)
        return self._all[quantity]

    def files(self) -> list[Path]:
        """What there is to read, for the provenance."""
        if not self.is_run:
            return [self.path]
        return trajectories(self.path) + ([self.table.path] if self.table is not None else [])

    @cached_property
    def is_run(self) -> bool:
        """Whether all files of a run are meant: a directory, a properties file, or ``whole``."""
        return self.whole or self.path.is_dir() or self.path in self.properties_files


def _window(source: Source, table: Table) -> Window:
    """Of a run whose properties file has steps and times."""
    steps = table.column("step").astype(np.int64)
    time_ps = clock.times_ps(table, source.step_fs)
    elapsed_ps = time_ps - time_ps[0]
    discard_ps = discarded(source.options, float(elapsed_ps[-1]))
    step_fs = source.step_fs
    from_step = int(steps[0])
    if discard_ps > 0.0 and step_fs is not None:
        from_step += math.ceil(1e3 * discard_ps / step_fs - 1e-6)
    if from_step > steps[-1]:
        raise InputError(
            f"{table.path} ends before the {discard_ps:g} ps to discard; give a smaller "
            "--discard-ps, or run longer"
        )
    calm = _calm(source)
    if calm is None or calm.all():
        return Window(discard_ps, from_step)
    lost = int(np.argmin(calm))
    return Window(discard_ps, from_step, int(steps[lost]) - 1, float(time_ps[lost]))


def _calm(source: Source) -> NDArray[np.bool_] | None:
    """Samples before a runaway; None where temperature or number of atoms can't be had."""
    try:
        series = source.series
    except InputError:  # whoever needs them is told
        return None
    reference_K = source.temperature_K or _early_K(series.temperature_K)
    hot = HOT if series.conserved_meV is not None else hottest(series.dof)
    return before_runaway(series.temperature_K, series.conserved_meV, reference_K, hot)


def _early_K(temperature_K: NDArray[np.float64]) -> float:
    """Mean over the first tenth, K: where nothing says the temperature of the ensemble."""
    early = temperature_K[: max(len(temperature_K) // 10, 1)]
    return float(early.mean())


def _open_all(source: Source, quantity: str) -> Trajectory:
    path = trajectory_in(source.path, quantity) if source.is_run else source.path
    trajectory = open_quantity(path, quantity, source.options.unit)
    n_atoms = source.metadata.n_atoms
    if n_atoms is not None and len(trajectory.species) != n_atoms:
        raise InputError(
            f"{path} has {len(trajectory.species)} atoms; expected the {n_atoms} that the run's "
            "run.json or checkpoint says: are these files of one run?"
        )
    if trajectory.numbered:
        theirs_fs = None if source.table is None else clock.step_fs(source.table)
        clock.say_other(path, source.options.timestep_fs, theirs_fs or source.metadata.step_fs)
    return trajectory


def _open(source: Source, quantity: str) -> Replica:
    trajectory = source.all_frames(quantity)
    window = _of_trajectory(source, trajectory)
    inside = trajectory.between(
        int(trajectory.steps[0]) if window.from_step is None else window.from_step, window.to_step
    )
    if len(inside.steps) == 0:
        raise InputError(
            f"{trajectory.path} ends before the {window.discarded_ps:g} ps to discard; "
            "give a smaller --discard-ps"
        )
    return Replica(inside, source)


def _of_trajectory(source: Source, trajectory: Trajectory) -> Window:
    """The run's window, or without a properties file one by the trajectory's own steps."""
    if source.window.from_step is not None and trajectory.numbered:
        return source.window
    steps, step_fs = trajectory.steps, frame_step_fs(source, trajectory)
    if step_fs is None and not source.options.discard_ps:
        return Window()
    step_fs = Replica(trajectory, source).step_fs
    length_ps = 1e-3 * step_fs * float(steps[-1] - steps[0])
    discard_ps = discarded(source.options, length_ps)
    return Window(discard_ps, int(steps[0]) + math.ceil(1e3 * discard_ps / step_fs - 1e-6))
