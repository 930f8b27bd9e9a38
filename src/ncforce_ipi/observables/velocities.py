"""The velocities of a data set in one pass: kinetic energies, distributions and spectra.

Owns that the file is read once, whichever of `temperature`, `vdos` and `diffusion` ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.maxwell import Collector, Distribution
from ncforce_ipi.analysis.temperature import degrees_of_freedom, kinetic_energy, temperature
from ncforce_ipi.analysis.vdos import (
    DEFAULT_PADDING,
    DEFAULT_WINDOW,
    Spectrum,
    frames_per_block,
    velocity_spectra,
)
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.dataset import Dataset, same_frame_fs
from ncforce_ipi.observables.source import Replica

LAG_PS = 1.0
FEWEST_LAGS = 16
BLOCKS, MOST_FRAMES = 8, 256
KINETICS = "kinetics"


@dataclass(frozen=True)
class Transform:
    """How a spectrum is made: longest lag in ps (a quarter of a shorter run), window, padding."""

    lag_ps: float = LAG_PS
    window: str = DEFAULT_WINDOW
    padding: int = DEFAULT_PADDING

    def __post_init__(self) -> None:
        if not self.lag_ps > 0.0:
            raise InputError(f"--lag-ps {self.lag_ps:g}; expected a positive time in ps")


@dataclass(frozen=True)
class Kinetics:
    """What the velocities of one replica tell.

    Attributes
    ----------
    replica : the trajectory
    kinetic_eV : ``(n_frames,)``, eV, of ``all`` and of each species
    values_K : ``(n_frames,)``, K, likewise; of the species alone where there is one only
    distributions : of each species
    """

    replica: Replica
    kinetic_eV: dict[str, NDArray[np.float64]]
    values_K: dict[str, NDArray[np.float64]]
    distributions: dict[str, Distribution]


def kinetics(data: Dataset) -> list[Kinetics]:
    """Kinetic energies, temperatures and distributions of each replica."""

    def make() -> list[Kinetics]:
        gathered = [_Gatherer(replica) for replica in data.replicas("velocities")]
        for one in gathered:
            for _ in one.watch(min(max(len(one.replica.steps) // BLOCKS, 1), MOST_FRAMES)):
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
    gathered = [_Gatherer(replica) for replica in replicas]
    first = replicas[0]
    found = velocity_spectra(
        _all_blocks(gathered, n_lags),
        first.species,
        first.masses_u(),
        time_step_fs=frame_fs,
        n_lags=n_lags,
        fixed_com=first.source.fixed_com,
        window=how.window,
        padding=how.padding,
    )
    data.remember(KINETICS, lambda: [one.result() for one in gathered])
    return found


def _all_blocks(gathered: Sequence[_Gatherer], n_lags: int) -> Iterator[NDArray[np.float64]]:
    for one in gathered:
        yield from one.watch(frames_per_block(len(one.replica.steps), n_lags))


class _Gatherer:
    """Sums up the velocities of a replica block by block as they pass through `watch`."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        species, self._masses_u = replica.species, replica.masses_u()
        self._groups = {"all": np.ones(len(species), dtype=bool)}
        self._groups |= {str(symbol): species == symbol for symbol in np.unique(species)}
        self._parts: dict[str, list[NDArray]] = {name: [] for name in self._groups}
        self._collector = Collector(
            species,
            self._masses_u,
            replica.source.temperature_K or 300.0,
            fixed_com=replica.source.fixed_com,
        )

    def watch(self, per_block: int) -> Iterator[NDArray[np.float64]]:
        """Blocks of velocities, ``(n_frames, n_atoms, 3)``, A/fs, as they are."""
        blocks = (block.values for block in self.replica.blocks(per_block))
        for velocities in self._collector.watch(blocks):
            for name, members in self._groups.items():
                energies = kinetic_energy(velocities[:, members], self._masses_u[members])
                self._parts[name].append(energies)
            yield velocities

    def result(self) -> Kinetics:
        """What was found."""
        kinetic_eV = {name: np.concatenate(series) for name, series in self._parts.items()}
        values_K = {}
        for name, members in self._groups.items():
            dof = degrees_of_freedom(
                self._masses_u, members, fixed_com=self.replica.source.fixed_com
            )
            if not dof > 0.0:
                raise InputError(
                    f"{self.replica.trajectory.path}: {name} has no degree of freedom with the "
                    "centre of mass at rest; give --free-com if it isn't"
                )
            values_K[name] = temperature(kinetic_eV[name], dof)
        if len(self._groups) == 2:  # a single species is all there is
            values_K.pop("all")
        return Kinetics(self.replica, kinetic_eV, values_K, self._collector.distributions())
