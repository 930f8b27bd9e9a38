"""The formulas of the analytic family: energies, conservative forces, and swirls that are not.

``Harmonic``, every atom in a well of its own::

    E = k/2 sum_i d_i^2,   d_i = r_i - R_i,   direct: F_i = -k d_i + s z x d_i

``LennardJones``, all pairs closer than the cutoff c, images included::

    E = sum_(i<j) v(r_ij) - v(c) - (r_ij - c) v'(c),   v(r) = 4 e ((S/r)^12 - (S/r)^6)
    direct: the same plus sum_j w(r_ij) z x r_ij,   w(r) = s (1 - r^2/c^2)^2,   r_ij = r_i - r_j

k, s, e, S, c are ``k_eV_per_A2``, ``swirl_eV_per_A2``, ``epsilon_eV``, ``sigma_A``, ``cutoff_A``;
R is ``sites_A`` (the origin if not given).  What is known of the direct forces, with axes x, y, z:

- Harmonic: each atom's Jacobian dF/dr is -k 1 + s Z, Z_xy = -1, Z_yx = 1, so that the norm of its
  antisymmetric part over that of the whole is sqrt(2) s / sqrt(3 k^2 + 2 s^2).
- The work on an atom that goes once, counter-clockwise seen from +z, around a circle of radius a in
  the xy plane is 2 pi a^2 s around its well, and 2 pi a^2 w(a) around its only neighbour.
- LennardJones: swirls are equal and opposite in a pair, so that the net force is zero.  Their
  Jacobian with respect to d = r_ij is w Z + (w'/r) (z x d) d^T, w' = -4 s r/c^2 (1 - r^2/c^2), of
  which w Z + (w'/2r) ((z x d) d^T - d (z x d)^T) is antisymmetric.

All pairs are looked at: time and memory grow with the square of the number of atoms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Structure
from ncforce_ipi.errors import InputError

Array = NDArray[np.float64]
Z = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])  # Z v = z x v


@dataclass(frozen=True)
class Harmonic:
    """Wells; see the module for the formula.  Knows no periodicity: its wells have no images.

    Attributes
    ----------
    k_eV_per_A2, swirl_eV_per_A2 : stiffness of the wells, strength of the swirl around each
    sites_A : ``(n_atoms, 3)`` or ``(1, 3)``, A, middles of the wells
    """

    k_eV_per_A2: float = 1.0
    swirl_eV_per_A2: float = 0.1
    sites_A: Any = ((0.0, 0.0, 0.0),)

    def evaluate(self, structure: Structure) -> tuple[float, Array, Array, Array, Array]:
        """Energy, forces, virial; swirl forces and their virial (sums of r F^T)."""
        sites = np.asarray(self.sites_A, float)
        if sites.shape not in ((1, 3), structure.positions.shape):
            raise InputError(
                f"sites_A: expected shape (1, 3) or {structure.positions.shape}, got {sites.shape}"
            )
        d = structure.positions - sites
        forces, swirl = -self.k_eV_per_A2 * d, self.swirl_eV_per_A2 * d @ Z.T
        energy = 0.5 * self.k_eV_per_A2 * float(np.sum(d**2))
        r = structure.positions
        return energy, forces, r.T @ forces, swirl, r.T @ swirl


@dataclass(frozen=True)
class LennardJones:
    """Pairs; see the module for the formula.

    Attributes
    ----------
    epsilon_eV, sigma_A, cutoff_A : of the potential; energy and force vanish at the cutoff
    swirl_eV_per_A2 : strength of the swirl around each neighbour
    """

    epsilon_eV: float = 0.0104  # argon
    sigma_A: float = 3.40
    cutoff_A: float = 8.5
    swirl_eV_per_A2: float = 0.001

    def evaluate(self, structure: Structure) -> tuple[float, Array, Array, Array, Array]:
        """Energy, forces, virial; swirl forces and their virial; each pair comes twice."""
        i, d = _pairs(structure, self.cutoff_A)
        r = np.linalg.norm(d, axis=1)
        energy, slope = self._potential(r)
        w = self.swirl_eV_per_A2 * (1 - (r / self.cutoff_A) ** 2) ** 2
        pulls, swirls = -(slope / r)[:, None] * d, w[:, None] * (d @ Z.T)
        forces, swirl = np.zeros((2, *structure.positions.shape))
        np.add.at(forces, i, pulls)
        np.add.at(swirl, i, swirls)
        return 0.5 * float(energy.sum()), forces, 0.5 * d.T @ pulls, swirl, 0.5 * d.T @ swirls

    def _potential(self, r: Array) -> tuple[Array, Array]:
        """The shifted potential and its derivative."""
        value, slope = self._unshifted(r)
        value_c, slope_c = self._unshifted(np.array(self.cutoff_A))
        return value - value_c - (r - self.cutoff_A) * slope_c, slope - slope_c

    def _unshifted(self, r: Array) -> tuple[Array, Array]:
        x = (self.sigma_A / r) ** 6
        return 4 * self.epsilon_eV * (x**2 - x), -24 * self.epsilon_eV * (2 * x**2 - x) / r


def _pairs(structure: Structure, cutoff: float) -> tuple[NDArray[np.int64], Array]:
    """First atoms ``(n_pairs,)`` and r_i - r_j ``(n_pairs, 3)``, A, of all ordered pairs."""
    cell = structure.cell
    inverse = np.linalg.pinv(cell)  # of a missing lattice vector: a column of zeros, and no images
    r = structure.positions - np.floor(structure.positions @ inverse) @ cell
    reach = np.floor(cutoff * np.linalg.norm(inverse, axis=0) + cell.any(axis=1)).astype(int)
    found = []
    for shift in np.ndindex(*(2 * reach + 1)):
        vectors = r[:, None] - r[None, :] + (np.array(shift) - reach) @ cell  # (i, j, xyz)
        near = np.sum(vectors**2, axis=2) < cutoff**2
        if not (shift - reach).any():
            np.fill_diagonal(near, False)
        i, j = np.nonzero(near)
        found.append((i, vectors[i, j]))
    return np.concatenate([i for i, _ in found]), np.concatenate([d for _, d in found])
