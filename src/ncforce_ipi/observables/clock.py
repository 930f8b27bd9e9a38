"""The time of a step and of each row of a properties file.

Printed times are rounded, i-PI's to nine digits; steps aren't.  So one time step is fitted to all
rows, and a row's time is that of its step.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.statistics import require_finite
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.properties import Table

log = logging.getLogger(__name__)
SAME = 1e-3  # a person gives three or four digits
DIGITS = 2e-8  # twice the last digit of %16.8e, relative


def step_fs(table: Table) -> float | None:
    """Time of a step by least squares over all rows, fs; None where the file doesn't say it.

    Raises
    ------
    InputError
        Steps of different times, beyond the rounding of what is printed.
    """
    if not (table.has("step") and table.has("time")):
        return None
    steps, time_fs = table.column("step"), table.column("time", "femtosecond")
    if len(steps) < 2 or steps[-1] == steps[0]:
        return None
    require_finite(time_fs, f"{table.path}: time")
    centred, centred_fs = steps - steps.mean(), time_fs - time_fs.mean()
    fitted_fs = float(centred @ centred_fs) / float(centred @ centred)
    _require_one(table, steps, time_fs, np.abs(centred_fs - fitted_fs * centred).max())
    return fitted_fs


def times_ps(table: Table, otherwise_fs: float | None = None) -> NDArray[np.float64]:
    """Of each row, ``(n_rows,)``, ps: its step's, or what is printed where steps aren't.

    Parameters
    ----------
    table : with ``time``, or with ``step``
    otherwise_fs : time of a step, fs, where the file doesn't say it

    Raises
    ------
    InputError
        Neither, or as `step_fs`.
    """
    if not table.has("time") and table.has("step") and otherwise_fs is not None:
        return 1e-3 * otherwise_fs * table.column("step")
    time_ps = table.column("time", "picosecond")
    own_fs = step_fs(table)
    if own_fs is None:
        return time_ps
    steps = table.column("step")
    return time_ps.mean() + 1e-3 * own_fs * (steps - steps.mean())


def say_other(path: Path, given_fs: float | None, theirs_fs: float | None) -> None:
    """Warn where --timestep-fs overrules what lies beside a file, both in fs."""
    if given_fs and theirs_fs and abs(given_fs / theirs_fs - 1.0) > SAME:
        log.warning(
            "%s: files beside it say steps of %.6g fs; took --timestep-fs %g",
            path, theirs_fs, given_fs,
        )  # fmt: skip


def _require_one(
    table: Table, steps: NDArray[np.float64], time_fs: NDArray[np.float64], off_fs: float
) -> None:
    """Refuse times that are further off one line than rounding takes them.

    Times that are rounded to more than a step stand still and then go on by a unit of rounding,
    whatever the format: the smallest gap.
    """
    gaps_fs = np.diff(time_fs)
    rising = gaps_fs[gaps_fs > 0.0]
    rounding_fs = max(DIGITS * float(np.abs(time_fs).max()), float(rising.min(initial=np.inf)))
    if len(rising) and off_fs <= rounding_fs:
        return
    each_fs = gaps_fs / np.diff(steps)
    raise InputError(
        f"{table.path}: a step takes {each_fs.min():.4g} to {each_fs.max():.4g} fs; expected one "
        "time step: give the parts of the run one by one"
    )
