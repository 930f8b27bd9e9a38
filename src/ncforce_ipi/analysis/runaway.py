"""When the physics of a run is gone: one rule for the launcher and for every observable."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.units import BOLTZMANN_EV_PER_K

HOT = 1.5
"""Times the reference temperature.  192 atoms fluctuate by 6 % (sqrt(2 / 3N), canonical)."""
SIGMAS = 10.0
"""Of 3 degrees of freedom one sample in 2e5 is beyond that, of 9 one in 2e7: tails are long."""
FAR_TOO_HOT = 10.0
"""The same for a run that is stopped, whatever it is for; measuring it ends earlier."""


def kinetic_meV(temperature_K: float) -> float:
    """Kinetic energy of an atom at a temperature, 3/2 k_B T, meV."""
    return 1.5e3 * BOLTZMANN_EV_PER_K * temperature_K


def lost(
    temperature_K: NDArray[np.float64] | float,
    moved_meV: NDArray[np.float64] | float | None,
    reference_K: float,
    hot: float,
) -> NDArray[np.bool_]:
    """Which samples show that the physics is gone, each for itself; see `before_runaway`.

    Parameters
    ----------
    temperature_K : any shape, K
    moved_meV : the same shape; change of the conserved quantity since the start, meV/atom; None
        where it isn't written
    reference_K : T_ref, K
    hot : dimensionless, > 1
    """
    calm = np.asarray(temperature_K) <= hot * reference_K  # NaN compares False
    if moved_meV is None:
        return ~calm
    finite = np.isfinite(temperature_K) & np.isfinite(moved_meV)
    kept = np.abs(moved_meV) <= (hot - 1.0) * kinetic_meV(reference_K)
    return ~(finite & (calm | kept))


def hottest(dof: float) -> float:
    """Times the reference temperature that so many degrees of freedom don't reach by chance.

    sqrt(2 / dof) is the relative standard deviation; for where nothing but T tells.
    """
    return max(HOT, 1.0 + SIGMAS * math.sqrt(2.0 / dof))


def before_runaway(
    temperature_K: NDArray[np.float64],
    conserved_meV: NDArray[np.float64] | None,
    reference_K: float,
    hot: float = HOT,
) -> NDArray[np.bool_]:
    """Samples before the forces' own work has heated the system beyond recognition.

    A run is lost from the first sample on at which both are true:

    - T > hot T_ref: it is hotter than equilibrium fluctuations make it;
    - |C - C(0)| > (hot - 1) 3/2 k_B T_ref: the conserved quantity has changed by as much as that
      heat takes in kinetic energy alone (with the potential's share it takes about twice that).

    A start that isn't equilibrated gets as hot, but what heats it is its own potential energy: C
    stays.  A thermostat that takes heat out changes C, but not T.  A value that isn't finite counts
    as both.  Without a conserved quantity the first alone decides.

    Parameters
    ----------
    temperature_K : ``(n_samples,)``, K
    conserved_meV : ``(n_samples,)``, meV/atom; None where it isn't written
    reference_K : T_ref, of the ensemble or of the start, K
    hot : dimensionless, > 1

    Returns
    -------
    ``(n_samples,)``, True up to the first such sample, False from there on
    """
    moved_meV = None
    if conserved_meV is not None and len(conserved_meV):
        moved_meV = conserved_meV - conserved_meV[0]
    return np.logical_and.accumulate(~lost(temperature_K, moved_meV, reference_K, hot))
