"""Degrees of freedom as the velocities themselves show them.

Owns what counts as heat: components that never move don't, nor does a centre of mass that is at
rest, flies at a constant velocity or moves otherwise than heat makes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.statistics import mean_of
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV

Motion = Literal["at rest", "constant", "free", "moving"]
LABEL = "degrees of freedom"
SMALL = 1e-3
"""Share of P^2 of independent atoms, or of its variance, below which a total momentum is zero, or
constant: digits of files make 1e-8, a share that counts as heat makes about 1."""
SIGMAS = 4.0
"""How far from equipartition the centre of mass may look and still be called free."""


@dataclass(frozen=True)
class Freedom:
    """What of the velocities of a system is heat.

    Attributes
    ----------
    masses_u : ``(n_atoms,)``, u
    moving : ``(n_atoms, 3)``, False for the components that never move
    centre : along x, y and z, how the centre of mass moves: at rest, at constant velocity, free
        as an atom would, or otherwise
    velocity : ``(3,)``, A/fs, its mean
    kinetic_eV : mean kinetic energy of the centre of mass that isn't counted as heat, eV
    n_constraints : distances and the like that are held, as the run says: each takes one degree of
        freedom of the whole, and nothing says of which species
    """

    masses_u: NDArray[np.float64]
    moving: NDArray[np.bool_]
    centre: tuple[Motion, Motion, Motion]
    velocity: NDArray[np.float64]
    kinetic_eV: float = 0.0
    n_constraints: int = 0

    @property
    def n_fixed(self) -> int:
        """Atoms none of whose components moves."""
        return int(np.count_nonzero(~self.mobile))

    @property
    def mobile(self) -> NDArray[np.bool_]:
        """``(n_atoms,)``, True for atoms that move along some axis."""
        return np.asarray(self.moving.any(axis=1))

    @property
    def counted(self) -> NDArray[np.bool_]:
        """``(3,)``, True along the axes where the centre of mass is a degree of freedom."""
        return np.array([motion == "free" for motion in self.centre])

    def shares(self) -> NDArray[np.float64]:
        """``(n_atoms, 3)``: what each component lacks of one degree of freedom, m_i / M or all."""
        mass_u = self.masses_u[:, None] * self.moving
        total_u = np.maximum(mass_u.sum(axis=0), np.finfo(float).tiny)
        return np.where(self.moving, mass_u / total_u * ~self.counted, 1.0)

    def dof(self, members: NDArray[np.bool_] | None = None) -> float:
        """Degrees of freedom of a group of atoms, ``(n_atoms,)``; None for all.

        Along each axis N_s - M_s / M, of the components that move; N_s where the centre of mass is
        free (`temperature.degrees_of_freedom` derives that).
        """
        left = 1.0 - self.shares()
        free = float(left.sum())
        found = max(free - self.n_constraints, 0.0)
        if members is not None:  # as if constraints held all atoms alike
            found *= float(left[members].sum()) / max(free, 1.0)
        return round(found, 9)  # a sum of shares is whole but for rounding, and 0 of one atom

    def heat(self, velocities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Velocities ``(n_frames, n_atoms, 3)`` less those of a centre of mass that isn't heat.

        The same array where there is nothing to take off.
        """
        off = np.array([motion in ("constant", "moving") for motion in self.centre])
        if not off.any():
            return velocities
        return velocities - self.moving * (_centre(velocities, self.masses_u, self.moving) * off)

    def lines(self) -> list[tuple[str, str]]:
        """Label and text of what was decided."""
        lines = [(LABEL, f"{self.dof():.6g}, as the velocities show: {self._of_centre()}")]
        fixed = int(np.count_nonzero(~self.moving)) - 3 * self.n_fixed
        if self.n_fixed:
            lines.append(("", f"{self.n_fixed} of {len(self.moving)} atoms never move"))
        if fixed:
            lines.append(("", f"{fixed} components of other atoms never move"))
        if self.n_constraints:
            lines.append(("", f"{self.n_constraints} constraints of the checkpoint are taken off; "
                              "nothing says which species they hold"))  # fmt: skip
        if self.kinetic_eV > 0.0:
            kelvin = 2.0 * self.kinetic_eV / BOLTZMANN_EV_PER_K / max(self.dof(), 1.0)
            speed = 1e5 * float(np.linalg.norm(self.velocity))
            lines.append(("", f"its kinetic energy, {1e3 * self.kinetic_eV:.3g} meV ({speed:.3g} "
                              f"m/s on average), is not counted as heat: it would add "
                              f"{kelvin:.3g} K"))  # fmt: skip
        return lines

    def numbers(self) -> dict[str, float | int | str]:
        """For files."""
        return {
            "degrees_of_freedom": self.dof(),
            "centre_of_mass": ", ".join(self.centre),
            "centre_of_mass_kinetic_energy_not_counted_meV": 1e3 * self.kinetic_eV,
            "n_atoms_that_never_move": self.n_fixed,
        }

    def _of_centre(self) -> str:
        words = {
            "at rest": "the centre of mass is at rest",
            "constant": "the whole system flies at a constant velocity",
            "free": "the centre of mass moves freely",
            "moving": "the centre of mass moves, which isn't shown to be heat",
        }
        if len(set(self.centre)) == 1:
            return words[self.centre[0]]
        return ", ".join(
            f"{words[motion]} along {axis}" for axis, motion in zip("xyz", self.centre, strict=True)
        )


def freedom_of(
    velocities: NDArray[np.float64], masses_u: NDArray[np.float64], *, said_free: bool = False
) -> Freedom:
    """Degrees of freedom that a sample of frames shows.

    A component that is exactly 0 in all frames is fixed.  Along each axis the total momentum P of
    the others is zero, constant, or it varies.  P that varies is heat if <P^2> / M is k_B T of the
    motion about the centre of mass, within what the sample can tell; or where atoms are fixed,
    which is what P is exchanged with.  Else it isn't counted, which is right whatever moves it:
    velocities about the centre of mass have 3N - 3 degrees of freedom in any case.

    Parameters
    ----------
    velocities : ``(n_frames, n_atoms, 3)``, A/fs, frames spread over the run
    masses_u : ``(n_atoms,)``, u
    said_free : whether the run says that the centre of mass is thermostatted like all else: this
        decides where the sample is too short
    """
    moving = (velocities != 0.0).any(axis=0)
    if not moving.any():
        moving = np.ones_like(moving)  # nothing moves: there is nothing to tell apart
    centre = _centre(velocities, masses_u, moving)[:, 0]  # (frame, axis)
    squares = np.einsum("a,fac,fac->c", masses_u**2, velocities, velocities)
    alone = squares / len(velocities)  # <P^2> of independent atoms
    total_u = (masses_u[:, None] * moving).sum(axis=0)
    motions: list[Motion] = []
    for axis in range(3):
        p = total_u[axis] * centre[:, axis]
        motions.append(_motion(p, float(alone[axis]), int(np.count_nonzero(moving[:, axis]))))
    held = (moving.any(axis=0) & ~moving.all(axis=0)).any()  # by atoms that never move
    if "moving" in motions and (
        held or _is_heat(velocities, masses_u, moving, centre, motions, said_free)
    ):
        motions = ["free" if motion == "moving" else motion for motion in motions]
    off = np.array([motion in ("constant", "moving") for motion in motions])
    kinetic = 0.5 * U_A2_PER_FS2_EV * float(((centre**2).mean(axis=0) * total_u * off).sum())
    return Freedom(
        masses_u, moving, (motions[0], motions[1], motions[2]), centre.mean(axis=0), kinetic
    )


def all_free(freedom: Freedom) -> Freedom:
    """The same with the motion of the centre of mass counted as heat."""
    return replace(freedom, centre=("free", "free", "free"), kinetic_eV=0.0)


def none_free(freedom: Freedom) -> Freedom:
    """The same with no motion of the centre of mass counted as heat, which is right in any case."""
    return _with_counted(freedom, np.zeros(3, dtype=bool))


def in_common(freedoms: Sequence[Freedom]) -> list[Freedom]:
    """Of replicas: where the centre of mass of one isn't heat along an axis, of none it is."""
    counted = np.all([one.counted for one in freedoms], axis=0)
    moving = np.any([one.moving for one in freedoms], axis=0)
    return [_with_counted(replace(one, moving=moving), counted) for one in freedoms]


def _with_counted(freedom: Freedom, counted: NDArray[np.bool_]) -> Freedom:
    motions: list[Motion] = [
        "moving" if motion == "free" and not counts else motion
        for motion, counts in zip(freedom.centre, counted, strict=True)
    ]
    return replace(freedom, centre=(motions[0], motions[1], motions[2]))


def _centre(velocities: NDArray, masses_u: NDArray, moving: NDArray) -> NDArray[np.float64]:
    """Of the components that move, ``(n_frames, 1, 3)``, A/fs."""
    weights = masses_u[:, None] * moving
    total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    return np.einsum("fac,ac->fc", velocities, weights / total)[:, None]


def _motion(p: NDArray[np.float64], alone: float, n_atoms: int) -> Motion:
    """Of a total momentum ``(n_frames,)`` whose square would be ``alone`` for independent atoms."""
    if float((p**2).mean()) <= SMALL * alone:
        return "at rest"
    if len(p) > 1 and float(p.var()) <= SMALL * alone:
        return "constant"
    return "free" if n_atoms == 1 and len(p) > 1 else "moving"


def _is_heat(
    velocities: NDArray, masses_u: NDArray, moving: NDArray, centre: NDArray,
    motions: Sequence[Motion], said_free: bool,
) -> bool:  # fmt: skip
    """Whether the centre of mass has k_B T / 2 along the axes where it varies."""
    axes = [axis for axis, motion in enumerate(motions) if motion == "moving"]
    weights = masses_u[:, None] * moving
    n_inner = np.count_nonzero(moving, axis=0) - 1
    thermal = np.zeros(3)  # k_B T along each axis
    for frame, middle in zip(velocities, centre, strict=True):  # one by one: many atoms are large
        thermal += (weights * (frame - middle) ** 2).sum(axis=0)
    thermal /= len(velocities) * np.maximum(n_inner, 1)
    total = weights.sum(axis=0)
    if not thermal[axes].all():
        return said_free
    share = (total * centre**2)[:, axes].mean(axis=1) / float(thermal[axes].mean())
    found = mean_of(share)
    if math.isnan(found.error):
        return said_free
    return abs(found.value - 1.0) <= SIGMAS * found.error
