"""The figures of observables.  Owns what is drawn; how it looks is in `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ncforce_ipi import plots
from ncforce_ipi.analysis.diffusion import Diffusion
from ncforce_ipi.analysis.displacement import Displacement
from ncforce_ipi.analysis.maxwell import Distribution
from ncforce_ipi.analysis.rdf import Rdf, main_peak
from ncforce_ipi.analysis.statistics import Mean, block_error, with_error
from ncforce_ipi.analysis.vdos import Spectrum, hydrogen_peaks
from ncforce_ipi.observables.disagreement import RunDisagreement
from ncforce_ipi.observables.drift import RunDrift
from ncforce_ipi.observables.power import RunPower

BEYOND_MOLECULE_A = 2.0
"""g(r) is scaled to what lies beyond: the peaks of a molecule's own bonds are ten times higher."""


def drifts(runs: Sequence[RunDrift]) -> Figure:
    """Conserved quantity and temperature of each run over time, with the fitted lines.

    Grey: the discarded start of a single run.  Dotted: a runaway, where the fits end.
    """
    both = any(run.conserved is not None for run in runs)
    figure, panels = plots.figure(2 if both else 1, share_x=True)
    heat = panels[-1]
    for rank, run in enumerate(runs):
        shade = plots.PALETTE[rank % len(plots.PALETTE)]
        line = plots.colour("line", rank)
        label = plots.words(run.name) if len(runs) > 1 else None
        time_ps, values = plots.thin(run.whole.time_ps, run.whole.temperature_K)
        heat.plot(time_ps, values, color=shade, linewidth=0.8, alpha=0.6, label=label)
        plots.trend(heat, run.temperature, "K/ps", line)
        if run.conserved is not None and run.whole.conserved_meV is not None:
            time_ps, values = plots.thin(run.whole.time_ps, run.whole.conserved_meV)
            panels[0].plot(time_ps, values, color=shade, linewidth=1.0)
            plots.trend(panels[0], run.conserved, "meV/atom/ps", line)
        if run.window.runaway_ps is not None:
            for panel in panels:
                panel.axvline(run.window.runaway_ps, color="0.4", linestyle=":", linewidth=1.2)
    if len(runs) > 1:
        for panel in panels:
            panel.set_title("")
        figure.legend(loc="outside upper center", ncols=2)
    else:
        start_ps = float(runs[0].whole.time_ps[0])
        discarded_ps = start_ps + runs[0].window.discarded_ps
        heat.axvspan(start_ps, discarded_ps, color="0.9", linewidth=0, zorder=0)
        heat.set_xlim(start_ps, max(float(runs[0].whole.time_ps[-1]), start_ps + 1e-6))
    heat.set(xlabel="time (ps)", ylabel="temperature (K)")
    if both:
        panels[0].set(ylabel="conserved, from start\n(meV/atom)")
    return figure


def powers(runs: Sequence[RunPower]) -> Figure:
    """Work of the forces over time, with the line whose slope is the power."""
    figure, (panel,) = plots.figure(1, height_in=3.6)
    for rank, run in enumerate(runs):
        time_ps, values = plots.thin(run.series.time_ps, run.work_meV)
        shade = plots.PALETTE[rank % len(plots.PALETTE)]
        panel.plot(
            time_ps, values, color=shade, linewidth=0.9, alpha=0.7, label=plots.words(run.name)
        )
        start = np.asarray(run.series.conserved_meV)[0]
        if not run.power.with_potential and run.series.potential_meV is not None:
            start = start - run.series.potential_meV[0]
        panel.plot(time_ps, run.power.rate.at(time_ps) - start, color=plots.colour("line"))
    if len(runs) > 1:
        figure.legend(loc="outside upper center", ncols=2)
    else:
        words = runs[0].power.rate.text("meV/atom/ps").replace("+-", "±")
        panel.set_title(words, color=plots.colour("line"))
    panel.set(xlabel="time (ps)", ylabel="work of the forces\n(meV/atom)")
    return figure


def disagreements(runs: Sequence[RunDisagreement]) -> Figure:
    """Slow - fast over time, each species where there are several; dashed: the card's limit."""
    figure, (panel,) = plots.figure(1, height_in=3.2)
    for number, run in enumerate(runs):
        shown = run.rms if len(runs) == 1 else {run.name: run.rms["all"]}
        for rank, (name, series) in enumerate(shown.items(), start=number):
            at, values = plots.thin(run.time_ps, series)
            shade = plots.colour(name, rank)
            panel.plot(at, values, color=shade, linewidth=1.0, label=plots.words(name))
        if run.upper is not None:
            panel.axhline(run.upper, color="0.4", linestyle="--", linewidth=1.2)
    panel.legend(ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    panel.set(xlabel="time (ps)", ylabel="slow - fast, rms\n(eV/Å)", ylim=(0.0, None))
    return figure


def radial_distributions(
    rdfs: Mapping[tuple[str, str], Rdf], *, coordination: bool = False
) -> Figure:
    """g(r), one panel a pair, with the band of one standard error and the peak's place.

    With ``coordination`` the running number of neighbours, dashed, on an axis of its own.
    """
    figure, panels = plots.figure(len(rdfs), share_x=True, height_in=2.3)
    for rank, (panel, ((a, b), rdf)) in enumerate(zip(panels, rdfs.items(), strict=True)):
        panel.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
        plots.band(panel, rdf.r_A, rdf.g, rdf.error, plots.PALETTE[rank % len(plots.PALETTE)])
        beyond = float(rdf.g[rdf.r_A > BEYOND_MOLECULE_A].max(initial=1.0))
        panel.set(ylabel=plots.of_pair(a + b), ylim=(0.0, 1.3 * beyond))
        peak = main_peak(rdf)
        if np.isfinite(peak.position):
            plots.mark(panel, peak.position, peak.height, f"{peak.position:.2f} Å")
        if coordination:
            count = panel.twinx()
            half = 0.5 * (rdf.r_A[1] - rdf.r_A[0]) if len(rdf.r_A) > 1 else 0.0
            count.plot(rdf.r_A + half, rdf.coordination, "--", color="0.4", linewidth=1.2)
            count.spines["right"].set_visible(True)
            count.set(ylabel=plots.words(f"{b} around {a} (- -)"), ylim=(0.0, None))
    panels[-1].set(xlabel="distance $r$ (Å)", xlim=(0.0, None))
    return figure


def velocity_spectra(spectrum: Spectrum) -> Figure:
    """Velocity spectra, one panel a species, and all of them; to the Nyquist frequency.

    THz on top; bands of one standard error.
    """
    shown = {name: (density, spectrum.error[name]) for name, density in spectrum.density.items()}
    if len(shown) > 1:
        shown["all"] = (spectrum.total, spectrum.total_error)
    figure, panels = plots.figure(len(shown), share_x=True, height_in=2.6)
    axis = spectrum.wavenumber_per_cm
    for rank, (panel, (name, (density, error))) in enumerate(
        zip(panels, shown.items(), strict=True)
    ):
        plots.band(panel, axis, density, error, plots.colour(name, rank))
        label = (
            "density of states\nof all atoms"
            if name == "all"
            else f"$c_{{vv}}$ of {plots.words(name)}"
        )
        panel.set(ylabel=f"{label} (K cm)", ylim=(0.0, 1.25 * float(density.max())))
        if name == "H":
            for band, peak in hydrogen_peaks(spectrum).items():
                if np.isfinite(peak.position):
                    plots.mark(panel, peak.position, peak.height, f"{band} {peak.position:.0f}")
    panels[-1].set(xlabel="wavenumber (cm$^{-1}$)", xlim=(0.0, axis[-1]))
    _second_axis(panels[0], spectrum)
    words = [
        f"resolution {spectrum.resolution_per_cm:.0f} cm$^{{-1}}$",
        f"Nyquist {spectrum.nyquist_per_cm:.0f} cm$^{{-1}}$",
        spectrum.warning,
    ]
    panels[-1].set_title(", ".join(filter(None, words)), loc="right", fontsize=12.0)
    return figure


def temperatures_and_distributions(
    values_K: Mapping[str, NDArray[np.float64]],
    distributions: Mapping[str, Distribution],
    means: Mapping[str, Mean],
    time_ps: NDArray[np.float64] | None = None,
) -> Figure:
    """Running temperatures of each species, their means with bands of one standard error; their
    velocities against Maxwell and Boltzmann.  Over frames where nothing says their time.

    The second panel has a logarithmic axis, on which a Gaussian is a parabola, and one species
    above the other by a factor of ten.
    """
    figure, (heat, shape) = plots.figure(2)
    for rank, (name, series) in enumerate(values_K.items()):
        frames = np.arange(len(series), dtype=np.float64) if time_ps is None else time_ps
        at, smooth_K = _running_mean(frames, series)
        shade, mean = plots.colour(name, rank), means[name]
        words = f"{plots.words(name)}: {_short(mean)}"
        heat.plot(at, smooth_K, color=shade, linewidth=1.2, label=words.replace("+-", "±"))
        if np.isfinite(mean.error):
            band = (mean.value - mean.error, mean.value + mean.error)
            heat.axhspan(*band, color=shade, alpha=0.3, linewidth=0)
    heat.set(xlabel="frame" if time_ps is None else "time (ps)", ylabel="temperature (K)")
    heat.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, fontsize=11.0)
    for rank, (name, found) in enumerate(distributions.items()):
        shade, factor = plots.colour(name, rank), 10.0**-rank
        seen = found.density > 0.0
        shape.errorbar(
            found.scaled[seen], factor * found.density[seen],
            yerr=np.nan_to_num(factor * found.error[seen]),
            fmt=".", color=shade, label=plots.words(name) + (f" / {10**rank}" if rank else ""),
        )  # fmt: skip
        shape.plot(found.scaled, factor * found.gaussian, color=shade, linewidth=1.0)
    shape.set(
        yscale="log",
        xlabel=r"component of velocity / $\sigma$",
        ylabel=r"density (1/$\sigma$)",
        xlim=(-5, 5),
    )
    shape.set_ylim(bottom=1e-7 * 10.0 ** -len(distributions))
    shape.set_title("lines: Maxwell and Boltzmann", fontsize=12.0)
    shape.legend()
    return figure


def _short(mean: Mean) -> str:
    """For a legend: without the reason where there is no error."""
    if np.isfinite(mean.error):
        return f"{with_error(mean.value, mean.error)} K"
    return f"{mean.value:.3g} K"


def displacement(
    moved: Displacement, coefficients: Mapping[str, Diffusion], from_ps: float
) -> Figure:
    """Mean squared displacement of each species over the lag, with the lines of slope 6 D."""
    figure, (panel,) = plots.figure(1, height_in=3.8)
    late = moved.lag_ps >= from_ps
    for rank, (name, values) in enumerate(moved.squared_A2.items()):
        shade, blocks = plots.colour(name, rank), moved.blocks_A2[name]
        error = block_error(blocks, moved.weights[:, 0])
        found = coefficients.get(name)
        plots.band(panel, moved.lag_ps, values, error, shade)
        if found is None:
            panel.plot([], [], color=shade, label=f"{plots.words(name)}: D not resolved")
            continue
        words = f"{plots.words(name)}: D = {with_error(found.value, found.error)} Å$^2$/ps"
        if not np.isfinite(found.error):
            words = f"{plots.words(name)}: D = {found.value:.3g} Å$^2$/ps"
        time_ps = moved.lag_ps[late]
        line = values[late].mean() + 6.0 * found.value * (time_ps - time_ps.mean())
        panel.plot(time_ps, line, "--", color="black", linewidth=1.2)
        panel.plot([], [], color=shade, label=words.replace("+-", "±"))
    panel.set(xlabel="lag (ps)", ylabel="mean squared displacement (Å$^2$)", ylim=(0.0, None))
    panel.legend()
    return figure


def _second_axis(panel: Axes, spectrum: Spectrum) -> None:
    ratio = float(spectrum.frequency_THz[-1] / spectrum.wavenumber_per_cm[-1])
    both_ways = (partial(np.multiply, ratio), partial(np.multiply, 1.0 / ratio))
    top = panel.secondary_xaxis("top", functions=both_ways)
    top.set(xlabel="frequency (THz)")


def _running_mean(
    time_ps: NDArray[np.float64], series: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Means over a fiftieth of the series, so that the species can be told apart by eye."""
    width = max(len(series) // 50, 1)
    kernel = np.full(width, 1.0 / width)
    return plots.thin(*(np.convolve(values, kernel, "valid") for values in (time_ps, series)))
