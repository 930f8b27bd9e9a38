"""The plan of a run: which forces, how many steps, what it costs.  Knows no i-PI and no XML."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.numbers import real_number, settle, whole_number

Forces = Literal["slow", "fast", "mts"]


@dataclass(frozen=True)
class Plan:
    """Time steps of a run with slow forces only, fast forces only, or both by multiple time steps.

    With ``mts`` M, i-PI's velocity Verlet takes M inner steps of the fast force between two kicks
    of (slow - fast), one at each end of the outer step (r-RESPA; Tuckerman, Berne, Martyna,
    J. Chem. Phys. 97, 1990, 1992).  With slow or fast forces alone outer and inner step coincide.

    Attributes
    ----------
    forces : "slow", "fast" or "mts"
    mts : M, inner steps in one outer step; 1 unless ``forces`` is "mts"
    inner_step_fs : fs
    n_outer : outer steps of the run
    """

    forces: Forces
    mts: int
    inner_step_fs: float
    n_outer: int

    def __post_init__(self) -> None:
        if self.forces not in get_args(Forces):
            raise InputError(f"forces are slow, fast or mts, got {self.forces!r}")
        settle(self, whole=("mts", "n_outer"), real=("inner_step_fs",))
        if self.mts < 1:
            raise InputError(f"MTS ratio M must be 1 or more inner steps, got {self.mts}")
        if self.forces != "mts" and self.mts != 1:
            raise InputError(f"M = {self.mts} needs --forces mts, got {self.forces} forces alone")
        if not (math.isfinite(self.inner_step_fs) and self.inner_step_fs > 0):
            raise InputError(f"inner time step must be positive, got {self.inner_step_fs} fs")
        if self.n_outer < 1:
            raise InputError(f"a run needs at least one outer step, got {self.n_outer}")

    @classmethod
    def from_time(cls, forces: Forces, mts: int, inner_step_fs: float, time_ps: float) -> Plan:
        """Plan with the fewest whole outer steps that last ``time_ps`` (ps)."""
        mts, inner_step_fs = whole_number(mts, "mts"), real_number(inner_step_fs, "timestep_fs")
        time_ps = real_number(time_ps, "time_ps")
        if not (math.isfinite(time_ps) and time_ps > 0):
            raise InputError(f"time must be positive, got {time_ps} ps")
        outer_step_fs = mts * inner_step_fs
        if not (math.isfinite(outer_step_fs) and outer_step_fs > 0):  # __post_init__ says why
            return cls(forces, mts, inner_step_fs, 1)
        # 1e-9 of a step: 1 ps / 4 fs must be 250 steps also after rounding
        return cls(forces, mts, inner_step_fs, math.ceil(1e3 * time_ps / outer_step_fs - 1e-9))

    @property
    def outer_step_fs(self) -> float:
        """Outer step, fs: what i-PI calls ``timestep``."""
        return self.mts * self.inner_step_fs

    @property
    def n_inner(self) -> int:
        """Inner steps of the whole run."""
        return self.mts * self.n_outer

    @property
    def time_ps(self) -> float:
        """Physical time of the whole run, ps."""
        return self.n_outer * self.outer_step_fs * 1e-3

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the force components in i-PI's order: slow before fast."""
        return ("slow", "fast") if self.forces == "mts" else (self.forces,)

    @property
    def nmts(self) -> tuple[int, ...]:
        """i-PI's ``nmts``: how often each level runs within the level above."""
        return (1, self.mts) if self.forces == "mts" else (1,)

    @property
    def weights(self) -> dict[str, tuple[int, ...]]:
        """i-PI's ``mts_weights`` of each component.

        Level 0 kicks with slow - fast, level 1 with fast.  The weights of a component sum to its
        weight in the potential: slow counts, fast doesn't.
        """
        if self.forces == "mts":
            return {"slow": (1, 0), "fast": (-1, 1)}
        return {self.forces: (1,)}

    def relative_cost(self, slow_over_fast: float, joint: bool = False) -> float:
        """Cost of an inner step in units of one fast evaluation.

        Parameters
        ----------
        slow_over_fast : F, cost of a slow evaluation over that of a fast one
        joint : one evaluation gives both forces at the outer point, at the price of the slow one

        Returns
        -------
        (M + F)/M with separate and (M - 1 + F)/M with joint evaluations; F for slow forces alone
        and 1 for fast forces alone.
        """
        if self.forces == "fast":
            return 1.0
        if self.forces == "slow":
            return slow_over_fast
        return (self.mts - joint + slow_over_fast) / self.mts
