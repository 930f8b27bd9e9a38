"""The asymmetry of one Jacobian, from the whole matrix or from a fixed number of products."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from ncforce_ipi.backend import Structure
from ncforce_ipi.diagnostics import jacobian
from ncforce_ipi.diagnostics.estimators import estimate
from ncforce_ipi.diagnostics.jacobian import Array, Shells
from ncforce_ipi.diagnostics.probing import MEMBERS, Plan, distances, probe
from ncforce_ipi.diagnostics.products import Products, dense
from ncforce_ipi.diagnostics.progress import Advance


@dataclass(frozen=True)
class Asymmetry:
    """The asymmetry of one kind of force at one structure.

    Attributes
    ----------
    value, error : lambda and its standard error; 0 for the whole Jacobian
    floor : lambda that the noise of differences gives a conservative model; NaN of exact products
    full : ||J||, eV/A^2
    per_atom : ``(n_atoms,)``, lambda of each atom's rows; NaN where estimated
    pairs : lambda and its standard error by atomic numbers
    shells : one or, of block probing, several sets that see different pairs
    n_products : products with J or J^T
    """

    value: float
    error: float
    floor: float
    full: float
    per_atom: Array
    pairs: dict[tuple[int, int], tuple[float, float]]
    shells: list[Shells]
    n_products: int

    def to_dict(self) -> dict[str, Any]:
        """Of the structure as a whole and of its atoms."""
        return {
            "lambda": self.value,
            "lambda_error": self.error,
            "norm_eV_per_A2": self.full,
            "n_products": self.n_products,
            "lambda_of_atoms": self.per_atom,
        }


def whole(
    products: Products,
    structure: Structure,
    edges_A: Array,
    floor: float = np.nan,
    progress: Advance = lambda done: None,
) -> Asymmetry:
    """Of the whole Jacobian: 3 n_atoms products and ``(3 n_atoms)^2`` numbers."""
    found = jacobian.blocks(dense(products, progress))
    sums = jacobian.per_species_pair(found, structure.numbers)
    lengths = distances(structure, np.arange(len(structure.positions)))
    return Asymmetry(
        jacobian.asymmetry(found),
        0.0,
        floor,
        float(np.sqrt(found.full.sum())),
        jacobian.per_atom(found),
        {pair: (float(jacobian.ratio(*both)), 0.0) for pair, both in sums.items()},
        [jacobian.shells(lengths, found.antisymmetric, found.full, edges_A)],
        3 * products.n_atoms,
    )


def n_products(products: Products, structure: Structure, plan: Plan, n_probes: int) -> int:
    """Products that ``estimated`` will take; a number that doesn't grow with the structure."""
    n_species = len(np.unique(structure.numbers))
    return (1 + products.transposable) * n_probes * n_species + _per_round(products) * plan.n_rounds


def _per_round(products: Products) -> int:
    return 6 if products.transposable else 3 * MEMBERS


def estimated(
    products: Products,
    structure: Structure,
    plan: Plan,
    n_probes: int,
    floor: float = np.nan,
    progress: Advance = lambda done: None,
) -> Asymmetry:
    """From ``n_probes`` random probes of each species and the rounds of ``plan``."""
    found = estimate(products, structure.numbers, n_probes, plan.seed, progress)
    done = found.n_products
    per_round = _per_round(products)
    shells = (
        probe(products, structure, plan, lambda k: progress(done + per_round * k))
        if plan.n_rounds
        else []
    )
    value, error = found.total
    species = [int(z) for z in found.species]
    return Asymmetry(
        value,
        error,
        floor,
        float(np.sqrt(found.full.sum((1, 2)).mean())),
        np.full(len(structure.positions), np.nan),
        {pair: found.pair(*pair) for pair in combinations_with_replacement(species, 2)},
        shells,
        done + per_round * plan.n_rounds,
    )
