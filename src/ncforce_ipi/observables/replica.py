"""The frames of one trajectory that lie in the part of its run that everything is measured over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.beads import Bead
from ncforce_ipi.observables.longread import reported
from ncforce_ipi.reading.trajectory import Frames, Trajectory

if TYPE_CHECKING:
    from ncforce_ipi.observables.source import Source

MOST_APART = 0.01  # of a time step: times are printed with few digits


@dataclass(frozen=True, repr=False)
class Replica:
    """The frames of one trajectory that lie in the window of its run.

    Attributes
    ----------
    trajectory : its frames
    source : the run
    """

    trajectory: Trajectory
    source: Source

    def __repr__(self) -> str:
        """What is in it."""
        frames, atoms = len(self.steps), len(self.species)
        what = f"{self.trajectory.quantity} of {atoms} atoms, {frames} frames"
        return f"<{what}: {self.trajectory.path}>"

    @property
    def species(self) -> NDArray[np.str_]:
        """``(n_atoms,)``, element symbols."""
        return self.trajectory.species

    @property
    def steps(self) -> NDArray[np.int64]:
        """``(n_frames,)``."""
        return self.trajectory.steps

    @property
    def step_fs(self) -> float:
        """Time of a step, fs; InputError where nothing says it."""
        step_fs = frame_step_fs(self.source, self.trajectory)
        if step_fs is None:
            raise InputError(
                f"{self.trajectory.path} does not say how long a step is; give --timestep-fs"
                + ("" if self.trajectory.numbered else ", the time between frames")
            )
        return step_fs

    @property
    def time_ps(self) -> NDArray[np.float64]:
        """Of each frame, ``(n_frames,)``, ps."""
        return 1e-3 * self.step_fs * self.steps.astype(np.float64)

    @property
    def frame_fs(self) -> float:
        """Time between frames, fs."""
        return self.trajectory.stride() * self.step_fs

    def masses_u(self) -> NDArray[np.float64]:
        """``(n_atoms,)``, u, from the run, never from a table."""
        return self.source.masses_u(self.trajectory)

    @property
    def bead(self) -> Bead | None:
        """The bead that it is of; None for a classical system, or a centroid."""
        return self.source.bead(self.trajectory)

    def read(self) -> Frames:
        """All frames at once; `blocks` reads them bit by bit."""
        (found,) = self.blocks(len(self.steps))
        return found

    def blocks(self, n_frames: int) -> Iterator[Frames]:
        """Frames, ``n_frames`` at a time; velocities where the file holds momenta."""
        momenta = self.trajectory.quantity == "momenta"
        masses_u = self.masses_u()[:, None] if momenta else 1.0
        for block in reported(self.trajectory, n_frames):
            yield Frames(block.steps, block.values / masses_u if momenta else block.values,
                         block.cells)  # fmt: skip


def frame_step_fs(source: Source, trajectory: Trajectory) -> float | None:
    """Time of a step, or of a frame where none is numbered: the file's own words, then the rest."""
    own, given = trajectory.step_fs, source.options.timestep_fs
    if own is not None and given is not None and abs(own - given) > MOST_APART * abs(own):
        raise InputError(
            f"--timestep-fs {given:g}, but {trajectory.path} says {own:.6g} fs by its own times; "
            "leave the option out"
        )
    if own is not None:
        return own
    return source.step_fs if trajectory.numbered else given
