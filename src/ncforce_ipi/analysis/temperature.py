"""Temperature per species from velocities.  Owns the count of degrees of freedom."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV


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
    """T = 2K / (k_B dof), K.

    i-PI's own ``temperature`` adds 3 k_B T_ensemble M_s / 2M to K_s and divides by 3 N_s, which
    agrees only on average and only at T = T_ensemble.

    Parameters
    ----------
    kinetic_eV : ``(n_frames,)``, eV
    dof : of the atoms whose kinetic energy it is (`degrees_of_freedom`)
    """
    return 2.0 * kinetic_eV / (BOLTZMANN_EV_PER_K * dof)


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
