"""What a user says of files, and the part of a run that everything is measured over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError

DISCARD_PS, DISCARD_SHARE = 0.1, 0.1
"""Default start left out, ps, of a run of 1 ps and more; the share of a shorter one.

Kinetic and potential energy of a new start have come to terms by then."""


@dataclass(frozen=True)
class Options:
    """What a user says of files; None where the files are to say it.

    Attributes
    ----------
    timestep_fs : time of a step as the file counts them (i-PI: outer steps), fs; of a frame where
        the file has no step numbers
    masses_u : of each species, u
    temperature_K : of the ensemble, K
    n_atoms : number of atoms, for properties files
    discard_ps : time left out at the start of everything, ps; None for a tenth of the run, at most
        0.1 ps (nothing where no file says how long a step is)
    unit : of velocities where the file states none
    fixed_com : False counts the motion of the centre of mass as heat; True lets the data decide
    """

    timestep_fs: float | None = None
    masses_u: Mapping[str, float] | None = None
    temperature_K: float | None = None
    n_atoms: int | None = None
    discard_ps: float | None = None
    unit: str | None = None
    fixed_com: bool = True

    def __post_init__(self) -> None:
        for name in ("timestep_fs", "temperature_K", "n_atoms"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} {value:g}; expected a positive number")
        if self.discard_ps is not None and not self.discard_ps >= 0.0:
            raise InputError(f"discard_ps {self.discard_ps:g}; expected 0 or more")


@dataclass(frozen=True)
class Window:
    """The part of a run that everything is measured over.

    Attributes
    ----------
    discarded_ps : time left out at the start, ps
    from_step, to_step : first and last step, both included; None without a bound
    runaway_ps : time at which the physics is gone (`analysis.runaway`), ps; None if it isn't
    """

    discarded_ps: float = 0.0
    from_step: int | None = None
    to_step: int | None = None
    runaway_ps: float | None = None

    def of(self, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these steps, ``(n,)``, belong to it."""
        chosen = np.ones(len(steps), dtype=bool)
        if self.from_step is not None:
            chosen &= steps >= self.from_step
        if self.to_step is not None:
            chosen &= steps <= self.to_step
        return chosen


def discarded(options: Options, length_ps: float) -> float:
    """Time left out at the start of a run of this length, ps."""
    if options.discard_ps is not None:
        return options.discard_ps
    return min(DISCARD_PS, DISCARD_SHARE * length_ps)
