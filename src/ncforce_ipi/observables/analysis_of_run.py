"""A run directory in, its results out: what ``ncforce analyze`` computes.

Owns the order of things: which column feeds which analysis, over which time, and what is said of
what can't be computed.  What trajectories tell is in `runmotion`; writes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.diffusion import Diffusion, Displacement
from ncforce_ipi.analysis.drift import FEWEST_SAMPLES, Drift, before_runaway, fit_drift
from ncforce_ipi.analysis.rdf import Rdf
from ncforce_ipi.analysis.statistics import Mean, mean_of, require_finite
from ncforce_ipi.analysis.temperature import temperature
from ncforce_ipi.analysis.vdos import Spectrum
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.motion import SpeciesTemperatures, diffusion, rdfs, velocities
from ncforce_ipi.reading.properties import read_properties
from ncforce_ipi.reading.rundirectory import PROPERTIES, Clock, RunFacts, read_facts
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

DISCARD_PS = 0.1  # kinetic and potential energy of a new start have shared by then
PATH_INTEGRAL = (
    "path integral of {} beads: trajectories are of centroids, whose g(r) is sharper than that of "
    "the atoms and whose c_vv is an approximation (CMD, TRPMD); all-atom T is of the beads' momenta"
)


WITHOUT_ENERGY = (
    "the forces have no energy: what is called conserved is kinetic + thermostat energy, whose "
    "slope is the power of the forces where the temperature has no trend"
)


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
    displacement : mean squared, of each species; None where the run is too short
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
    displacement: Displacement | None
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
    if table.has("potential") and not table.column("potential", "electronvolt").any():
        notes.append(WITHOUT_ENERGY)
    clock = Clock.of(table, discard_ps)
    mean_temperatures = {"all": mean_of(temperature_K[used])}
    species = spectrum = None
    if (directory / facts.velocities).is_file() and clock:
        species, spectrum = velocities(facts, table, clock, options.lag_ps, notes)
        for symbol, values in species.values_K.items():
            mean_temperatures[symbol] = mean_of(values)
    else:
        notes.append(
            f"no {facts.velocities} or a single step: no temperatures of species, no spectrum"
        )
    coefficients, moved = diffusion(facts, clock, notes)
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
        rdfs=rdfs(facts, clock, options.r_max_A, notes),
        spectrum=spectrum,
        diffusion=coefficients,
        displacement=moved,
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
