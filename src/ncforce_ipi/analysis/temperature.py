"""Temperature per species from velocities.  Owns the count of degrees of freedom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.longrun import LongRun, long_run
from ncforce_ipi.analysis.statistics import FEWEST_REPLICAS, Mean, half_width, mean_of
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV

CHANCE = 1.0 / 4000
"""A difference that chance makes less often than this is called a violation."""
UNSEEN_SHARE, UNSEEN_PS, UNSEEN_SIGMAS = 1.0 / 3.0, 2.0, 4.0
"""A run of a few ps doesn't show how slowly two species exchange energy: what holds a fifth of the
variance of T(H) - T(O) in water and is remembered for 1 to 2 ps looks like a constant.  A part of
this share of the variance and this memory is always reckoned with, until a run holds it 50 times;
a difference beyond four of the standard deviations that it makes is a violation."""
UNSEEN_MEMORIES = 50.0
WITHIN = 0.05
"""Equipartition is said to hold where the interval lies within this share of the temperature."""


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
    held: float = 0.0,
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
    held : components of the group that are held by ``<fixatoms>``, for which it adds k_B T / 2 too
    """
    free = 3.0 * np.count_nonzero(members)
    fixed = held + free - degrees_of_freedom(masses_u, members, fixed_com=fixed_com)
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
    difference : first less second, K, with its standard error; no error of a short run
    limit_K : chance makes a larger difference less often than in one run of 4000, K
    half_width_K : of the 95 % interval, at least what an unseen slow part makes; NaN of a short run
    temperature_K : mean of the two
    """

    names: tuple[str, str]
    difference: Mean
    limit_K: float
    half_width_K: float
    temperature_K: float

    @property
    def sigmas(self) -> float:
        """|Difference| in units of its standard error; NaN without one."""
        if self.difference.error > 0.0:
            return abs(self.difference.value) / self.difference.error
        return math.nan

    @property
    def within_K(self) -> float:
        """The largest difference that the interval holds, K; NaN without one."""
        return abs(self.difference.value) + self.half_width_K

    @property
    def answer(self) -> Literal["holds", "violated", "open"]:
        """What the run tells: "open" where a violation of 5 % could be there unseen."""
        if abs(self.difference.value) > self.limit_K:
            return "violated"
        return "holds" if self.within_K <= WITHIN * self.temperature_K else "open"

    @property
    def violated(self) -> bool:
        """Whether chance makes such a difference less often than in one run of 4000."""
        return self.answer == "violated"

    @property
    def text(self) -> str:
        """The difference, its error or why it has none, and what it means."""
        words = {
            "violated": f"equipartition is violated (chance makes {self.limit_K:.2g} K at most)",
            "holds": f"equipartition holds within {self.within_K:.2g} K",
            "open": f"open (the run can tell a violation beyond {self.limit_K:.2g} K)",
        }
        told = self.answer != "open" and self.sigmas >= 0.0
        sigmas = f", {self.sigmas:.1f} sigma" if told else ""
        return f"{self.difference.text('K')}{sigmas}: {words[self.answer]}"


def equipartition(
    values_K: Mapping[str, NDArray[np.float64]], duration_ps: float | None = None
) -> list[Equipartition]:
    """Differences between the temperatures of all pairs of species.

    The error is that of the series of differences, autocorrelation and all, so that what two
    species have in common doesn't count.  For a violation a difference must be beyond what
    Student's t makes of it and beyond what a slow part makes that the run doesn't show
    (`UNSEEN_PS`).

    Healthy differences with a fast part of 25 K (20 fs of memory) and a slow one of 12 K (1 or
    2 ps) are called violated in fewer than one of 1000 runs of any length from 0.25 to 200 ps.
    A violation of 30 K is found in 2 of 3 runs of 20 ps (memory 1 ps), in all of 100 ps.

    Parameters
    ----------
    values_K : ``(n_frames,)``, K, for each symbol
    duration_ps : of the series, ps; without it the slow part counts in full
    """
    return [
        _pair((a, b), values_K[a], values_K[b], duration_ps) for a, b in combinations(values_K, 2)
    ]


def pooled(
    pairs: Sequence[Equipartition], weights: Sequence[float], difference: Mean
) -> Equipartition:
    """One and the same pair of several replicas, whose mean ``difference`` is given.

    Limits and half widths of replicas are as independent as their errors.  Four replicas or more
    have an interval by their spread, however short each of them is.
    """
    share = np.array(weights, dtype=float) / np.sum(weights)

    def together(values: list[float]) -> float:
        return float(np.sqrt(np.sum((share * values) ** 2)))

    limit_K = together([pair.limit_K for pair in pairs])
    half_K = together([pair.half_width_K for pair in pairs])
    if len(pairs) >= FEWEST_REPLICAS:  # their spread knows of slow parts too
        seen_K = difference.half_width(0.95)
        half_K = max(half_K, seen_K) if math.isfinite(half_K) else seen_K
        if not math.isfinite(limit_K):
            limit_K = difference.half_width(1.0 - CHANCE)
    return Equipartition(
        pairs[0].names,
        difference,
        limit_K,
        half_K,
        float(share @ [pair.temperature_K for pair in pairs]),
    )


def _pair(
    names: tuple[str, str], one_K: NDArray, other_K: NDArray, duration_ps: float | None
) -> Equipartition:
    series = one_K - other_K
    difference = mean_of(series)
    spread = long_run(series - difference.value)
    error = math.sqrt(spread.variance / len(series))  # NaN of a few frames
    unseen = _unseen_K(series, spread, duration_ps)
    limit_K = max(half_width(error, spread.dof, 1.0 - CHANCE), UNSEEN_SIGMAS * unseen)
    seen_K = difference.half_width(0.95)
    return Equipartition(
        names=names,
        difference=difference,
        limit_K=limit_K if math.isfinite(error) else math.inf,
        half_width_K=max(seen_K, 2.0 * unseen) if math.isfinite(seen_K) else math.nan,
        temperature_K=0.5 * float(one_K.mean() + other_K.mean()),
    )


def _unseen_K(series: NDArray, spread: LongRun, duration_ps: float | None) -> float:
    """Standard deviation of the mean by a slow part that can't be seen, K."""
    if duration_ps is not None and spread.enough and duration_ps >= UNSEEN_MEMORIES * UNSEEN_PS:
        return 0.0
    share = UNSEEN_SHARE * min(1.0, UNSEEN_PS / max(duration_ps or UNSEEN_PS, UNSEEN_PS))
    return math.sqrt(share * float(np.var(series)))


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
