"""Growth of modes in multiple time stepping, from stiffness matrices that are known with noise.

A conservative force has a symmetric Jacobian: what central differences give of it is made
symmetric, (J + J^T)/2, and the antisymmetric part that is thrown away is a measure of their noise,
||E|| = sqrt(2) ||(J - J^T)/2||, if the error E is alike in all elements.  The Jacobian of a direct
force is really asymmetric and stays as it is; its noise is estimated from two step sizes (see
``finite_differences``).

Noise makes pairs of modes complex, and complex modes grow.  By how much it may have put the largest
rate off is found by adding fresh noise of twice its size (symmetric noise to a symmetric matrix)::

    to the symmetric parts of both matrices       how fast modes grow by noise alone
    to both matrices as found, with both signs    how near they are to growing, or not growing

and the largest change of the largest rate that any of these makes is the uncertainty.  The first
alone isn't enough: near resonance a real asymmetry brings two modes so close that a little noise
makes them meet or part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ncforce_ipi.backend import Structure
from ncforce_ipi.diagnostics import jacobian, resonance
from ncforce_ipi.diagnostics.finite_differences import (
    Differences,
    choose_step,
    collective,
    columns,
)
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.diagnostics.products import (
    Products,
    WithoutNetForce,
    dense,
)
from ncforce_ipi.diagnostics.progress import Advance
from ncforce_ipi.diagnostics.sides import Side

WHOLE_UP_TO = 400  # atoms, whose single columns are taken
DRAWS = 2  # of noise in each of three ways; no wrong verdict was seen among 1280 with these two
SIGMAS = 2.0  # of what is added: the noise in the matrices is seldom larger


@dataclass(frozen=True)
class Stiffness:
    """Mass-weighted stiffness of one force at one structure.

    Attributes
    ----------
    matrix : ``(3 n, 3 n)``, 1/fs^2; symmetric if the force is conservative
    error : ``(3 n, 3 n)``, 1/fs^2, standard errors of the elements before that; 0 if exact
    symmetric : whether the force is conservative
    asymmetry : lambda of the Jacobian as it was found
    noise : lambda that the noise of differences gives a symmetric Jacobian; NaN of exact products
    """

    matrix: Array
    error: Array
    symmetric: bool
    asymmetry: float
    noise: float


@dataclass(frozen=True)
class Growth:
    """How fast amplitudes grow at one M.

    Attributes
    ----------
    rates_per_ps : ``(n_modes,)``, 1/ps; 0 of a stable mode
    noise_per_ps : how far noise may have put the largest of them off, 1/ps; 0 of exact matrices
    """

    rates_per_ps: Array
    noise_per_ps: float = 0.0

    @property
    def largest_per_ps(self) -> float:
        """Of the mode that grows fastest, 1/ps."""
        return float(self.rates_per_ps.max(initial=0.0))


def exact_or_differences(side: Side, structure: Structure) -> tuple[Products, float]:
    """Products of a side, and their noise over their norm: 0 by differentiation in float64."""
    if side.backend.differentiable:
        if side.backend.castable:
            side.backend.to_float64()
        products = side.backend.jacobian_products(structure, side.kind)
        if side.kind == "direct" and not side.keep_net_force:
            products = WithoutNetForce(products)
        return products, 0.0
    forces, places, n_atoms = side.all_at(structure), structure.positions, len(structure.numbers)
    vectors = (columns if n_atoms <= WHOLE_UP_TO else collective)(n_atoms)
    step = choose_step(forces, places, vectors, several=True)
    return Differences(forces, places, step.step_A, several=True), step.noise


def measure_stiffness(
    side: Side, structure: Structure, masses_u: Array, advance: Advance = lambda done: None
) -> Stiffness:
    """The whole matrix: 3 n_atoms products, each of two evaluations where they are differences.

    Parameters
    ----------
    masses_u : ``(n_atoms,)``, u
    """
    products, noise = exact_or_differences(side, structure)
    found = dense(products, advance)
    asymmetry = jacobian.asymmetry(jacobian.blocks(found))
    symmetric = side.kind == "conservative"
    if symmetric:
        found = 0.5 * (found + found.T)
        noise = math.sqrt(2) * asymmetry if noise else 0.0
    sigma = noise * float(np.linalg.norm(found)) / len(found)  # eV/A^2, of each element
    error = np.abs(resonance.stiffness(np.full_like(found, sigma), masses_u))
    return Stiffness(
        resonance.stiffness(found, masses_u),
        error,
        symmetric,
        asymmetry,
        noise / math.sqrt(2) if noise else math.nan,
    )


def growths(
    slow: Stiffness, fast: Stiffness, most_mts: int, step_fs: float, seed: int = 0
) -> list[Growth]:
    """Growth for M = 1 ... ``most_mts`` with an inner step of ``step_fs``, and its uncertainty."""
    rates = _rates(slow.matrix, fast.matrix, most_mts, step_fs)
    noise = np.zeros(most_mts)
    if slow.error.any() or fast.error.any():
        random = np.random.default_rng(seed)
        symmetric = [0.5 * (side.matrix + side.matrix.T) for side in (slow, fast)]
        quiet = _largest(_rates(symmetric[0], symmetric[1], most_mts, step_fs))
        for _ in range(DRAWS):
            e_slow, e_fast = _draw(slow, random), _draw(fast, random)
            for d_slow, d_fast, without in (
                (symmetric[0] + e_slow, symmetric[1] + e_fast, quiet),
                (slow.matrix + e_slow, fast.matrix + e_fast, _largest(rates)),
                (slow.matrix - e_slow, fast.matrix - e_fast, _largest(rates)),
            ):
                largest = _largest(_rates(d_slow, d_fast, most_mts, step_fs))
                noise = np.maximum(noise, np.abs(largest - without))
    return [Growth(r, float(n)) for r, n in zip(rates, noise, strict=True)]


def _draw(side: Stiffness, random: np.random.Generator) -> Array:
    noise = SIGMAS * side.error * random.normal(size=side.error.shape)
    return 0.5 * (noise + noise.T) if side.symmetric else noise


def _rates(slow: Array, fast: Array, most_mts: int, step_fs: float) -> list[Array]:
    found = resonance.maps(slow, fast, most_mts, step_fs)
    return [resonance.growth(a, mts, step_fs) for mts, a in enumerate(found, 1)]


def _largest(rates: list[Array]) -> Array:
    return np.array([each.max(initial=0.0) for each in rates])
