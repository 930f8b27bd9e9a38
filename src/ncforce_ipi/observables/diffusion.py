"""Diffusion coefficients from displacements and from velocities, next to each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.diffusion import (
    FEWEST_LAGS,
    SHARE,
    Diffusion,
    Displacement,
    displacements,
    einstein,
    finite_size_correction,
    from_spectrum,
)
from ncforce_ipi.analysis.statistics import with_error
from ncforce_ipi.analysis.temperature import degrees_of_freedom
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.vdos import Transform, spectrum
from ncforce_ipi.reading.replicas import Given, Replica, open_replicas, same_frame_fs, trajectory_in
from ncforce_ipi.reading.trajectory import open_trajectory
from ncforce_ipi.result import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Fit:
    """Where the line lies, and what corrects for the box.

    Attributes
    ----------
    from_ps : start of the line through the mean squared displacement, ps
    lag_ps : its end, ps; an eighth of a shorter run
    memory_ps : longest lag of the velocity autocorrelation, ps
    viscosity_mPa_s : of the liquid, for the correction of a cubic box
    """

    from_ps: float = 1.0
    lag_ps: float = 5.0
    memory_ps: float = 1.0
    viscosity_mPa_s: float | None = None


@dataclass(frozen=True)
class Coefficients:
    """Of each species, A^2/ps: Einstein's slope, and the velocity spectrum at zero frequency."""

    by_displacement: dict[str, Diffusion]
    by_velocity: dict[str, Diffusion]
    displacement: Displacement | None


def measure(
    paths: Sequence[Path], given: Given, fit: Fit, reference: Sequence[Path] = ()
) -> Finding:
    """Coefficients of one or several trajectories, and their ratios to those of reference runs.

    Parameters
    ----------
    paths : files of positions, of velocities, of both, or directories that hold them
    given, fit : what the user says
    reference : likewise, of the run to compare with

    Raises
    ------
    InputError
        Too few frames, no time step, no masses, a box that isn't cubic with a viscosity.
    """
    places, motions = _sorted(paths)
    found = _coefficients(places, motions, given, fit)
    lines, numbers = [], {}
    for way, label, values in _ways(found):
        for name, one in values.items():
            numbers[f"diffusion_{name}_{way}_A2_per_ps"] = one.value
            numbers[f"diffusion_{name}_{way}_standard_error_A2_per_ps"] = one.error
            lines.append((f"D, {name}", f"{_text(one)} A^2/ps, {label}"))
    if fit.viscosity_mPa_s is not None and places:
        correction = _correction(places, given, fit)
        numbers["finite_size_correction_A2_per_ps"] = correction
        lines.append(("finite size", f"add {correction:.3g} A^2/ps (Yeh, Hummer, cubic box)"))
    if reference:
        other = _coefficients(*_sorted(reference), given, fit)
        for (way, label, values), (_, _, theirs) in zip(_ways(found), _ways(other), strict=True):
            for name in values.keys() & theirs.keys():
                ratio = values[name].over(theirs[name])
                numbers[f"ratio_{name}_{way}"] = ratio.value
                numbers[f"ratio_{name}_{way}_standard_error"] = ratio.error
                lines.append((f"D / reference, {name}", f"{_text(ratio)}, {label}"))
    lines.append(("errors", "one standard error, from blocks; 1 A^2/ps = 1e-4 cm^2/s"))
    return Finding(lines, numbers, _columns(found), partial(_draw, found, fit))


def _text(one: Diffusion) -> str:
    if math.isnan(one.error):
        return f"{one.value:.3g} (too few blocks for an error)"
    return with_error(one.value, one.error)


def _ways(found: Coefficients) -> list[tuple[str, str, dict[str, Diffusion]]]:
    return [
        ("einstein", "Einstein's slope", found.by_displacement),
        ("green_kubo", "velocity spectrum at zero", found.by_velocity),
    ]


def _sorted(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Files of positions and files of velocities; of a directory both, where it has them."""
    places, motions = [], []
    for path in paths:
        if path.is_dir():
            places.append(trajectory_in(path, "positions"))
            try:
                motions.append(trajectory_in(path, "velocities"))
            except InputError:
                continue
        elif open_trajectory(path).quantity == "positions":
            places.append(path)
        else:
            motions.append(path)
    return places, motions


def _coefficients(
    places: Sequence[Path], motions: Sequence[Path], given: Given, fit: Fit
) -> Coefficients:
    moved, by_displacement, by_velocity = None, {}, {}
    if places:
        moved = _displacement(open_replicas(places, "positions", given), fit)
        by_displacement = einstein(moved, fit.from_ps)
    if motions:
        replicas = open_replicas(motions, "velocities", given)
        first = replicas[0]
        masses_u = first.masses_u()
        dof = {
            str(symbol): degrees_of_freedom(
                masses_u, first.species == symbol, fixed_com=first.fixed_com
            )
            for symbol in np.unique(first.species)
        }
        found = spectrum(replicas, Transform(lag_ps=fit.memory_ps))
        by_velocity = from_spectrum(found, first.species, masses_u, dof)
    return Coefficients(by_displacement, by_velocity, moved)


def _displacement(replicas: Sequence[Replica], fit: Fit) -> Displacement:
    frame_fs = same_frame_fs(replicas)
    shortest = min(len(replica.steps) for replica in replicas)
    n_lags = int(min(1e3 * fit.lag_ps / frame_fs, shortest * SHARE)) + 1
    if n_lags < FEWEST_LAGS or 1e-3 * frame_fs * (n_lags - 2) < fit.from_ps:
        raise InputError(
            f"{shortest} frames, {frame_fs:g} fs apart: lags reach "
            f"{1e-3 * frame_fs * (n_lags - 1):.3g} ps, an eighth of the run; expected more than "
            f"--from-ps {fit.from_ps:g} ps: run longer, or give a smaller one"
        )

    def blocks() -> Iterator[NDArray[np.float64]]:
        for replica in replicas:
            n_frames = len(replica.steps)
            for block in replica.blocks(n_frames // max(n_frames // (2 * n_lags), 1)):
                yield block.values

    return displacements(blocks(), replicas[0].species, time_step_fs=frame_fs, n_lags=n_lags)


def _correction(places: Sequence[Path], given: Given, fit: Fit) -> float:
    """Of Yeh and Hummer, A^2/ps."""
    (replica, *_) = open_replicas(places, "positions", given)
    cell = next(replica.trajectory.cells(replica.from_step))
    edges = np.linalg.norm(cell, axis=1)
    off_diagonal = cell @ cell.T - np.diag(edges**2)
    if not edges[0] > 0.0 or np.ptp(edges) > 1e-3 * edges[0] or abs(off_diagonal).max() > 1e-3:
        raise InputError(
            f"cell of {', '.join(f'{edge:.4g}' for edge in edges)} A; expected a cubic one for the "
            "finite-size correction: leave out --viscosity-mPa-s"
        )
    if replica.temperature_K is None:
        raise InputError("the finite-size correction needs a temperature; give --temperature-K")
    viscosity = fit.viscosity_mPa_s if fit.viscosity_mPa_s is not None else math.nan
    return finite_size_correction(replica.temperature_K, float(edges[0]), viscosity)


def _columns(found: Coefficients) -> dict[str, NDArray]:
    moved = found.displacement
    if moved is None:
        names = list(found.by_velocity)
        return {f"diffusion_{name}_green_kubo_A2_per_ps": np.array([found.by_velocity[name].value])
                for name in names}  # fmt: skip
    columns = {"lag_ps": moved.lag_ps}
    columns |= {f"msd_{name}_A2": values for name, values in moved.squared_A2.items()}
    return columns


def _draw(found: Coefficients, fit: Fit) -> Figure:
    from ncforce_ipi.observables import figures

    if found.displacement is None:
        raise InputError("--plot of a diffusion coefficient draws displacements; give positions")
    return figures.displacement(found.displacement, found.by_displacement, fit.from_ps)
