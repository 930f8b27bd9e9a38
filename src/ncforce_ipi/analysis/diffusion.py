"""Self-diffusion: from the line through displacements, from velocities, the size of the box."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.displacement import Displacement
from ncforce_ipi.analysis.statistics import combine, mean_of, number_text
from ncforce_ipi.analysis.vdos import Spectrum
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import (
    BOLTZMANN_EV_PER_K,
    EV_PER_A3_GPA,
    PER_FS_PER_CM,
    U_A2_PER_FS2_EV,
)

LATTICE_CONSTANT = 2.837297
"""xi of a cubic periodic box (Yeh, Hummer, J. Phys. Chem. B 108, 15873, 2004)."""


@dataclass(frozen=True)
class Diffusion:
    """A diffusion coefficient; both numbers in A^2/ps (1 A^2/ps = 1e-4 cm^2/s).

    Attributes
    ----------
    value, error : with one standard error; NaN where there is none
    reason : why there is none
    excess : what motion that is faster than the frames adds to it, roughly (`from_spectrum`)
    unsettled : how far it depends on the lags that it is from, roughly: slow vibrations of atoms
        about their places look like diffusion over less than a few periods
    """

    value: float
    error: float
    reason: str = ""
    excess: float = 0.0
    unsettled: float = 0.0

    @property
    def is_resolved(self) -> bool:
        """Whether both are less than two errors, or than a tenth of the value."""
        tolerated = max(0.1 * abs(self.value), 2.0 * np.nan_to_num(self.error))
        return self.excess <= tolerated and self.unsettled <= tolerated

    def over(self, reference: Diffusion) -> Diffusion:
        """The ratio to another run's, dimensionless; errors of the two are independent."""
        ratio = self.value / reference.value
        relative = math.hypot(self.error / self.value, reference.error / reference.value)
        reason = self.reason if math.isnan(self.error) else reference.reason
        return Diffusion(ratio, abs(ratio) * relative, reason)

    def text(self, unit: str = "") -> str:
        """Value and standard error, or the reason why there is none."""
        return number_text(self.value, self.error, unit, self.reason)


def einstein(displacement: Displacement) -> dict[str, Diffusion]:
    """D, a sixth of the slope of the line through the mean squared displacement.

    Its error is that of the mean of a series: the same line through the displacements that end in
    each frame, averaged over atoms.  What the series remembers, at least the lags of the line, is
    in it; a run that doesn't hold about 25 memories has none (`statistics.mean_of`).

    A displacement that swings about a plateau is no line, and its slope is that of the lags where
    the weights lie.  A sine of amplitude a = sqrt(2) rms that has a period or more in a line of
    span t changes the slope by 2 a / t at most: that is what ``unsettled`` takes the rms of the
    windows' means about the line for.  What relaxes more slowly than the lags, a molecule that
    turns or an atom that wanders in a cage, looks like a line too, of another slope at longer lags:
    where the run has them and the change is three of its errors or more, it is ``unsettled`` by
    that.
    """
    result = {}
    for symbol, squared_A2 in displacement.squared_A2.items():
        value = float(displacement.line_weights @ squared_A2[displacement.line_lags])
        runs = [one for one in displacement.slopes[symbol] if len(one)]
        found = combine([mean_of(one) for one in runs], [float(len(one)) for one in runs])
        swing = 2.0 * math.sqrt(2.0) * displacement.rms_off_line(symbol, value)
        unsettled = max(swing / (6.0 * displacement.span_ps), change(displacement, symbol))
        result[symbol] = Diffusion(value, found.error, found.reason, unsettled=unsettled)
    return result


def change(displacement: Displacement, symbol: str) -> float:
    """By how much longer lags make D another, A^2/ps; 0 where that may be chance."""
    if symbol not in displacement.beyond:
        return 0.0
    change, series = displacement.beyond[symbol]
    runs = [one for one in series if len(one)]
    found = combine([mean_of(one) for one in runs], [float(len(one)) for one in runs])
    return abs(change) if abs(change) > 3.0 * found.error else 0.0


def from_spectrum(
    spectrum: Spectrum,
    species: NDArray[np.str_],
    masses_u: NDArray[np.float64],
    dof: dict[str, float],
) -> dict[str, Diffusion]:
    """D from the velocity spectra at zero frequency, S(0) k_B dof / (12 N m): Green and Kubo's.

    S(0) is `Spectrum.at_rest`.  Right where half of the spectrum's lags exceed the memory of the
    velocities; 0.5 ps do for water at 300 K.

    A thermostat with strong friction changes velocities faster than the frames show, and the sum
    over frames counts that as diffusion.  Where S falls as the inverse square of the frequency, as
    with Langevin's friction, this adds a third of S at the Nyquist frequency; where velocities are
    uncorrelated from frame to frame, nearly all of it.  The excess is the third.

    Where velocities remember for longer than the lags, other lags give another value:
    ``unsettled`` is by how much.
    """
    result = {}
    for symbol, found in spectrum.at_rest.items():
        at = species == symbol
        mass_u = float(masses_u[at].sum())  # N m
        factor = BOLTZMANN_EV_PER_K * dof[symbol] / (12.0 * mass_u * U_A2_PER_FS2_EV)
        factor *= 1e3 * PER_FS_PER_CM  # K cm to K fs; A^2/fs to A^2/ps
        result[symbol] = Diffusion(
            factor * found.density, factor * found.error, found.reason,
            excess=factor * found.at_nyquist / 3.0, unsettled=factor * found.unsettled,
        )  # fmt: skip
    return result


def finite_size_correction(temperature_K: float, box_A: float, viscosity_mPa_s: float) -> float:
    """What a cubic periodic box takes off D: k_B T xi / (6 pi eta L), A^2/ps; add it.

    Source: Yeh, Hummer, J. Phys. Chem. B 108, 15873 (2004); Duenweg, Kremer, J. Chem. Phys. 99,
    6983 (1993).
    """
    for name, value in (("box", box_A), ("viscosity", viscosity_mPa_s)):
        if not value > 0.0:
            raise InputError(f"{name} must be positive, got {value}")
    viscosity = viscosity_mPa_s / EV_PER_A3_GPA  # mPa s = 1e-12 GPa s = GPa ps, in eV ps / A^3
    return (
        BOLTZMANN_EV_PER_K * temperature_K * LATTICE_CONSTANT / (6.0 * math.pi * viscosity * box_A)
    )
