"""Temperature per species from velocities.  Owns the count of degrees of freedom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.statistics import Mean, half_width, mean_of
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV

CHANCE = 1.0 / 16000
"""A difference that chance makes less often is called one: beyond 4.0 standard errors of many
independent samples, beyond 18 of five."""


def degrees_of_freedom(
    masses_u: NDArray[np.float64], members: NDArray[np.bool_], *, fixed_com: bool = True
) -> float:
    """Degrees of freedom of a group of atoms, less its share of the fixed centre of mass.

    dof_s = 3 N_s - 3 M_s / M with the group's mass M_s of the total M.  Over all atoms that is
    3N - 3.  Derivation: without the constraint the velocities are independent with
    <v_i^2> = 3 kT / m_i, and the centre of mass moves with V = sum_j m_j v_j / M.  The canonical
    velocities at fixed V = 0 are v_i - V, and with <v_i . V> = <V^2> = 3 kT / M

        m_i <(v_i - V)^2> = 3 kT - 6 kT m_i/M + 3 kT m_i/M = kT (3 - 3 m_i/M).

    Summed over the group: 2 <K_s> = kT (3 N_s - 3 M_s/M).  It is exact in the canonical ensemble,
    and in NVE up to the O(1/N) that is common to all species.

    Parameters
    ----------
    masses_u : ``(n_atoms,)``, u
    members : ``(n_atoms,)``, True for the atoms of the group
    fixed_com : whether the total momentum is kept at zero (i-PI's ``fixcom``)
    """
    free = 3.0 * np.count_nonzero(members)
    return float(free - 3.0 * masses_u[members].sum() / masses_u.sum() * fixed_com)


def kinetic_energy(
    velocities: NDArray[np.float64], masses_u: NDArray[np.float64]
) -> NDArray[np.float64]:
    """K = sum_i m_i v_i^2 / 2 of each frame.

    Parameters
    ----------
    velocities : ``(n_frames, n_atoms, 3)``, A/fs
    masses_u : ``(n_atoms,)``, u

    Returns
    -------
    ``(n_frames,)``, eV
    """
    twice = np.einsum("fac,fac,a->f", velocities, velocities, masses_u)  # (n_frames,)
    return 0.5 * U_A2_PER_FS2_EV * twice


def temperature(kinetic_eV: NDArray[np.float64], dof: float) -> NDArray[np.float64]:
    """T = 2K / (k_B dof), K; i-PI's own is `ipi_temperature`.

    Parameters
    ----------
    kinetic_eV : ``(n_frames,)``, eV
    dof : of the atoms whose kinetic energy it is (`degrees_of_freedom`)
    """
    return 2.0 * kinetic_eV / (BOLTZMANN_EV_PER_K * dof)


def ipi_temperature(
    kinetic_eV: NDArray[np.float64],
    masses_u: NDArray[np.float64],
    members: NDArray[np.bool_],
    ensemble_K: float,
    *,
    fixed_com: bool = True,
) -> NDArray[np.float64]:
    """What i-PI writes as ``temperature``, K: (2K + 3 k_B T_ensemble M_s / M) / (3 N_s k_B).

    It puts back what the centre of mass would have at the temperature of the ensemble, where ours
    doesn't count its degrees of freedom.  Both agree where T = T_ensemble; else i-PI's is off by
    (T_ensemble - T) M_s / (N_s M): 3.6 K low for 192 atoms at 1000 K in an ensemble of 300 K.

    Parameters
    ----------
    kinetic_eV : ``(n_frames,)``, eV, of the group
    masses_u : ``(n_atoms,)``, u
    members : ``(n_atoms,)``, True for the atoms of the group
    ensemble_K : K, the ``<temperature>`` of i-PI's ``<ensemble>``, also in NVE
    fixed_com : as in `degrees_of_freedom`
    """
    free = 3.0 * np.count_nonzero(members)
    fixed = free - degrees_of_freedom(masses_u, members, fixed_com=fixed_com)
    return (2.0 * kinetic_eV / BOLTZMANN_EV_PER_K + fixed * ensemble_K) / free


def from_ipi(
    theirs_K: NDArray[np.float64],
    masses_u: NDArray[np.float64],
    members: NDArray[np.bool_],
    ensemble_K: float,
    *,
    fixed_com: bool = True,
) -> NDArray[np.float64]:
    """Our temperature 2K / (k_B dof) from i-PI's: the inverse of `ipi_temperature`.

    Parameters
    ----------
    theirs_K : ``(n_samples,)``, K, as i-PI writes it for the group
    masses_u, members, ensemble_K, fixed_com : as there
    """
    free = 3.0 * np.count_nonzero(members)
    dof = degrees_of_freedom(masses_u, members, fixed_com=fixed_com)
    return (free * theirs_K - (free - dof) * ensemble_K) / dof


@dataclass(frozen=True)
class Equipartition:
    """Two temperatures that should be one.

    Attributes
    ----------
    names : of the two
    difference : first less second, K, with its standard error
    """

    names: tuple[str, str]
    difference: Mean

    @property
    def sigmas(self) -> float:
        """|Difference| in units of its standard error; NaN without one."""
        if self.difference.error > 0.0:
            return abs(self.difference.value) / self.difference.error
        return math.nan

    @property
    def violated(self) -> bool:
        """Whether chance (Student's t) makes such a difference less than once in 16000 runs."""
        n_independent = self.difference.n_independent
        return self.sigmas > half_width(1.0, n_independent - 1.0, 1.0 - CHANCE)


def equipartition(values_K: Mapping[str, NDArray[np.float64]]) -> list[Equipartition]:
    """Differences between the temperatures of all pairs of species.

    The error is that of the series of differences, autocorrelation and all, so that what two
    species have in common doesn't count.

    Parameters
    ----------
    values_K : ``(n_frames,)``, K, for each symbol
    """
    return [
        Equipartition((a, b), mean_of(values_K[a] - values_K[b]))
        for a, b in combinations(values_K, 2)
    ]


def species_temperatures(
    velocities: NDArray[np.float64],
    species: NDArray[np.str_],
    masses_u: NDArray[np.float64],
    *,
    fixed_com: bool = True,
) -> dict[str, NDArray[np.float64]]:
    """Kinetic temperature of each species in each frame.

    Parameters
    ----------
    velocities : ``(n_frames, n_atoms, 3)``, A/fs
    species : ``(n_atoms,)``, element symbols
    masses_u : ``(n_atoms,)``, u
    fixed_com : as in `degrees_of_freedom`

    Returns
    -------
    ``(n_frames,)``, K, for each symbol in alphabetical order
    """
    result = {}
    for symbol in np.unique(species):
        members = species == symbol
        dof = degrees_of_freedom(masses_u, members, fixed_com=fixed_com)
        kinetic_eV = kinetic_energy(velocities[:, members], masses_u[members])
        result[str(symbol)] = temperature(kinetic_eV, dof)
    return result


def atom_masses(species: NDArray[np.str_], masses_u: Mapping[str, float]) -> NDArray[np.float64]:
    """Mass of each atom, ``(n_atoms,)``, u, from the masses that the run used.

    Raises
    ------
    InputError
        A species without a mass, or a mass that isn't positive.
    """
    for symbol in np.unique(species):
        if not masses_u.get(str(symbol), 0.0) > 0.0:
            raise InputError(
                f"mass of {symbol}: got {masses_u.get(str(symbol))}; expected a positive number "
                f"of u for each species ({', '.join(masses_u)} given): see masses_u in run.json"
            )
    return np.array([masses_u[str(symbol)] for symbol in species])
