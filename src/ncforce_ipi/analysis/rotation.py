"""Rotation of an isolated system: whether vacuum is all around it, and its angular momentum.

Without a thermostat that kicks single atoms, the angular momentum about the centre of mass stays as
it is, and so does the energy that it needs: neither is heat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.freedom import SMALL
from ncforce_ipi.analysis.openings import complete
from ncforce_ipi.analysis.vacuum import SMALLEST_A

LINEAR = 1e-6
"""Share of the largest moment of inertia below which there is none about an axis."""


@dataclass(frozen=True)
class Spin:
    """The angular momentum of an isolated system over frames.

    Attributes
    ----------
    constant : whether it stays the same, zero or not
    share : of the kinetic energy about the centre of mass, what it needs at least
    n_frames : that were looked at
    """

    constant: bool
    share: float
    n_frames: int


def about_centre(
    positions: NDArray[np.float64],
    cells: NDArray[np.float64],
    pbc: Sequence[bool],
    masses_u: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Atoms as one piece about their centre of mass, and the vacuum that they leave in all frames.

    Along each lattice vector the cell is cut where the widest gap is.  Of a gas, whose gap is
    elsewhere in each frame, all frames together leave none.

    Parameters
    ----------
    positions : ``(n_frames, n_atoms, 3)``, A
    cells : ``(n_frames, 3, 3)``, A, one lattice vector a row
    pbc : whether the system is periodic along each vector
    masses_u : ``(n_atoms,)``, u

    Returns
    -------
    Positions ``(n_frames, n_atoms, 3)``, A, and vacuum across the other two vectors, ``(3,)``, A,
    infinite along a vector without periodicity
    """
    full = np.array([complete(cell) for cell in cells])
    inverse = np.linalg.inv(full)
    fractions = positions @ inverse  # (frame, atom, vector)
    inside = fractions - np.floor(fractions)
    ordered = np.sort(inside, axis=1)
    gaps = np.diff(ordered, axis=1, append=ordered[:, :1] + 1.0)
    behind = (gaps.argmax(axis=1) + 1) % positions.shape[1]  # the first atom behind the gap
    start = np.take_along_axis(ordered, behind[:, None], axis=1)
    places = np.where(pbc, (inside - start) % 1.0, fractions)
    places -= np.einsum("fav,a->fv", places, masses_u / masses_u.sum())[:, None]
    filled = places.max(axis=(0, 1)) - places.min(axis=(0, 1))
    heights_A = (1.0 / np.linalg.norm(inverse, axis=1)).min(axis=0)
    return places @ full, np.where(pbc, (1.0 - filled) * heights_A, np.inf)


def is_isolated(vacuum_A: NDArray[np.float64]) -> bool:
    """Whether there is vacuum along all three lattice vectors, ``(3,)``, A."""
    return bool((vacuum_A > SMALLEST_A).all())


def spin_of(
    places: NDArray[np.float64], velocities: NDArray[np.float64], masses_u: NDArray[np.float64]
) -> Spin:
    """Whether L is constant, and the share of the energy of rotation.

    L = sum_i m_i r_i x v_i about the centre of mass.  It counts as constant if its variance is a
    `SMALL` share of sum_i <(m_i r_i x v_i)^2>, which independent atoms would have.  The least
    energy at this L is L I^-1 L / 2 with the tensor of inertia I, without the axis of a linear
    molecule.

    Parameters
    ----------
    places : ``(n_frames, n_atoms, 3)``, A, about the centre of mass
    velocities : ``(n_frames, n_atoms, 3)``, A/fs
    masses_u : ``(n_atoms,)``, u
    """
    middle = np.einsum("fac,a->fc", velocities, masses_u / masses_u.sum())
    inner = velocities - middle[:, None]
    each = masses_u[:, None] * np.cross(places, inner)  # (frame, atom, axis)
    whole = each.sum(axis=1)
    alone = float((each**2).sum(axis=(1, 2)).mean())
    squares = np.einsum("a,fac,fac->f", masses_u, places, places)
    products = np.einsum("a,fac,fad->fcd", masses_u, places, places)
    inertia = squares[:, None, None] * np.eye(3) - products
    inverse = np.linalg.pinv(inertia, rcond=LINEAR, hermitian=True)
    turning = np.einsum("fc,fcd,fd->f", whole, inverse, whole).sum()  # twice the energy
    every = np.einsum("a,fac,fac->", masses_u, inner, inner)
    return Spin(
        constant=alone > 0.0 and float(whole.var(axis=0).sum()) <= SMALL * alone,
        share=max(float(turning / every), 0.0) if every > 0.0 else 0.0,
        n_frames=len(places),
    )
