"""What the trajectories of a run directory tell: temperatures, spectra, g(r), diffusion.

Owns which frames feed which analysis, in what blocks, and what a run is too short for.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.diffusion import (
    SHARE,
    Diffusion,
    Displacement,
    displacements,
    einstein,
)
from ncforce_ipi.analysis.maxwell import Collector, Distribution
from ncforce_ipi.analysis.rdf import Rdf, largest_r, radial_distributions
from ncforce_ipi.analysis.temperature import atom_masses, kinetic_energy, species_temperatures
from ncforce_ipi.analysis.vdos import Spectrum, frames_per_block, velocity_spectra
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.properties import Table
from ncforce_ipi.reading.rundirectory import Clock, RunFacts, open_of

log = logging.getLogger(__name__)

BIN_WIDTH_A = 0.02  # a fifth of the O-H peak's width
FEWEST_FRAMES = 10
FEWEST_LAGS = 16
RDF_BLOCKS, RDF_BLOCK_FRAMES = 8, 256
DIFFUSIVE_PS, LONGEST_LAG_PS = 1.0, 5.0  # molecules have left their cages
FEWEST_DIFFUSIVE = 1.5  # the line ends at that many times its start, at least
MASS_TOLERANCE = 5e-6
"""Velocities with 6 digits and i-PI's unit table agree to 1e-6; wrong isotopes or tables don't."""


@dataclass(frozen=True)
class SpeciesTemperatures:
    """Kinetic temperature of each species at the frames of the velocities.

    Attributes
    ----------
    time_ps : ``(n_frames,)``, ps
    values_K : ``(n_frames,)``, K, for each symbol
    distributions : of the components of the velocities, for each symbol
    """

    time_ps: NDArray[np.float64]
    values_K: dict[str, NDArray[np.float64]]
    distributions: dict[str, Distribution]


def velocities(
    facts: RunFacts, table: Table, clock: Clock, lag_ps: float, notes: list[str]
) -> tuple[SpeciesTemperatures, Spectrum | None]:
    """Temperatures and spectra, in one pass over the file; ``lag_ps``: longest lag, ps."""
    trajectory = open_of(facts, facts.velocities)
    masses_u = atom_masses(trajectory.species, facts.masses_u)
    steps = trajectory.steps[trajectory.steps >= clock.from_step]
    if len(steps) == 0:
        raise InputError(f"{trajectory.path} ends before the start to discard; give --discard-ps")
    step_fs = (
        trajectory.stride(clock.from_step) * clock.step_fs if len(steps) > 1 else clock.step_fs
    )
    n_lags = int(min(1000.0 * lag_ps / step_fs, len(steps) / 4))
    per_block = frames_per_block(len(steps), max(n_lags, 1))
    series: dict[str, list[NDArray]] = {}
    kinetic_eV: list[NDArray] = []
    collector = Collector(trajectory.species, masses_u, facts.temperature_K)

    def stream() -> Iterator[NDArray[np.float64]]:
        blocks = trajectory.blocks(per_block, from_step=clock.from_step)
        for values in collector.watch(block.values for block in blocks):
            temperatures = species_temperatures(values, trajectory.species, masses_u)
            for symbol, one_K in temperatures.items():
                series.setdefault(symbol, []).append(one_K)
            kinetic_eV.append(kinetic_energy(values, masses_u))
            yield values

    spectrum = None
    if n_lags >= FEWEST_LAGS:
        spectrum = velocity_spectra(
            stream(), trajectory.species, masses_u, time_step_fs=step_fs, n_lags=n_lags
        )
    else:
        notes.append(f"no spectrum: {len(steps)} frames of velocities, {4 * FEWEST_LAGS} needed")
        for _ in stream():
            pass
    if facts.n_beads == 1:
        _check_masses(table, steps, np.concatenate(kinetic_eV))
    values_K = {symbol: np.concatenate(parts) for symbol, parts in series.items()}
    time_ps = 1e-3 * clock.step_fs * steps.astype(np.float64)
    return SpeciesTemperatures(time_ps, values_K, collector.distributions()), spectrum


def _check_masses(table: Table, steps: NDArray[np.int64], kinetic_eV: NDArray[np.float64]) -> None:
    """Warn where our masses and velocities don't give the kinetic energy that i-PI wrote."""
    in_table = np.isin(steps, table.column("step").astype(np.int64))
    rows = np.searchsorted(table.column("step"), steps[in_table])
    expected = table.column("kinetic_md", "electronvolt")[rows]
    if not len(expected) or not expected.any():
        return
    off = float(kinetic_eV[in_table].sum() / expected.sum() - 1.0)
    if abs(off) > MASS_TOLERANCE:
        log.warning(
            "kinetic energy of the velocities is off i-PI's by %.1e: are masses_u in run.json "
            "those of the run?",
            off,
        )


def rdfs(
    facts: RunFacts, clock: Clock | None, r_max_A: float | None, notes: list[str]
) -> dict[tuple[str, str], Rdf]:
    """g(r) of all pairs of species; ``r_max_A``: its end, A, None for as far as the cell allows."""
    if not (facts.directory / facts.positions).is_file():
        notes.append(f"no {facts.positions}: no g(r)")
        return {}
    trajectory = open_of(facts, facts.positions)
    from_step = clock.from_step if clock else 0
    n_frames = int(np.count_nonzero(trajectory.steps >= from_step))
    if n_frames == 0:
        notes.append(f"no g(r): {facts.positions} has no frame after the discarded start")
        return {}
    if n_frames < FEWEST_FRAMES:
        notes.append(f"g(r) from {n_frames} frames only: a snapshot, not an average")
    per_block = min(max(n_frames // RDF_BLOCKS, 1), RDF_BLOCK_FRAMES)
    room_A = min(largest_r(cell) for cell in trajectory.cells(from_step))  # a barostat changes it
    r_max_A = r_max_A or BIN_WIDTH_A * math.floor(room_A / BIN_WIDTH_A)
    blocks = (
        (block.values, block.cells) for block in trajectory.blocks(per_block, from_step=from_step)
    )
    n_bins = max(round(r_max_A / BIN_WIDTH_A), 1)
    return radial_distributions(blocks, trajectory.species, r_max_A, n_bins)


def diffusion(
    facts: RunFacts, clock: Clock | None, notes: list[str]
) -> tuple[dict[str, Diffusion], Displacement | None]:
    """Einstein's slope between 1 ps and the longest lag, an eighth of the run or 5 ps."""
    if clock is None or not (facts.directory / facts.positions).is_file():
        return {}, None
    trajectory = open_of(facts, facts.positions)
    n_frames = int(np.count_nonzero(trajectory.steps >= clock.from_step))
    step_fs = trajectory.stride(clock.from_step) * clock.step_fs if n_frames > 1 else math.inf
    longest_ps = min(LONGEST_LAG_PS, SHARE * 1e-3 * n_frames * step_fs) if n_frames > 1 else 0.0
    if longest_ps < FEWEST_DIFFUSIVE * DIFFUSIVE_PS:
        needed_ps = FEWEST_DIFFUSIVE * DIFFUSIVE_PS / SHARE
        notes.append(f"no diffusion coefficient: {needed_ps:g} ps of positions needed")
        return {}, None
    n_lags = int(1e3 * longest_ps / step_fs)
    per_block = n_frames // max(n_frames // (2 * n_lags), 1)
    blocks = (block.values for block in trajectory.blocks(per_block, from_step=clock.from_step))
    moved = displacements(blocks, trajectory.species, time_step_fs=step_fs, n_lags=n_lags)
    return einstein(moved, DIFFUSIVE_PS), moved
