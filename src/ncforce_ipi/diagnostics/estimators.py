"""Norms of J and A = (J - J^T)/2 from a fixed number of products, with error bars.

With probes u of independent random signs (Hutchinson, Commun. Stat. Simul. Comput. 19, 433, 1990)::

    two-sided   ||J||^2 = E |J u|^2 = E |J^T u|^2,   ||A||^2 = E |(J u - J^T u)/2|^2
    one-sided   ||J||^2 = E |J u|^2,   ||A||^2 = E ((u.J v - v.J u)/2)^2,   u, v independent

The first needs J^T u; its relative variance falls with the number of atoms.  The second takes
products J u alone, as differences give them, and every pair of probes: its error is about
1/sqrt(2 K) of lambda for K probes whatever the size.  Both are exactly 0 if J is symmetric.  A
probe lives on the atoms of one species, so that the sums over species pairs come with it.  Errors
are jackknife estimates over probes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.diagnostics.jacobian import Array, jackknife
from ncforce_ipi.diagnostics.products import Products, signs
from ncforce_ipi.errors import InputError

FEWEST_PROBES = 3


@dataclass(frozen=True)
class Estimate:
    """Estimated norms.

    Attributes
    ----------
    species : ``(n_species,)``, atomic numbers
    antisymmetric, full : ``(n_probes, n_species, n_species)``, eV^2/A^4, samples whose means are
        ||A_ab||^2 and ||J_ab||^2; species of the force first
    n_products : products with J and J^T that it took
    """

    species: NDArray[np.int32]
    antisymmetric: Array
    full: Array
    n_products: int

    @property
    def total(self) -> tuple[float, float]:
        """Lambda of the whole and its standard error."""
        value, error = jackknife(self.antisymmetric.sum((1, 2)), self.full.sum((1, 2)))
        return float(value), float(error)

    def pair(self, a: int, b: int) -> tuple[float, float]:
        """Lambda of the blocks between species ``a`` and ``b``, and its standard error."""
        i, j = (int(np.flatnonzero(self.species == z)[0]) for z in (a, b))
        places = {(i, j), (j, i)}
        sums = [
            np.sum([m[:, p, q] for p, q in places], axis=0) for m in (self.antisymmetric, self.full)
        ]
        value, error = jackknife(*sums)
        return float(value), float(error)


def estimate(
    products: Products,
    numbers: NDArray[np.int32],
    n_probes: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Estimate:
    """Estimate with ``n_probes`` probes on each species; two-sided where products allow.

    Raises
    ------
    InputError
        Fewer than three probes, of which no error could be given.
    """
    if n_probes < FEWEST_PROBES:
        raise InputError(f"expected {FEWEST_PROBES} probes or more, got {n_probes}")
    species = np.unique(numbers)
    masks = (numbers[None] == species[:, None])[:, :, None]  # (species, atom, 1)
    random = np.random.default_rng(seed)
    probes = masks * signs(random, n_probes, 1, len(numbers), 3)  # (probe, species, atom, xyz)
    sampler = _two_sided if products.transposable else _one_sided
    antisymmetric, full, n_products = sampler(products, probes, masks, progress)
    return Estimate(species, antisymmetric, full, n_products)


def _two_sided(
    products: Products, probes: Array, masks: NDArray[np.bool_], progress: Callable[[int], None]
) -> tuple[Array, Array, int]:
    antisymmetric, full = [], []
    for k, probe in enumerate(probes):
        ahead, back = products.forward(probe), products.backward(probe)  # (species, atom, xyz)
        antisymmetric.append(_by_species((ahead - back) / 2, masks))
        full.append(0.5 * (_by_species(ahead, masks) + _by_species(back, masks).T))
        progress(2 * (k + 1) * probe.shape[0])
    return np.array(antisymmetric), np.array(full), 2 * probes.shape[0] * probes.shape[1]


def _one_sided(
    products: Products, probes: Array, masks: NDArray[np.bool_], progress: Callable[[int], None]
) -> tuple[Array, Array, int]:
    n_probes, n_species = probes.shape[:2]
    images = []
    for k, probe in enumerate(probes):
        images.append(products.forward(probe))
        progress((k + 1) * n_species)
    full = np.array([_by_species(image, masks) for image in images])
    flat = probes.reshape(n_probes * n_species, -1)
    gram = flat @ np.array(images).reshape(flat.shape).T
    squares = (0.5 * (gram - gram.T)) ** 2  # ((probe, species), (probe, species))
    squares = squares.reshape(n_probes, n_species, n_probes, n_species)
    return _leave_one_out(squares), full, n_probes * n_species


def _by_species(vectors: Array, masks: NDArray[np.bool_]) -> Array:
    """``(species of the response, species of the probe)``: squared norms of parts of vectors."""
    return np.einsum("sax,tax->ts", vectors**2, masks * np.ones(3))


def _leave_one_out(squares: Array) -> Array:
    """Pseudo-values ``(n_probes, n_species, n_species)`` of the mean over pairs of two probes."""
    n = len(squares)
    rows = squares.sum(axis=2) - np.einsum("kskt->kst", squares)  # with all others (k, s, t)
    total = rows.sum(axis=0)
    mean = total / (n * (n - 1))
    columns = squares.sum(axis=0).transpose(1, 0, 2) - np.einsum("kskt->kst", squares)
    without = (total - rows - columns) / ((n - 1) * (n - 2))
    return n * mean - (n - 1) * without
