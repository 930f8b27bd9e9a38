"""One run, or several as replicas of one system: what every observable is computed from.

Owns what replicas must have in common, and that nothing is computed twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.options import Options
from ncforce_ipi.observables.replica import Replica
from ncforce_ipi.observables.source import SAME_MASS, Source
from ncforce_ipi.reading.directory import may_be_trajectory
from ncforce_ipi.reading.properties import is_properties

log = logging.getLogger(__name__)
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class LeftOut:
    """A replica that isn't used, why, and when its physics was gone (ps), if it was."""

    name: str
    why: str
    runaway_ps: float | None = None


@dataclass(frozen=True)
class Dataset:
    """One run, or several as replicas of one system.

    Attributes
    ----------
    sources : the runs
    folder : the directory of replicas that they are of; None where they were given one by one
    left_out : replicas of that directory that aren't used
    """

    sources: tuple[Source, ...]
    folder: Path | None = None
    left_out: tuple[LeftOut, ...] = ()
    _memory: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Of the directory of replicas, or of the (first) run."""
        return self.first.name if self.folder is None else self.folder.absolute().name

    @property
    def directory(self) -> Path:
        """Of the replicas, or of the (first) run."""
        return self.first.directory if self.folder is None else self.folder

    @property
    def place(self) -> Path:
        """The directory of replicas, or what was given of the (first) run."""
        return self.first.path if self.folder is None else self.folder

    @property
    def first(self) -> Source:
        """The first run, which stands for what all have in common."""
        return self.sources[0]

    def replicas(self, quantity: str) -> list[Replica]:
        """Trajectories of a quantity, of one and the same system.

        Raises
        ------
        InputError
            A file that holds something else, or replicas with other atoms or masses.
        """
        found = [source.trajectory(quantity) for source in self.sources]
        for replica in found[1:]:
            if not np.array_equal(replica.species, found[0].species):
                raise InputError(
                    f"{replica.trajectory.path} has other atoms than {found[0].trajectory.path}; "
                    "expected replicas of one system"
                )
        _require_same_masses(found)
        self.remember("beads", lambda: _say_beads(found))
        return found

    def remember(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """What ``make`` gives, made once for each key: a file is passed over once."""
        if key not in self._memory:
            self._memory[key] = make()
        found: Kept = self._memory[key]
        return found

    def remembers(self, key: Hashable) -> bool:
        """Whether that has been made already."""
        return key in self._memory

    def files(self) -> list[Path]:
        """What there is to read, for the provenance."""
        return [file for source in self.sources for file in source.files()]

    @property
    def model_sha256(self) -> str:
        """Of the models of all runs, with commas; empty where nothing says them."""
        every = dict.fromkeys(source.metadata.model_sha256 for source in self.sources)
        return ", ".join(filter(None, every))


def _require_same_masses(replicas: Sequence[Replica]) -> None:
    """Refuse isotopes of one system as replicas; where nothing says the masses, nobody asks."""
    known = []
    for replica in replicas if len(replicas) > 1 else ():
        try:
            known.append((replica, replica.masses_u()))
        except InputError:  # whoever needs them is told
            continue
    for replica, masses_u in known[1:]:
        first, expected_u = known[0]
        if np.allclose(masses_u, expected_u, SAME_MASS):
            continue
        atom = int(np.argmax(abs(masses_u - expected_u)))
        raise InputError(
            f"{replica.trajectory.path}: {replica.species[atom]} (atom {atom} from 0) has "
            f"{masses_u[atom]:g} u, and {expected_u[atom]:g} u in {first.trajectory.path}; "
            "expected replicas of one system: measure them one by one"
        )


def _say_beads(replicas: Sequence[Replica]) -> None:
    """Beads of one path integral are no replicas."""
    if sum(replica.bead is not None for replica in replicas) > 1:
        log.warning(
            "%s and others are beads of a path integral, averaged as if they were replicas: beads "
            "move together, and error bars are too small",
            replicas[0].trajectory.path,
        )


def open_dataset(
    paths: Sequence[Path], options: Options | None = None, *, whole: bool = False
) -> Dataset:
    """The files or directories of one system.

    ``whole``: a file stands for the run that it belongs to, by its prefix.

    Raises
    ------
    InputError
        None, or one that isn't there.
    """
    if not paths:
        raise InputError("no files; expected a directory of a run, or one of its files")
    paths = [path.expanduser() for path in paths]
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} is missing; expected a file, or a directory of a run")
        if whole and not (path.is_dir() or is_properties(path) or may_be_trajectory(path)):
            raise InputError(
                f"{path} is neither a trajectory nor a properties file of i-PI; give one of the "
                "run's, or its directory"
            )
    return Dataset(tuple(Source(path, options or Options(), whole) for path in paths))


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
