"""Masses that a user chooses, so that time steps may be longer: of a species, or from the bonds.

Owns where the mass of a heavier hydrogen comes from, and what must be said of it.

In classical statistics momenta and positions are independent, so averages over positions (g(r),
density, energy, pressure) don't depend on masses.  All that depends on time does.

Source
------
Feenstra, Hess, Berendsen, J. Comput. Chem. 20, 786 (1999): hydrogen mass repartitioning.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.numbers import real_number, settle
from ncforce_ipi.species import NUMBERS

if TYPE_CHECKING:
    from ase import Atoms

log = logging.getLogger(__name__)

LONGEST_BONDS = 1.3  # of the sum of covalent radii: O-H to 1.26 A, hydrogen bonds have 1.5 and more
SAME = 1e-6  # of a mass
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Masses:
    """What a user wants of the masses.

    Attributes
    ----------
    of_species : mass of each species that isn't to have its own, u; empty for none
    hydrogen_u : mass of every hydrogen atom, u, which its heavy neighbour gives: the total stays;
        None to leave hydrogen as it is
    """

    of_species: Mapping[str, float] | None = None
    hydrogen_u: float | None = None

    def __post_init__(self) -> None:
        settle(self, real=("hydrogen_u",))
        given = {name: real_number(u, "masses_u") for name, u in (self.of_species or {}).items()}
        object.__setattr__(self, "of_species", given or self.of_species)
        for symbol, mass_u in (self.of_species or {}).items():
            if symbol not in NUMBERS:
                raise InputError(f"--masses-u: {symbol!r} is no element; expected H=4,O=10")
            if not 0.0 < mass_u < math.inf:
                raise InputError(f"--masses-u: {symbol} has {mass_u:g} u; expected more than 0")
        if self.hydrogen_u is not None and not 0.0 < self.hydrogen_u < math.inf:
            raise InputError(
                f"--repartition: expected the mass of a hydrogen atom in u, as 4, got "
                f"{self.hydrogen_u:g}"
            )

    @property
    def any(self) -> bool:
        """Whether anything is to change."""
        return bool(self.of_species) or self.hydrogen_u is not None


def with_masses(atoms: Atoms, wanted: Masses, beads: int = 1) -> Atoms:
    """The same atoms with these masses; says what they mean.

    Velocities that are given keep the temperature of each atom: v sqrt(m/m').

    Raises
    ------
    InputError
        A species that isn't there, a hydrogen atom without a heavy neighbour, a heavy atom that
        would become lighter than its hydrogen, or a path integral, which feels masses.
    """
    if not wanted.any:
        return atoms
    if wanted.hydrogen_u is not None and beads > 1:
        raise InputError(
            "averages of a path integral depend on masses: leave --repartition out (--masses-u is "
            "for isotopes)"
        )
    before = atoms.get_masses()
    after = _of_species(atoms, before, wanted.of_species or {})
    if wanted.hydrogen_u is not None:
        after = repartitioned(atoms, after, wanted.hydrogen_u)
    found = atoms.copy()
    found.set_masses(after)
    if atoms.has("momenta"):
        found.set_momenta(atoms.get_momenta() * np.sqrt(after / before)[:, None])
    _say(atoms, before, after, beads)
    return found


def _of_species(atoms: Atoms, masses_u: Array, chosen: Mapping[str, float]) -> Array:
    there = set(atoms.get_chemical_symbols())
    if missing := sorted(set(chosen) - there):
        raise InputError(
            f"--masses-u: no {', '.join(missing)} in the structure, which has "
            f"{', '.join(sorted(there))}"
        )
    found = masses_u.copy()
    for symbol, mass_u in chosen.items():
        found[atoms.symbols == symbol] = mass_u
    return found


def repartitioned(atoms: Atoms, masses_u: Array, hydrogen_u: float) -> Array:
    """Masses ``(n_atoms,)``, u, of which every hydrogen atom has ``hydrogen_u``.

    The atom that it is bound to, the nearest one by covalent radii across all boundaries, gives
    what it gains.  Masses that are so already stay.

    Raises
    ------
    InputError
        No hydrogen, one without a heavy neighbour or heavier than that already, or a neighbour
        that would become lighter than its hydrogen.
    """
    hydrogen = np.flatnonzero(atoms.numbers == 1)
    if not len(hydrogen):
        raise InputError("--repartition: there is no hydrogen in the structure; leave it out")
    gain = hydrogen_u - masses_u[hydrogen]
    if (gain < -SAME * hydrogen_u).any():
        k = int(np.argmin(gain))
        raise InputError(
            f"--repartition {hydrogen_u:g}: atom {hydrogen[k]} (H) has {masses_u[hydrogen[k]]:g} u "
            "already; expected a larger mass"
        )
    heavy = _heavy_neighbours(atoms, hydrogen)
    found = masses_u.copy()
    found[hydrogen] = hydrogen_u
    np.subtract.at(found, heavy, gain)
    _check_heavy(atoms, found, heavy, masses_u, hydrogen_u)
    return found


def _heavy_neighbours(atoms: Atoms, hydrogen: NDArray[np.int64]) -> NDArray[np.int64]:
    """The atom that each hydrogen atom is bound to."""
    from ase.data import covalent_radii
    from ase.neighborlist import neighbor_list

    reach_A = LONGEST_BONDS * covalent_radii[atoms.numbers]
    i, j, d_A = neighbor_list("ijd", atoms, reach_A)
    bonds = (atoms.numbers[i] == 1) & (atoms.numbers[j] != 1)
    i, j = i[bonds], j[bonds]
    # how long each is, in bonds
    length = d_A[bonds] / (covalent_radii[1] + covalent_radii[atoms.numbers[j]])
    order = np.lexsort((length, i))
    bound, first = np.unique(i[order], return_index=True)
    if lonely := sorted(set(hydrogen.tolist()) - set(bound.tolist())):
        raise InputError(
            f"--repartition: atom {lonely[0]} (H) has no heavy neighbour to take mass from "
            f"({len(lonely)} such atoms: H2, or a free H); leave it out, or give --masses-u H=X"
        )
    nearest: NDArray[np.int64] = j[order][first]
    return nearest


def _check_heavy(
    atoms: Atoms, found: Array, heavy: NDArray[np.int64], before: Array, hydrogen_u: float
) -> None:
    """Refuse atoms that would become lighter than their hydrogen."""
    light = [k for k in np.unique(heavy) if found[k] < hydrogen_u * (1.0 - SAME)]
    if not light:
        return
    # of the heaviest hydrogen that would do, an atom and its n hydrogen atoms have equal shares
    counts = np.bincount(heavy, minlength=len(atoms))
    owners = np.unique(heavy)
    total = found[owners] + hydrogen_u * counts[owners]
    most = float((total / (counts[owners] + 1.0)).min())
    first = int(light[0])
    raise InputError(
        f"--repartition {hydrogen_u:g}: atom {first} ({atoms.symbols[first]}, {before[first]:.4g} "
        f"u) with {counts[first]} hydrogen atoms would have {found[first]:.3g} u, less than each "
        f"of them; expected at most {math.floor(100.0 * most) / 100.0:g}"
    )


def _say(atoms: Atoms, before: Array, after: Array, beads: int) -> None:
    """What changes, and what that means."""
    if np.array_equal(before, after):
        return
    members = {symbol: atoms.symbols == symbol for symbol in sorted(set(atoms.symbols))}
    changed = ", ".join(
        f"{symbol} {_range(after[own])} ({_range(before[own])})"
        for symbol, own in members.items()
        if not np.array_equal(before[own], after[own])
    )
    what = (
        "a path integral's averages are those of these masses"
        if beads > 1
        else "averages over positions (g(r), energies, pressure) are those of the true masses"
    )
    log.info(
        "masses %s u: diffusion, c_vv, spectra and all time scales are those of these masses; %s",
        changed, what,
    )  # fmt: skip
    if abs(after.sum() - before.sum()) > SAME * before.sum():
        log.warning(
            "the total mass is %.6g u instead of %.6g: a density must be computed with the true "
            "one", after.sum(), before.sum(),
        )  # fmt: skip


def _range(masses_u: Array) -> str:
    low, high = masses_u.min(), masses_u.max()
    return f"{low:.6g}" if high - low <= SAME * high else f"{low:.4g} to {high:.4g}"
