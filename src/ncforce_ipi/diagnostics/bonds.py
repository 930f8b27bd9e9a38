"""Stretches of single bonds in the place of normal modes: for structures of any size.

Along the unit vector u from i to j, with the reduced mass mu = m_i m_j / (m_i + m_j), a bond that
vibrates alone moves the two atoms by -mu/m_i x u and mu/m_j x u, and has the stiffness::

    k = -d/dx (F_j . u mu/m_j - F_i . u mu/m_i),     omega^2 = k / mu
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Structure
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.diagnostics.products import Forces
from ncforce_ipi.diagnostics.resonance import Modes
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.structures import to_atoms
from ncforce_ipi.units import U_A2_PER_FS2_EV

STRETCHED = 1.25  # a bond may be this much longer than the sum of radii
STEP_A = 0.01
"""float32 forces (1e-5 eV/A) leave 0.001 eV/A^2, cubic terms 0.1 % of the k of an O-H bond."""


def bonds(structure: Structure, masses_u: Array, most: int, seed: int = 0) -> NDArray[np.intp]:
    """Covalent bonds ``(n_bonds, 2)`` by ASE's radii, at most ``most``: lightest kind first.

    Those of the smallest reduced mass vibrate fastest; of them a random choice.

    Raises
    ------
    InputError
        There is none.
    """
    from ase.neighborlist import natural_cutoffs, neighbor_list

    atoms = to_atoms(structure)
    i, j = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=STRETCHED))
    pairs = np.stack([i, j], axis=1)[i < j]
    if not len(pairs):
        raise InputError("no two atoms are within a bond's length; give --modes normal")
    order = np.random.default_rng(seed).permutation(len(pairs))
    lightest = np.argsort(_reduced(masses_u, pairs[order]).round(6), kind="stable")
    return pairs[order][lightest][:most]


def stretches(
    slow: Forces, fast: Forces, structure: Structure, masses_u: Array, pairs: NDArray[np.intp]
) -> Modes:
    """Frequencies of the fast force along bonds ``(n_bonds, 2)``, and how much stiffer slow is.

    Four evaluations for each bond; bonds that aren't stiff in the fast force are left out.
    """
    along = _along(structure, pairs)
    k = np.array(
        [
            [_stiffness(f, structure, masses_u, *bond) for f in (slow, fast)]
            for bond in zip(pairs, along, strict=True)
        ]
    )
    kept = k[:, 1] > 0
    reduced = _reduced(masses_u, pairs) * U_A2_PER_FS2_EV
    omega = np.sqrt(k[kept, 1] / reduced[kept])
    return Modes(omega, k[kept, 0] / k[kept, 1] - 1, int((~kept).sum()))


def _reduced(masses_u: Array, pairs: NDArray[np.intp]) -> Array:
    m = masses_u[pairs]
    return m.prod(axis=1) / m.sum(axis=1)


def _along(structure: Structure, pairs: NDArray[np.intp]) -> Array:
    """Unit vectors ``(n_bonds, 3)`` from the first to the nearest image of the second, in any cell.

    Fractions rounded to whole numbers would miss it where a bond is longer than half a height of
    the cell, as in a rhombohedral one.
    """
    from ase.geometry import find_mic

    apart = structure.positions[pairs[:, 1]] - structure.positions[pairs[:, 0]]
    vectors, lengths = find_mic(apart, structure.cell, structure.cell.any(axis=1))
    return np.asarray(vectors / lengths[:, None])


def _stiffness(
    forces: Forces, structure: Structure, masses_u: Array, pair: NDArray[np.intp], along: Array
) -> float:
    share = _reduced(masses_u, pair[None])[0] / masses_u[pair] * [-1.0, 1.0]
    pattern = np.zeros_like(structure.positions)
    pattern[pair] = np.outer(share, along)
    ahead, behind = (forces(structure.positions + s * STEP_A * pattern) for s in (1, -1))
    return float(-np.sum((ahead - behind) * pattern) / (2 * STEP_A))
