"""Velocity spectra c_vv of one or several trajectories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.lagged import FEWEST_BLOCKS
from ncforce_ipi.analysis.peaks import Peak, highest_peak
from ncforce_ipi.analysis.statistics import FEWEST_REPLICAS
from ncforce_ipi.analysis.vdos import MOST_NAMED, Spectrum, hydrogen_peaks
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.freedom import agreed
from ncforce_ipi.observables.velocities import Transform, kinetics, spectrum
from ncforce_ipi.result import Printed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Spectra(Printed):
    """c_vv of each species and of all; see `result.Result`.

    Attributes
    ----------
    spectrum : the curves
    how : how they were made
    freedom : label and text of what was taken for heat
    n_runs : replicas averaged
    """

    spectrum: Spectrum
    how: Transform
    freedom: tuple[tuple[str, str], ...] = ()
    n_runs: int = 1

    def lines(self) -> list[tuple[str, str]]:
        """See `result.Result`."""
        found, lines = self.spectrum, []
        for symbol, density in found.density.items():
            integral_K = integral(found, density)
            words = f"integral {integral_K:.1f} K"
            peak = _highest(found, density)
            if np.isfinite(peak.position):
                words += f", highest peak at {peak.position:.0f} cm^-1"
                if bands := found.folded_onto(peak.position):
                    pairs = ", ".join(band.pair for band in bands[:MOST_NAMED])
                    words += f", possibly folded ({pairs})"
            lines.append((f"c_vv of {symbol}", words))
        for name, peak in hydrogen_peaks(found).items():
            where = f"{peak.position:.0f} cm^-1" if np.isfinite(peak.position) else "none"
            lines.append((f"{name} of H", where))
        thz = found.frequency_THz[-1]
        errors = f"from {found.n_blocks} blocks ({FEWEST_BLOCKS} needed)"
        if self.n_runs >= FEWEST_REPLICAS:
            errors = f"from the spread of {self.n_runs} replicas"
        nyquist = f"{found.nyquist_per_cm:.0f} cm^-1 = {thz:.1f} THz"
        return [
            *lines,
            ("Nyquist frequency", ", ".join(filter(None, [nyquist, found.warning]))),
            ("resolution", f"{found.resolution_per_cm:.0f} cm^-1, window {self.how.window}"),
            *self.freedom,
            ("errors", f"one standard error, {errors}"),
        ]

    def to_dict(self) -> dict[str, Any]:
        """See `result.Result`."""
        found = self.spectrum
        numbers: dict[str, Any] = {}
        for symbol, density in found.density.items():
            numbers[f"integral_{symbol}_K"] = integral(found, density)
            numbers[f"cvv_{symbol}_at_zero_K_cm"] = float(density[0])
            peak = _highest(found, density)
            numbers[f"cvv_{symbol}_peak_per_cm"] = peak.position
            numbers[f"cvv_{symbol}_peak_possibly_folded"] = bool(found.folded_onto(peak.position))
        for name, peak in hydrogen_peaks(found).items():
            numbers[f"cvv_H_{name}_per_cm"] = peak.position
        return numbers | {
            "nyquist_per_cm": found.nyquist_per_cm,
            "resolution_per_cm": found.resolution_per_cm,
            "aliased": found.aliased,
            "highest_band_per_cm": found.folded[0].highest_per_cm if found.folded else None,
            "n_blocks": found.n_blocks,
        }

    def columns(self) -> dict[str, NDArray]:
        """Both axes, then density and error of each species and of all."""
        found = self.spectrum
        columns = {
            "wavenumber_per_cm": found.wavenumber_per_cm,
            "frequency_THz": found.frequency_THz,
        }
        for symbol, density in found.density.items():
            columns[f"cvv_{symbol}_K_cm"] = density
            columns[f"cvv_{symbol}_standard_error_K_cm"] = found.error[symbol]
        columns["total_K_cm"] = found.total
        columns["total_standard_error_K_cm"] = found.total_error
        return columns

    def figure(self) -> Figure:
        """See `result.Result`."""
        from ncforce_ipi.observables.figures import velocity_spectra as draw

        return draw(self.spectrum)


def measure(data: Dataset, how: Transform | None = None) -> Spectra:
    """c_vv of each species and of all; blocks of all trajectories together give the error.

    Raises
    ------
    InputError
        As `analysis.vdos.velocity_spectra`; no masses, no time step, too few frames.
    """
    how = how or Transform()
    found = spectrum(data, how)
    every = kinetics(data)
    return Spectra(found, how, tuple(agreed([one.words for one in every])), len(every))


def integral(found: Spectrum, density: NDArray[np.float64]) -> float:
    """Trapezoidal sum over the axis, K: the temperature of the frames used."""
    axis = found.wavenumber_per_cm
    return float(np.sum(0.5 * (density[1:] + density[:-1]) * np.diff(axis)))


def _highest(found: Spectrum, density: NDArray[np.float64]) -> Peak:
    return highest_peak(found.wavenumber_per_cm, density, 0.0, found.nyquist_per_cm)
