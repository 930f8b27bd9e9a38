"""Blocks of J against distance from a fixed number of products: block probing.

A probe moves several *source* atoms at once along one axis, each further than twice the range R
from the others: what an atom within R of one source then feels is, but for what reaches beyond R,
the block with that source.  With J u and J^T u, a source gives J_is and J_si for all i around it.
With differences alone, J_is of some sources around a seed gives all blocks among these; seeds are
3 R apart.  The number of products depends on the number of rounds, not on that of atoms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Structure
from ncforce_ipi.diagnostics.jacobian import Array, Shells, shells
from ncforce_ipi.diagnostics.products import Products
from ncforce_ipi.errors import InputError

MOST_SOURCES = 64  # of one probe
MEMBERS = 6  # sources around a seed where only J u is there


@dataclass(frozen=True)
class Plan:
    """What is probed.

    Attributes
    ----------
    edges_A : ``(n_shells + 1,)``, A, shells of distance; the last is the range R
    n_rounds : sets of sources; each takes 6 products, or 3 MEMBERS without J^T
    seed : of the choice of sources
    """

    edges_A: Array
    n_rounds: int
    seed: int = 0

    @property
    def range_A(self) -> float:
        """R, A."""
        return float(self.edges_A[-1])


def distances(structure: Structure, atoms: NDArray[np.intp]) -> Array:
    """Shortest distances ``(len(atoms), n_atoms)``, A, images included."""
    from ase.geometry import get_distances

    _, lengths = get_distances(
        structure.positions[atoms],
        structure.positions,
        cell=structure.cell,
        pbc=structure.cell.any(axis=1),
    )
    return np.asarray(lengths)


def probe(
    products: Products,
    structure: Structure,
    plan: Plan,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Shells]:
    """Shells of each round; ``jacobian.profile`` pools them.

    Raises
    ------
    InputError
        No round is asked for.
    """
    if plan.n_rounds < 1:
        raise InputError(f"expected one round of probes or more, got {plan.n_rounds}")
    random = np.random.default_rng(plan.seed)
    one_round = _with_transpose if products.transposable else _among_members
    found = []
    for k in range(plan.n_rounds):
        found.append(one_round(products, structure, plan, random))
        progress(k + 1)
    return found


def sources(
    structure: Structure, separation_A: float, random: np.random.Generator
) -> tuple[NDArray[np.intp], Array]:
    """Random atoms no two of which are closer than a separation, and their distances to all.

    One in a small cell; at most ``MOST_SOURCES``.
    """
    chosen: list[int] = []
    rows: list[Array] = []
    far = np.ones(len(structure.positions), bool)
    while far.any() and len(chosen) < MOST_SOURCES:
        atom = int(random.choice(np.flatnonzero(far)))
        (row,) = distances(structure, np.array([atom]))
        chosen.append(atom)
        rows.append(row)
        far &= row > separation_A
    return np.array(chosen), np.array(rows)


def _with_transpose(
    products: Products, structure: Structure, plan: Plan, random: np.random.Generator
) -> Shells:
    """Rows and columns of J of all sources at once."""
    chosen, lengths = sources(structure, 2.0 * plan.range_A, random)
    unit = np.zeros((3, products.n_atoms, 3))
    for axis in range(3):
        unit[axis, chosen, axis] = 1.0
    columns = products.forward(unit).transpose(1, 2, 0)  # J_is (i, xyz of i, xyz of s)
    rows = products.backward(unit).transpose(1, 2, 0)  # J_si^T, likewise
    nearest = lengths.min(axis=0)
    nearest[chosen] = 0.0
    # each block stands for both orders of its pair
    antisymmetric = (((columns - rows) / 2) ** 2).sum(axis=(1, 2))
    full = 0.5 * (columns**2 + rows**2).sum(axis=(1, 2))
    return shells(nearest, antisymmetric, full, plan.edges_A)


def _among_members(
    products: Products, structure: Structure, plan: Plan, random: np.random.Generator
) -> Shells:
    """Columns of J of some sources around each seed, and the blocks among them."""
    reach = plan.range_A
    _, lengths = sources(structure, 3.0 * reach, random)  # members: 1.0 or more apart
    members = [_members(row, reach, random) for row in lengths]
    columns = np.zeros((MEMBERS, products.n_atoms, 3, 3))  # of the k-th members (i, xyz, axis)
    for k in range(MEMBERS):
        unit = np.zeros((3, products.n_atoms, 3))
        moved = [group[k] for group in members if k < len(group)]
        for axis in range(3):
            unit[axis, moved, axis] = 1.0
        columns[k] = products.forward(unit).transpose(1, 2, 0)
    parts = [_blocks_among(structure, columns, group) for group in members if len(group) > 1]
    if not parts:
        raise InputError(
            f"no two atoms are within {reach:g} A of each other; expected some, give a longer range"
        )
    r, antisymmetric, full = (np.concatenate(values) for values in zip(*parts, strict=True))
    return shells(r, antisymmetric, full, plan.edges_A)


def _members(row: Array, reach: float, random: np.random.Generator) -> NDArray[np.intp]:
    near = np.flatnonzero(row <= reach)
    return random.permutation(near)[:MEMBERS]


def _blocks_among(
    structure: Structure, columns: Array, group: NDArray[np.intp]
) -> tuple[Array, Array, Array]:
    """Distances and squared norms of A and J of all pairs of a group."""
    j = np.array([columns[k, group] for k in range(len(group))])  # (source, atom, xyz, axis)
    first, second = np.nonzero(~np.eye(len(group), dtype=bool))
    block, other = j[second, first], j[first, second].transpose(0, 2, 1)
    antisymmetric = (((block - other) / 2) ** 2).sum(axis=(1, 2))
    r = distances(structure, group)[:, group]
    return r[first, second], antisymmetric, (block**2).sum(axis=(1, 2))
