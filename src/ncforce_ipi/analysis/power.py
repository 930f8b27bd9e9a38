"""Power of the non-conservative part of the forces, from what a thermostat has to take out.

P = dC/dt of the conserved quantity C = K + V + E_thermostat, whose change is the work of forces
that aren't the gradient of V.  Forces without an energy have no V; then the slope of
K + E_thermostat is P as long as V is stationary on average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.drift import Drift, fit_drift
from ncforce_ipi.units import ELEMENTARY_CHARGE_C

W_PER_MEV_PER_PS = 1e-3 * ELEMENTARY_CHARGE_C / 1e-12


@dataclass(frozen=True)
class Power:
    """Power per atom.

    Attributes
    ----------
    rate : meV/atom/ps, with its 95 % interval
    temperature : drift of the temperature over the same samples, K/ps
    with_potential : whether a potential energy is part of what drifts
    """

    rate: Drift
    temperature: Drift
    with_potential: bool

    @property
    def watts(self) -> Drift:
        """The same in W/atom (slope and ci95; the rest in W ps)."""
        return self.rate.scaled(W_PER_MEV_PER_PS)

    @property
    def stationary(self) -> bool:
        """Whether the trend of T has an interval with 0 in it: power without V needs that."""
        return math.isfinite(self.temperature.ci95) and not self.temperature.significant


def nonconservative_power(
    time_ps: NDArray[np.float64],
    conserved_meV: NDArray[np.float64],
    temperature_K: NDArray[np.float64],
    potential_meV: NDArray[np.float64] | None = None,
    *,
    without_potential: bool = False,
) -> Power:
    """Slope of the conserved quantity, or of it less the potential energy.

    Parameters
    ----------
    time_ps : ``(n_samples,)``, ps, evenly spaced
    conserved_meV : ``(n_samples,)``, meV/atom
    temperature_K : ``(n_samples,)``, K
    potential_meV : ``(n_samples,)``, meV/atom; zero throughout if the forces have no energy
    without_potential : leave the potential energy out, for it isn't that of these forces

    Raises
    ------
    InputError
        As `drift.fit_drift`.
    """
    with_potential = potential_meV is None or (bool(potential_meV.any()) and not without_potential)
    series = conserved_meV
    if not with_potential and potential_meV is not None:
        series = conserved_meV - potential_meV
    return Power(
        fit_drift(time_ps, series, always=True), fit_drift(time_ps, temperature_K), with_potential
    )
