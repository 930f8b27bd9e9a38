"""Velocity spectra c_vv of one or several trajectories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.peaks import highest_peak
from ncforce_ipi.analysis.vdos import (
    DEFAULT_PADDING,
    DEFAULT_WINDOW,
    Spectrum,
    frames_per_block,
    hydrogen_peaks,
    velocity_spectra,
)
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.replicas import Given, Replica, open_replicas, same_frame_fs
from ncforce_ipi.result import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAG_PS = 1.0
FEWEST_LAGS = 16


@dataclass(frozen=True)
class Transform:
    """How the spectrum is made: longest lag in ps (a quarter of a shorter run), window, padding."""

    lag_ps: float = LAG_PS
    window: str = DEFAULT_WINDOW
    padding: int = DEFAULT_PADDING


def measure(paths: Sequence[Path], given: Given, how: Transform) -> Finding:
    """c_vv of each species and of all; blocks of all trajectories together give the error.

    Raises
    ------
    InputError
        As `analysis.vdos.velocity_spectra`; no masses, no time step, too few frames.
    """
    replicas = open_replicas(paths, "velocities", given)
    found = spectrum(replicas, how)
    lines, numbers = [], {}
    for symbol, density in found.density.items():
        integral_K = float(np.trapezoid(density, found.wavenumber_per_cm))
        numbers[f"integral_{symbol}_K"] = integral_K
        numbers[f"cvv_{symbol}_at_zero_K_cm"] = float(density[0])
        peak = highest_peak(found.wavenumber_per_cm, density, 0.0, found.nyquist_per_cm)
        numbers[f"cvv_{symbol}_peak_per_cm"] = peak.position
        text = f"integral {integral_K:.1f} K"
        if np.isfinite(peak.position):
            text += f", highest peak at {peak.position:.0f} cm^-1"
        lines.append((f"c_vv of {symbol}", text))
    for name, peak in hydrogen_peaks(found).items():
        numbers[f"cvv_H_{name}_per_cm"] = peak.position
        where = f"{peak.position:.0f} cm^-1" if np.isfinite(peak.position) else "none"
        lines.append((f"{name} of H", where))
    numbers |= {
        "nyquist_per_cm": found.nyquist_per_cm,
        "resolution_per_cm": found.resolution_per_cm,
        "aliased": found.aliased,
        "n_blocks": found.n_blocks,
    }
    thz = found.frequency_THz[-1]
    nyquist = f"{found.nyquist_per_cm:.0f} cm^-1 = {thz:.1f} THz"
    lines += [
        ("Nyquist frequency", ", ".join(filter(None, [nyquist, found.warning]))),
        ("resolution", f"{found.resolution_per_cm:.0f} cm^-1, window {how.window}"),
        ("errors", f"one standard error, from {found.n_blocks} blocks (4 needed)"),
    ]
    return Finding(lines, numbers, columns_of(found), partial(_draw, found))


def spectrum(replicas: Sequence[Replica], how: Transform) -> Spectrum:
    """c_vv over all frames after the discarded starts."""
    frame_fs = same_frame_fs(replicas)
    shortest = min(len(replica.steps) for replica in replicas)
    n_lags = int(min(1e3 * how.lag_ps / frame_fs, shortest / 4))
    if n_lags < FEWEST_LAGS:
        raise InputError(
            f"{shortest} frames of velocities with lags of {how.lag_ps:g} ps; expected at least "
            f"{4 * FEWEST_LAGS} frames and {FEWEST_LAGS} lags: run longer, or write them more often"
        )
    return velocity_spectra(
        _blocks(replicas, n_lags),
        replicas[0].species,
        replicas[0].masses_u(),
        time_step_fs=frame_fs,
        n_lags=n_lags,
        fixed_com=replicas[0].fixed_com,
        window=how.window,
        padding=how.padding,
    )


def columns_of(found: Spectrum) -> dict[str, NDArray]:
    """Both axes, then density and error of each species and of all."""
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


def _blocks(replicas: Sequence[Replica], n_lags: int) -> Iterator[NDArray[np.float64]]:
    for replica in replicas:
        for block in replica.blocks(frames_per_block(len(replica.steps), n_lags)):
            yield block.values


def _draw(found: Spectrum) -> Figure:
    from ncforce_ipi.observables.figures import velocity_spectra as draw

    return draw(found)
