"""What the Jacobian of a force field says of its non-conservation.  Arrays in, arrays out.

J = dF/dr is symmetric if and only if the force is (locally) a gradient: it is then minus the
Hessian.  With A = (J - J^T)/2 and Frobenius norms, the *Jacobian asymmetry* is (Bigi, Langer,
Ceriotti, ICML 2025)::

    lambda = ||A|| / ||J||            0: conservative,  1: antisymmetric
    of atom i:       rows of i,  lambda_i^2  = sum_j ||A_ij||^2 / sum_j ||J_ij||^2
    of a pair:       blocks,     lambda_ij   = ||A_ij|| / ||J_ij||
    of species a, b: all blocks with one atom of each
    of a distance:   root mean squares over the pairs i != j in a shell

J_ij is the 3x3 block dF_i/dr_j and A_ij = (J_ij - J_ji^T)/2.  Blocks J_ij and J_ji^T that know
nothing of each other have lambda = 1/sqrt(2) over a shell; one that has no counterpart has more.

Removing the net force, F -> F - mean(F), takes Q J out of J, where Q is the mean over atoms.  If
J doesn't depend on where the origin is (J Q = 0), ||J||^2 falls by ||Q J||^2 and ||A||^2 by half of
that: lambda falls if it was below 1/sqrt(2), and the J of a conservative model stays as it is.  In
an external field (J Q != 0) it makes even conservative forces asymmetric.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Blocks:
    """Squared Frobenius norms of the 3x3 blocks, eV^2/A^4.

    Attributes
    ----------
    antisymmetric : ``(n_atoms, n_atoms)``, ||A_ij||^2
    full : ``(n_atoms, n_atoms)``, ||J_ij||^2
    """

    antisymmetric: Array
    full: Array


@dataclass(frozen=True)
class Shells:
    """Sums of squared block norms over the ordered pairs of each shell of distance.

    Attributes
    ----------
    edges_A : ``(n_shells + 1,)``, A
    n_pairs : ``(n_shells,)``
    antisymmetric, full : ``(n_shells,)``, eV^2/A^4
    """

    edges_A: Array
    n_pairs: Array
    antisymmetric: Array
    full: Array


@dataclass(frozen=True)
class Profile:
    """The asymmetry against distance.

    Attributes
    ----------
    distance_A : ``(n_shells,)``, A, middles of the shells
    n_pairs : ``(n_shells,)``, ordered pairs that were seen
    antisymmetric, full : ``(n_shells,)``, eV/A^2, root mean square block norms; NaN without pairs
    ratio, error : ``(n_shells,)``, lambda and its standard error; NaN without pairs, or with one
        set of shells
    """

    distance_A: Array
    n_pairs: Array
    antisymmetric: Array
    full: Array
    ratio: Array
    error: Array

    def to_dict(self) -> dict[str, Array]:
        """The columns, with units in their names."""
        return {
            "distance_A": self.distance_A,
            "n_pairs": self.n_pairs,
            "antisymmetric_eV_per_A2": self.antisymmetric,
            "full_eV_per_A2": self.full,
            "lambda": self.ratio,
            "lambda_error": self.error,
        }


def blocks(jacobian: Array) -> Blocks:
    """Block norms of a Jacobian ``(3 n_atoms, 3 n_atoms)``, eV/A^2, rows force, columns position.

    Raises
    ------
    InputError
        It isn't square, or not three numbers an atom.
    """
    if jacobian.ndim != 2 or len(set(jacobian.shape)) != 1 or len(jacobian) % 3:
        raise InputError(f"expected a Jacobian (3 n, 3 n), got {jacobian.shape}")
    return Blocks(*(_block_norms(m) for m in (0.5 * (jacobian - jacobian.T), jacobian)))


def _block_norms(matrix: Array) -> Array:
    n_atoms = len(matrix) // 3
    return (matrix.reshape(n_atoms, 3, n_atoms, 3) ** 2).sum(axis=(1, 3))


def asymmetry(found: Blocks) -> float:
    """Lambda of the whole; 0 where J is 0."""
    return float(ratio(found.antisymmetric.sum(), found.full.sum()))


def per_atom(found: Blocks) -> Array:
    """Lambda of the rows of each atom ``(n_atoms,)``."""
    return ratio(found.antisymmetric.sum(axis=1), found.full.sum(axis=1))


def per_species_pair(
    found: Blocks, numbers: NDArray[np.int32]
) -> dict[tuple[int, int], tuple[float, float]]:
    """Sums over blocks with one atom of each: ||A||^2 and ||J||^2, eV^2/A^4, by atomic numbers."""
    species = np.unique(numbers)
    sums = {}
    for a in species:
        for b in species[species >= a]:
            mask = np.outer(numbers == a, numbers == b)
            mask |= mask.T
            pair = int(a), int(b)
            sums[pair] = float(found.antisymmetric[mask].sum()), float(found.full[mask].sum())
    return sums


def ratio(antisymmetric: Array | float, full: Array | float) -> Array:
    """Square root of a ratio of squared norms; 0 where both are 0."""
    a, j = np.asarray(antisymmetric, float), np.asarray(full, float)
    return np.sqrt(np.divide(a, j, out=np.zeros(np.broadcast(a, j).shape), where=j > 0))


def shells(distance_A: Array, antisymmetric: Array, full: Array, edges_A: Array) -> Shells:
    """Sort pairs ``(n_pairs,)`` into shells; those beyond the last edge, or at 0, are left out."""
    off_diagonal = distance_A > 0
    r = distance_A[off_diagonal]
    count, _ = np.histogram(r, edges_A)
    sums = [
        np.histogram(r, edges_A, weights=values[off_diagonal])[0]
        for values in (antisymmetric, full)
    ]
    return Shells(edges_A, count.astype(float), *sums)


def profile(units: list[Shells]) -> Profile:
    """Pool shells of several structures or probes; errors by leaving out one after the other.

    Raises
    ------
    InputError
        There are none, or their edges differ.
    """
    if not units or any(not np.array_equal(u.edges_A, units[0].edges_A) for u in units):
        raise InputError("expected shells with the same edges, from one structure or more")
    edges = units[0].edges_A
    antisymmetric, full = (
        np.array([getattr(u, k) for u in units]) for k in ("antisymmetric", "full")
    )
    count = np.array([u.n_pairs for u in units]).sum(axis=0)
    seen = np.where(count > 0, count, np.nan)
    value, error = jackknife(antisymmetric, full)
    empty = np.isnan(seen)
    return Profile(
        0.5 * (edges[1:] + edges[:-1]),
        count,
        np.sqrt(antisymmetric.sum(axis=0) / seen),
        np.sqrt(full.sum(axis=0) / seen),
        np.where(empty, np.nan, value),
        np.where(empty, np.nan, error),
    )


def jackknife(antisymmetric: Array, full: Array) -> tuple[Array, Array]:
    """Lambda of pooled samples ``(n_samples, ...)`` and its standard error.

    Leave-one-out of the square root of the ratio of sums, which a plain error of the mean would
    miss: sigma^2 = (n - 1)/n sum_k (lambda_(k) - mean)^2.  NaN for a single sample.
    """
    n = len(full)
    totals = antisymmetric.sum(axis=0), full.sum(axis=0)
    value = ratio(*totals)
    if n < 2:
        return value, np.full(value.shape, np.nan)
    left_out = ratio(
        np.maximum(totals[0] - antisymmetric, 0.0), np.maximum(totals[1] - full, 0.0)
    )  # (sample, ...)
    return value, np.sqrt((n - 1) * left_out.var(axis=0))
