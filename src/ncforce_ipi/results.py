"""A run directory in, its results out: what ``ncforce analyze`` computes.

Owns the order of things: which column and which frames feed which analysis, and what a run is too
short for.  Knows i-PI's files through `outputs` only; writes nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.diffusion import Diffusion, displacements, einstein
from ncforce_ipi.analysis.drift import FEWEST_SAMPLES, Drift, before_runaway, fit_drift
from ncforce_ipi.analysis.maxwell import Collector, Distribution
from ncforce_ipi.analysis.rdf import Rdf, largest_r, radial_distributions
from ncforce_ipi.analysis.statistics import Mean, mean_of, require_finite
from ncforce_ipi.analysis.temperature import (
    atom_masses,
    kinetic_energy,
    species_temperatures,
    temperature,
)
from ncforce_ipi.analysis.vdos import Spectrum, frames_per_block, velocity_spectra
from ncforce_ipi.errors import InputError
from ncforce_ipi.outputs import Table, read_properties
from ncforce_ipi.rundirectory import (
    PROPERTIES,
    Clock,
    RunFacts,
    open_of,
    read_facts,
)
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

log = logging.getLogger(__name__)

BIN_WIDTH_A = 0.02  # a fifth of the O-H peak's width
DISCARD_PS = 0.1  # kinetic and potential energy of a new start have shared by then
FEWEST_FRAMES = 10
FEWEST_LAGS = 16
RDF_BLOCKS, RDF_BLOCK_FRAMES = 8, 256
DIFFUSIVE_PS, LONGEST_LAG_PS = 1.0, 5.0  # molecules have left their cages; a run has four such
PATH_INTEGRAL = (
    "path integral of {} beads: trajectories are of centroids, whose g(r) is sharper than that of "
    "the atoms and whose c_vv is an approximation (CMD, TRPMD); all-atom T is of the beads' momenta"
)
MASS_TOLERANCE = 5e-6
"""Velocities with 6 digits and i-PI's unit table agree to 1e-6; wrong isotopes or tables don't."""


@dataclass(frozen=True)
class Options:
    """What a user may choose.

    Attributes
    ----------
    discard_ps : time left out at the start of all statistics, ps; None for a tenth of the run, at
        most `DISCARD_PS`
    r_max_A : end of g(r), A; None for half the smallest height of the cell
    lag_ps : longest lag of the velocity autocorrelation, ps; a quarter of a shorter run
    """

    discard_ps: float | None = None
    r_max_A: float | None = None
    lag_ps: float = 1.0


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


@dataclass(frozen=True)
class Results:
    """All that is computed of a run; None where files are missing or the run is too short.

    Attributes
    ----------
    facts : of the run
    discarded_ps : time left out at the start, ps
    time_ps : ``(n_samples,)``, ps, the whole run
    conserved_meV : ``(n_samples,)``, meV/atom, less its first value
    temperature_K : ``(n_samples,)``, K, all atoms
    runaway_ps : time at which T passes 1.5 times the start temperature, ps; None if it doesn't
    drift_conserved : meV/atom/ps, from the start (nothing has to relax) to a runaway
    drift_temperature : K/ps, after the discarded start, to a runaway
    mean_temperatures : ``all`` and each species, K
    species : temperatures over time
    rdfs : of each pair of species
    spectrum : of the velocities
    diffusion : of each species in this box, A^2/ps
    notes : what could not be computed or should be known, one sentence each
    """

    facts: RunFacts
    discarded_ps: float
    time_ps: NDArray[np.float64]
    conserved_meV: NDArray[np.float64]
    temperature_K: NDArray[np.float64]
    runaway_ps: float | None
    drift_conserved: Drift | None
    drift_temperature: Drift | None
    mean_temperatures: dict[str, Mean]
    species: SpeciesTemperatures | None
    rdfs: dict[tuple[str, str], Rdf]
    spectrum: Spectrum | None
    diffusion: dict[str, Diffusion]
    notes: tuple[str, ...]

    @property
    def drift_over_sigma_kinetic(self) -> float | None:
        """|Drift of the conserved quantity over the run| / fluctuation of the kinetic energy.

        mlipaudit and ml-peg ask for 1 at most.  None without a drift.
        """
        if self.drift_conserved is None:
            return None
        calm = self.time_ps < (math.inf if self.runaway_ps is None else self.runaway_ps)
        used = calm & (self.time_ps >= self.discarded_ps)
        kelvin_meV = 0.5e3 * BOLTZMANN_EV_PER_K * self.facts.dof / self.facts.n_atoms
        sigma_meV = kelvin_meV * float(np.std(self.temperature_K[used]))
        run_ps = float(self.time_ps[calm][-1] - self.time_ps[0])
        return abs(self.drift_conserved.slope) * run_ps / sigma_meV if sigma_meV > 0 else None


def analyse(directory: Path, options: Options) -> Results:
    """Analyse a run directory; trajectories are streamed, one block of frames in memory.

    Raises
    ------
    InputError
        No run, no samples after ``discard_ps``, files that contradict each other, values that
        aren't finite.
    """
    facts = read_facts(directory)
    table = read_properties(directory / PROPERTIES)
    time_ps = table.column("time", "picosecond")
    conserved_meV = 1000.0 / facts.n_atoms * table.column("conserved", "electronvolt")
    kinetic_eV = table.column("kinetic_md", "electronvolt")
    for name, series in (("conserved", conserved_meV), ("kinetic_md", kinetic_eV)):
        require_finite(series, f"{table.path}: {name}")
    temperature_K = temperature(kinetic_eV, facts.dof)
    discard_ps = options.discard_ps
    if discard_ps is None:
        discard_ps = min(DISCARD_PS, 0.1 * float(time_ps[-1]))
    used = time_ps >= discard_ps
    if not used.any():
        raise InputError(
            f"{table.path} ends at {time_ps[-1]:g} ps; expected more than the "
            f"{discard_ps:g} ps to discard: run longer, or give --discard-ps"
        )
    conserved_meV = conserved_meV - conserved_meV[0]
    calm = before_runaway(temperature_K, facts.temperature_K)
    notes: list[str] = [PATH_INTEGRAL.format(facts.n_beads)] if facts.n_beads > 1 else []
    clock = Clock.of(table, discard_ps)
    mean_temperatures = {"all": mean_of(temperature_K[used])}
    species = spectrum = None
    if (directory / facts.velocities).is_file() and clock:
        species, spectrum = _velocities(facts, table, clock, options, notes)
        for symbol, values in species.values_K.items():
            mean_temperatures[symbol] = mean_of(values)
    else:
        notes.append(
            f"no {facts.velocities} or a single step: no temperatures of species, no spectrum"
        )
    return Results(
        facts=facts,
        discarded_ps=discard_ps,
        time_ps=time_ps,
        conserved_meV=conserved_meV,
        temperature_K=temperature_K,
        runaway_ps=None if calm.all() else float(time_ps[np.argmin(calm)]),
        drift_conserved=_drift("conserved quantity", time_ps, conserved_meV, calm, notes),
        drift_temperature=_drift("temperature", time_ps, temperature_K, used & calm, notes),
        mean_temperatures=mean_temperatures,
        species=species,
        rdfs=_rdfs(facts, clock, options, notes),
        spectrum=spectrum,
        diffusion=_diffusion(facts, clock, notes),
        notes=tuple(notes),
    )


def _drift(
    name: str, time_ps: NDArray, series: NDArray, chosen: NDArray[np.bool_], notes: list[str]
) -> Drift | None:
    n_samples = np.count_nonzero(chosen)
    if n_samples < FEWEST_SAMPLES:
        notes.append(
            f"no drift of the {name}: {n_samples} samples before the end or runaway, "
            f"{FEWEST_SAMPLES} needed"
        )
        return None
    drift = fit_drift(time_ps, series, up_to=chosen)
    if math.isnan(drift.ci95):
        notes.append(
            f"no interval for the drift of the {name}: its deviations from a line remember the "
            "whole run; run longer"
        )
    return drift


def _velocities(
    facts: RunFacts, table: Table, clock: Clock, options: Options, notes: list[str]
) -> tuple[SpeciesTemperatures, Spectrum | None]:
    """Both things that velocities tell, in one pass over the file."""
    trajectory = open_of(facts, facts.velocities)
    masses_u = atom_masses(trajectory.species, facts.masses_u)
    steps = trajectory.steps[trajectory.steps >= clock.from_step]
    if len(steps) == 0:
        raise InputError(f"{trajectory.path} ends before the start to discard; give --discard-ps")
    step_fs = (
        trajectory.stride(clock.from_step) * clock.step_fs if len(steps) > 1 else clock.step_fs
    )
    n_lags = int(min(1000.0 * options.lag_ps / step_fs, len(steps) / 4))
    per_block = frames_per_block(len(steps), max(n_lags, 1))
    series: dict[str, list[NDArray]] = {}
    kinetic_eV: list[NDArray] = []
    collector = Collector(trajectory.species, masses_u, facts.temperature_K)

    def stream() -> Iterator[NDArray[np.float64]]:
        blocks = trajectory.blocks(per_block, from_step=clock.from_step)
        for velocities in collector.watch(block.values for block in blocks):
            temperatures = species_temperatures(velocities, trajectory.species, masses_u)
            for symbol, values in temperatures.items():
                series.setdefault(symbol, []).append(values)
            kinetic_eV.append(kinetic_energy(velocities, masses_u))
            yield velocities

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


def _rdfs(
    facts: RunFacts, clock: Clock | None, options: Options, notes: list[str]
) -> dict[tuple[str, str], Rdf]:
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
    r_max_A = options.r_max_A or BIN_WIDTH_A * math.floor(room_A / BIN_WIDTH_A)
    blocks = (
        (block.values, block.cells) for block in trajectory.blocks(per_block, from_step=from_step)
    )
    n_bins = max(round(r_max_A / BIN_WIDTH_A), 1)
    return radial_distributions(blocks, trajectory.species, r_max_A, n_bins)


def _diffusion(facts: RunFacts, clock: Clock | None, notes: list[str]) -> dict[str, Diffusion]:
    """Einstein's slope between 1 ps and the longest lag, a quarter of the run or 5 ps."""
    if clock is None or not (facts.directory / facts.positions).is_file():
        return {}
    trajectory = open_of(facts, facts.positions)
    n_frames = int(np.count_nonzero(trajectory.steps >= clock.from_step))
    step_fs = trajectory.stride(clock.from_step) * clock.step_fs if n_frames > 1 else math.inf
    longest_ps = min(LONGEST_LAG_PS, 0.25e-3 * n_frames * step_fs) if n_frames > 1 else 0.0
    if longest_ps < 2.0 * DIFFUSIVE_PS:
        notes.append(f"no diffusion coefficient: {8.0 * DIFFUSIVE_PS:g} ps of positions needed")
        return {}
    n_lags = int(1e3 * longest_ps / step_fs)
    per_block = n_frames // max(n_frames // (2 * n_lags), 1)
    blocks = (block.values for block in trajectory.blocks(per_block, from_step=clock.from_step))
    moved = displacements(blocks, trajectory.species, time_step_fs=step_fs, n_lags=n_lags)
    return einstein(moved, DIFFUSIVE_PS)
