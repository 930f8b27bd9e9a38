"""Diffusion coefficients from displacements and from velocities, next to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.diffusion import (
    Diffusion,
    einstein,
    finite_size_correction,
    from_spectrum,
)
from ncforce_ipi.analysis.displacement import FEWEST_LAGS, SHARE, Displacement, displacements
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import unresolved
from ncforce_ipi.observables.dataset import Dataset, same_frame_fs
from ncforce_ipi.observables.places import Places
from ncforce_ipi.observables.replica import Replica
from ncforce_ipi.observables.velocities import Transform, dof_of_species, kinetics, spectrum
from ncforce_ipi.reading.trajectory import open_trajectory
from ncforce_ipi.result import Printed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEYOND = 2.5
"""Lags of the second line that D is compared with, in units of those of the first."""
KEPT = 4
"""Times a block that its frames are in memory: with those before, and once more of a species."""
WAYS = {"einstein": "Einstein's slope", "green_kubo": "integral of the velocity autocorrelation"}


@dataclass(frozen=True)
class Fit:
    """Where the line lies, and what corrects for the box.

    Attributes
    ----------
    from_ps : start of the line through the mean squared displacement, ps: atoms have left their
        cages
    lag_ps : its end, ps; an eighth of a shorter run
    memory_ps : longest lag of the velocity autocorrelation, ps; its running integral is averaged
        from half of that on, when the velocities should have forgotten
    viscosity_mPa_s : of the liquid, for the correction of a cubic box
    """

    from_ps: float = 1.0
    lag_ps: float = 5.0
    memory_ps: float = 1.0
    viscosity_mPa_s: float | None = None


@dataclass(frozen=True)
class Coefficients(Printed):
    """Diffusion coefficients of each species, A^2/ps; see `result.Result`.

    Attributes
    ----------
    by_displacement : Einstein's slope; empty without positions
    by_velocity : from the velocity autocorrelation (Green, Kubo); empty without velocities.
        Species whose D the run doesn't resolve are in neither (`unresolved`)
    displacement : mean squared; None without positions
    fit : how it was done
    correction_A2_per_ps : to add for the size of a cubic box; None where it wasn't asked for
    over_reference : ratio to another run's, by way and species
    notes : what couldn't be had, and why
    """

    by_displacement: Mapping[str, Diffusion]
    by_velocity: Mapping[str, Diffusion]
    displacement: Displacement | None
    fit: Fit
    correction_A2_per_ps: float | None = None
    over_reference: Mapping[tuple[str, str], Diffusion] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ways(self) -> dict[str, Mapping[str, Diffusion]]:
        """Coefficients by the way in which they were had."""
        return {"einstein": self.by_displacement, "green_kubo": self.by_velocity}

    def lines(self) -> list[tuple[str, str]]:
        """See `result.Result`."""
        lines = [
            (f"diffusion, {name}", f"{one.text('A^2/ps')}, {WAYS[way]}")
            for way, values in self.ways.items()
            for name, one in values.items()
        ]
        if self.correction_A2_per_ps is not None:
            words = f"add {self.correction_A2_per_ps:.3g} A^2/ps (Yeh, Hummer, cubic box)"
            lines.append(("finite size", words))
        for (way, name), ratio in self.over_reference.items():
            lines.append((f"D / reference, {name}", f"{ratio.text()}, {WAYS[way]}"))
        lines += [("note", note) for note in self.notes]
        lines.append(("unit", "1 A^2/ps = 1e-4 cm^2/s; D in space, 2/3 of that along a surface"))
        return [*lines, ("errors", "one standard error, corrected for autocorrelation")]

    def to_dict(self) -> dict[str, Any]:
        """See `result.Result`."""
        numbers: dict[str, Any] = {}
        for way, values in self.ways.items():
            for name, one in values.items():
                numbers[f"diffusion_{name}_{way}_A2_per_ps"] = one.value
                numbers[f"diffusion_{name}_{way}_standard_error_A2_per_ps"] = one.error
        if self.correction_A2_per_ps is not None:
            numbers["finite_size_correction_A2_per_ps"] = self.correction_A2_per_ps
        for (way, name), ratio in self.over_reference.items():
            numbers[f"ratio_{name}_{way}"] = ratio.value
            numbers[f"ratio_{name}_{way}_standard_error"] = ratio.error
        return numbers

    def columns(self) -> dict[str, NDArray]:
        """See `result.Result`."""
        moved = self.displacement
        if moved is None:
            return {
                f"diffusion_{name}_green_kubo_A2_per_ps": np.array([one.value])
                for name, one in self.by_velocity.items()
            }
        columns = {"lag_ps": moved.lag_ps}
        return columns | {f"msd_{name}_A2": values for name, values in moved.squared_A2.items()}

    def figure(self) -> Figure:
        """See `result.Result`."""
        from ncforce_ipi.observables import figures

        if self.displacement is None:
            raise InputError("--plot of a diffusion coefficient draws displacements; give "
                             "positions")  # fmt: skip
        return figures.displacement(self.displacement, self.by_displacement, self.fit.from_ps)


def measure(
    data: Dataset, fit: Fit | None = None, reference: Dataset | None = None
) -> Coefficients:
    """Coefficients of one or several trajectories, and their ratios to those of reference runs.

    Parameters
    ----------
    data : positions, velocities, or directories that hold them
    fit : where the line lies
    reference : likewise, of the run to compare with

    Raises
    ------
    InputError
        Too few frames, no time step, no masses, a box that isn't cubic with a viscosity.
    """
    fit = fit or Fit()
    found = data.remember(fit, lambda: _coefficients(data, fit))
    if reference is None:
        return found
    theirs = _coefficients(reference, fit)
    ratios = {
        (way, name): one.over(theirs.ways[way][name])
        for way, values in found.ways.items()
        for name, one in values.items()
        if name in theirs.ways[way]
    }
    notes = (*found.notes, *(f"reference: {note}" for note in theirs.notes))
    return replace(found, over_reference=ratios, notes=notes)


def _coefficients(data: Dataset, fit: Fit) -> Coefficients:
    """Both ways, as far as there are files for them; an error only where there is neither."""
    places, motions = _sorted(data)
    moved = None
    by_displacement: dict[str, Diffusion] = {}
    by_velocity: dict[str, Diffusion] = {}
    notes: list[str] = []
    if places is not None:
        try:
            moved, done = _displacement(places.replicas("positions"), fit)
            every = einstein(moved)
            why = unresolved.by_displacement(every, moved)
            by_displacement, said = unresolved.without(every, why, "displacements")
            notes += done + said
        except InputError as err:
            if motions is None:
                raise
            notes.append(f"none from displacements: {err}")
    if motions is not None:
        try:
            every, done = _by_velocity(motions, fit)
            why = unresolved.apart(every, by_displacement, fit.memory_ps)
            why |= unresolved.too_slow(every, moved) if moved else {}
            by_velocity, said = unresolved.without(every, why, "velocities")
            notes += done + said + _of_motions(motions)
        except InputError as err:
            if moved is None:
                raise InputError("; ".join([*notes, str(err)])) from err
            notes.append(f"none from velocities: {err}")
    correction = None
    if fit.viscosity_mPa_s is not None and places is not None:
        correction = _correction(places.replicas("positions")[0], fit.viscosity_mPa_s)
    return Coefficients(by_displacement, by_velocity, moved, fit, correction, notes=tuple(notes))


def _sorted(data: Dataset) -> tuple[Dataset | None, Dataset | None]:
    """Runs with positions and runs with velocities; a directory is both, where it has them."""
    places, motions = [], []
    for source in data.sources:
        if source.is_run:
            places.append(source)
            try:
                source.trajectory("velocities")
                motions.append(source)
            except InputError:
                continue
        elif open_trajectory(source.path).quantity == "positions":
            places.append(source)
        else:
            motions.append(source)
    everything = len(places) == len(motions) == len(data.sources)
    if everything:
        return data, data
    return (Dataset(tuple(places)) if places else None,
            Dataset(tuple(motions)) if motions else None)  # fmt: skip


def _by_velocity(data: Dataset, fit: Fit) -> tuple[dict[str, Diffusion], list[str]]:
    """Of the species whose motion the frames resolve; what is to be said of the others."""
    replicas = data.replicas("velocities")
    first, longest_ps = replicas[0], 0.25e-3 * shortest_fs(replicas)
    if longest_ps < fit.memory_ps:
        raise InputError(
            f"lags reach {longest_ps:.3g} ps, a quarter of the run, and the velocities' memory may "
            f"be {fit.memory_ps:g} ps: run longer, or give a shorter memory (ncforce diffusion "
            "--memory-ps)"
        )
    found = spectrum(data, Transform(lag_ps=fit.memory_ps))
    freedom = kinetics(data)[0].freedom  # of the same pass
    at = freedom.mobile
    dof = dof_of_species(first, freedom)
    every = from_spectrum(found, first.species[at], first.masses_u()[at], dof)
    why = unresolved.by_velocity(
        every, same_frame_fs(replicas), found.nyquist_per_cm, fit.memory_ps
    )
    if len(why) == len(every):
        raise InputError("; ".join(f"{name}: {reason}" for name, reason in why.items()))
    return unresolved.without(every, why, "velocities")


def _of_motions(data: Dataset) -> list[str]:
    """What a reader should know of coefficients from velocities."""
    every = kinetics(data)
    found = [
        f"by velocities: of {one.bead.words}, not of the centroid" for one in every if one.bead
    ]
    first = every[0].freedom
    if first.counted.any() and not first.n_fixed:
        found.append("by velocities: with the motion of the centre of mass, which is free")
    return list(dict.fromkeys(found))


def shortest_fs(replicas: Sequence[Replica]) -> float:
    """Length of the shortest of the trajectories, fs."""
    return same_frame_fs(replicas) * min(len(replica.steps) for replica in replicas)


def _displacement(replicas: Sequence[Replica], fit: Fit) -> tuple[Displacement, list[str]]:
    frame_fs = same_frame_fs(replicas)
    shortest = min(len(replica.steps) for replica in replicas)
    n_lags = int(min(1e3 * fit.lag_ps / frame_fs, shortest * SHARE)) + 1
    if n_lags < FEWEST_LAGS or 1e-3 * frame_fs * (n_lags - 2) < fit.from_ps:
        raise InputError(
            f"{shortest} frames, {frame_fs:g} fs apart: lags reach "
            f"{1e-3 * frame_fs * (n_lags - 1):.3g} ps, an eighth of the run, and the line begins "
            f"at {fit.from_ps:g} ps: run longer, or give an earlier start (ncforce diffusion "
            "--from-ps)"
        )

    places = Places(replicas)
    n_beyond = int(min(BEYOND * n_lags, shortest * SHARE))
    per_block = shortest // max(shortest // (2 * max(n_lags, n_beyond)), 1)
    found = displacements(
        places.groups(per_block, KEPT * per_block), places.species,
        time_step_fs=frame_fs, n_lags=n_lags, from_ps=fit.from_ps, n_beyond=n_beyond,
    )  # fmt: skip
    return found, places.notes()


def _correction(replica: Replica, viscosity_mPa_s: float) -> float:
    """Of Yeh and Hummer, A^2/ps."""
    cell = next(replica.trajectory.cells())
    edges = np.linalg.norm(cell, axis=1)
    off_diagonal = cell @ cell.T - np.diag(edges**2)
    if not edges[0] > 0.0 or np.ptp(edges) > 1e-3 * edges[0] or abs(off_diagonal).max() > 1e-3:
        raise InputError(
            f"cell of {', '.join(f'{edge:.4g}' for edge in edges)} A; expected a cubic one for the "
            "finite-size correction: leave out --viscosity-mPa-s"
        )
    temperature_K = replica.source.temperature_K
    if temperature_K is None:
        raise InputError("the finite-size correction needs a temperature; give --temperature-K")
    return finite_size_correction(temperature_K, float(edges[0]), viscosity_mPa_s)
