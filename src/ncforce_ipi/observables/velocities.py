"""The velocities of a data set in one pass: kinetic energies, distributions and spectra.

Owns that the file is read once, whichever of `temperature`, `vdos` and `diffusion` ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.freedom import LABEL, Freedom, in_common
from ncforce_ipi.analysis.lagged import frames_per_block, n_blocks_of
from ncforce_ipi.analysis.maxwell import Collector, Distribution
from ncforce_ipi.analysis.temperature import kinetic_energy, temperature
from ncforce_ipi.analysis.vdos import (
    DEFAULT_PADDING,
    DEFAULT_WINDOW,
    Spectrum,
    velocity_spectra,
)
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.beads import Bead
from ncforce_ipi.observables.dataset import Dataset, same_frame_fs
from ncforce_ipi.observables.freedom import of_velocities
from ncforce_ipi.observables.passes import blocks_of, frames_at_once, groups
from ncforce_ipi.observables.replica import Replica

LAG_PS = 1.0
FEWEST_LAGS = 16
BLOCKS, MOST_FRAMES = 8, 256
KINETICS = "kinetics"


@dataclass(frozen=True)
class Transform:
    """How a spectrum is made: longest lag in ps (a quarter of a shorter run), window, padding.

    ``at_rest``: with the density at zero frequency and its error, for diffusion; takes longer.
    """

    lag_ps: float = LAG_PS
    window: str = DEFAULT_WINDOW
    padding: int = DEFAULT_PADDING
    at_rest: bool = True

    def __post_init__(self) -> None:
        if not self.lag_ps > 0.0:
            raise InputError(f"--lag-ps {self.lag_ps:g}; expected a positive time in ps")


@dataclass(frozen=True)
class Kinetics:
    """What the velocities of one replica tell.

    Attributes
    ----------
    replica : the trajectory
    kinetic_eV : ``(n_frames,)``, eV, of ``all`` and of each species, all of it
    values_K : ``(n_frames,)``, K, likewise, of what is heat; of the species alone where there is
        one only, none of a species that never moves
    distributions : of each species
    freedom : what of the velocities is heat
    bead : that they are of; None for a classical system, or a centroid
    """

    replica: Replica
    kinetic_eV: dict[str, NDArray[np.float64]]
    values_K: dict[str, NDArray[np.float64]]
    distributions: dict[str, Distribution]
    freedom: Freedom
    bead: Bead | None

    @property
    def words(self) -> list[tuple[str, str]]:
        """Label and text of what was taken for heat."""
        if self.bead is None:
            return self.freedom.lines()
        dof = f"{self.freedom.dof():.6g}, about the bead's own centre of mass"
        return [(LABEL, dof), ("note", self.bead.of_velocities)]


def kinetics(data: Dataset) -> list[Kinetics]:
    """Kinetic energies, temperatures and distributions of each replica."""

    def make() -> list[Kinetics]:
        gathered = _gatherers(data.replicas("velocities"))
        for one in gathered:
            replica = one.replica
            per_block = min(max(len(replica.steps) // BLOCKS, 1), MOST_FRAMES)
            for _ in one.watch(frames_at_once(len(replica.species), per_block)):
                pass
        return [one.result() for one in gathered]

    return data.remember(KINETICS, make)


def spectrum(data: Dataset, how: Transform) -> Spectrum:
    """c_vv over all frames of the window; blocks of all replicas together give the error.

    Raises
    ------
    InputError
        Too few frames, no masses, no time step, replicas whose frames are apart differently.
    """
    return data.remember(how, lambda: _spectrum(data, how))


def _spectrum(data: Dataset, how: Transform) -> Spectrum:
    replicas = data.replicas("velocities")
    frame_fs = same_frame_fs(replicas)
    shortest = min(len(replica.steps) for replica in replicas)
    n_lags = int(min(1e3 * how.lag_ps / frame_fs, shortest / 4))
    if n_lags < FEWEST_LAGS:
        raise InputError(
            f"{shortest} frames of velocities with lags of {how.lag_ps:g} ps; expected at least "
            f"{4 * FEWEST_LAGS} frames and {FEWEST_LAGS} lags: run longer, or write them more often"
        )
    gathered = _gatherers(replicas)
    freedom, first = gathered[0].freedom, replicas[0]
    mobile = freedom.mobile
    found = velocity_spectra(
        _groups(gathered, n_lags, mobile),
        first.species[mobile],
        first.masses_u()[mobile],
        time_step_fs=frame_fs,
        n_lags=n_lags,
        dof=dof_of_species(first, freedom),
        window=how.window,
        padding=how.padding,
        at_rest=how.at_rest,
        blocks_of_runs=[n_blocks_of(len(one.replica.steps), n_lags) for one in gathered],
    )
    data.remember(KINETICS, lambda: [one.result() for one in gathered])
    return found


def dof_of_species(replica: Replica, freedom: Freedom) -> dict[str, float]:
    """Degrees of freedom of each species that moves, those of a bead as often as it is hotter.

    Raises
    ------
    InputError
        A species, or all, has none.
    """
    hotter = replica.bead.times_hotter if replica.bead else 1.0
    species, found = replica.species, {}
    for symbol in np.unique(species[freedom.mobile]):
        found[str(symbol)] = hotter * freedom.dof(species == symbol)
        if not found[str(symbol)] > 0.0:
            raise InputError(
                f"{replica.trajectory.path}: {symbol} has no degree of freedom with the centre of "
                f"mass not counted ({', '.join(freedom.centre)} along x, y, z); expected two "
                "atoms or more, or --free-com where its motion is heat"
            )
    return found


def _groups(
    gathered: Sequence[_Gatherer], n_lags: int, mobile: NDArray[np.bool_]
) -> Iterator[tuple[slice, Iterator[NDArray[np.float64]]]]:
    """Atoms that are followed together, and their blocks; all in one unless they are too many."""
    longest = max(frames_per_block(len(one.replica.steps), n_lags) for one in gathered)
    n_mobile = int(np.count_nonzero(mobile))
    for number, atoms in enumerate(groups(n_mobile, longest)):
        yield atoms, _blocks(gathered, n_lags, mobile, atoms, again=number > 0)


def _blocks(
    gathered: Sequence[_Gatherer],
    n_lags: int,
    mobile: NDArray[np.bool_],
    atoms: slice,
    *,
    again: bool,
) -> Iterator[NDArray[np.float64]]:
    for one in gathered:
        per_block = frames_per_block(len(one.replica.steps), n_lags)
        heats = one.watch(frames_at_once(len(mobile), per_block), again=again)
        pieces = heats if mobile.all() else (heat[:, mobile] for heat in heats)
        yield from blocks_of(pieces, per_block, atoms)


def _gatherers(replicas: Sequence[Replica]) -> list[_Gatherer]:
    """One for each replica; what is heat is the same for all."""
    freedoms = in_common([_freedom(replica) for replica in replicas])
    return [_Gatherer(*pair) for pair in zip(replicas, freedoms, strict=True)]


class _Gatherer:
    """Sums up the velocities of a replica block by block as they pass through `watch`."""

    def __init__(self, replica: Replica, freedom: Freedom) -> None:
        self.replica, self.freedom = replica, freedom
        species, self._masses_u = replica.species, replica.masses_u()
        self._groups = {"all": np.ones(len(species), dtype=bool)}
        self._groups |= {str(symbol): species == symbol for symbol in np.unique(species)}
        self._kinetic: dict[str, list[NDArray]] = {name: [] for name in self._groups}
        self._heat: dict[str, list[NDArray]] = {name: [] for name in self._groups}
        temperature_K = replica.source.temperature_K or 300.0
        hotter = replica.bead.times_hotter if replica.bead else 1.0
        self._collector = Collector(
            species, self._masses_u, hotter * temperature_K, shares=freedom.shares()
        )

    def watch(self, per_block: int, *, again: bool = False) -> Iterator[NDArray[np.float64]]:
        """Blocks of velocities, ``(n_frames, n_atoms, 3)``, A/fs, of what is heat.

        Not summed up ``again``.
        """
        for block in self.replica.blocks(per_block):
            heat = self.freedom.heat(block.values)
            if again:
                yield heat
                continue
            for name, members in self._groups.items():
                masses_u = self._masses_u[members]
                kinetic_eV = kinetic_energy(block.values[:, members], masses_u)
                self._kinetic[name].append(kinetic_eV)
                if heat is not block.values:
                    kinetic_eV = kinetic_energy(heat[:, members], masses_u)
                self._heat[name].append(kinetic_eV)
            self._collector.add(heat)
            yield heat

    def result(self) -> Kinetics:
        """What was found."""
        replica = self.replica
        dof = dof_of_species(replica, self.freedom)
        if len(dof) > 1:
            every = {"all": sum(dof.values())}
            dof = every if self.freedom.n_constraints else every | dof
        heat = {name: np.concatenate(series) for name, series in self._heat.items()}
        return Kinetics(
            replica=replica,
            kinetic_eV={name: np.concatenate(series) for name, series in self._kinetic.items()},
            values_K={name: temperature(heat[name], dof[name]) for name in dof},
            distributions=self._collector.distributions(),
            freedom=self.freedom,
            bead=replica.bead,
        )


def _freedom(replica: Replica) -> Freedom:
    """Of the run, by these velocities."""
    found = replica.source.freedom
    return of_velocities(replica.source, replica.trajectory) if found is None else found
