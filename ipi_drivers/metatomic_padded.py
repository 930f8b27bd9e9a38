"""Our own networks evaluated on arrays of fixed sizes: what a captured CUDA graph replays.

``training.export`` writes networks that know pairs of atoms; here they are called without metatomic
around them, on more atoms and pairs than there are.  What is too much contributes exactly nothing:
the pairs that fill up lie between ghost atoms twice the cutoff apart, where every radial
function and its derivative is zero, as they are for the pairs of a skin; the ghosts belong to a
system of their own, which is thrown away.  They are so many that none has many more pairs than a
real atom: a GPU adds to one atom in turns, and with two ghosts for all was busy with nothing else.

No operation here waits for the device or has a size that depends on values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure

from .pairlist import PairList

LEAST_GHOSTS, ATOMS_OF_A_GHOST = 2, 8
ORDER: tuple[Kind, Kind] = ("conservative", "direct")
Tensor = Any  # torch.Tensor
Network = Any  # the scripted HybridNet of a model file


class Arrays(NamedTuple):
    """Structures side by side, filled up; positions and cells change from call to call."""

    positions: Tensor  # (n_atoms, 3), A, float64
    cells: Tensor  # (n_systems + 1, 3, 3), A, float64; the last is that of the ghosts
    types: Tensor  # (n_atoms,), atomic numbers
    system: Tensor  # (n_atoms,), which structure an atom belongs to
    first: Tensor  # (n_pairs,)
    second: Tensor  # (n_pairs,)
    shifts: Tensor  # (n_pairs, 3), whole cells, float64


@dataclass(frozen=True)
class Sizes:
    """Of the arrays: ghosts and filling included; ``systems`` without that of the ghosts."""

    atoms: int
    pairs: int
    systems: int


def with_ghosts(n_atoms: int) -> int:
    """So many atoms and their ghosts: one at least at each end of a pair."""
    return n_atoms + max(LEAST_GHOSTS, n_atoms // ATOMS_OF_A_GHOST)


def network_of(model: Any) -> Network | None:
    """The network inside a model that ``training.export`` wrote; None for any other model."""
    inner = getattr(model, "module", None)
    net = getattr(inner, "net", None)
    named = (getattr(inner, "original_name", ""), getattr(net, "original_name", ""))
    return net if named == ("HybridModel", "HybridNet") else None


def pack(structures: Sequence[Structure], lists: Sequence[PairList], sizes: Sizes) -> Arrays:
    """The arrays, on the CPU, as numpy's.

    Raises
    ------
    ValueError
        They don't fit into ``sizes``; nothing is ever left out.
    """
    counts = [len(s.numbers) for s in structures]
    n_atoms, n_pairs = sum(counts), sum(len(each.first) for each in lists)
    if (
        n_atoms + LEAST_GHOSTS > sizes.atoms
        or n_pairs > sizes.pairs
        or len(structures) != sizes.systems
    ):
        raise ValueError(f"{n_atoms} atoms, {n_pairs} pairs, {len(structures)} systems in {sizes}")
    types = np.full(sizes.atoms, structures[0].numbers[0], np.int64)
    types[:n_atoms] = np.concatenate([s.numbers for s in structures])
    system = np.full(sizes.atoms, sizes.systems)
    system[:n_atoms] = np.repeat(np.arange(sizes.systems), counts)
    near, far = np.array_split(np.arange(n_atoms, sizes.atoms), 2)
    first, second = np.resize(near, sizes.pairs), np.resize(far, sizes.pairs)
    starts = np.cumsum([0, *counts[:-1]])
    first[:n_pairs] = np.concatenate([one.first + k for one, k in zip(lists, starts, strict=True)])
    second[:n_pairs] = np.concatenate(
        [one.second + k for one, k in zip(lists, starts, strict=True)]
    )
    shifts = np.zeros((sizes.pairs, 3))
    shifts[:n_pairs] = np.concatenate([each.shifts for each in lists])
    moving = pack_moving(structures, lists[0].cutoff, sizes)
    return Arrays(*moving, types, system, first, second, shifts)


def pack_moving(
    structures: Sequence[Structure], cutoff: float, sizes: Sizes
) -> tuple[np.ndarray, np.ndarray]:
    """What changes from call to call: positions and cells, those of the ghosts included."""
    n_atoms = sum(len(s.numbers) for s in structures)
    positions = np.zeros((sizes.atoms, 3))
    np.concatenate([s.positions for s in structures], out=positions[:n_atoms])
    positions[-((sizes.atoms - n_atoms) // 2) :, 0] = 2.0 * cutoff  # the far ones of `pack`
    cells = np.zeros((sizes.systems + 1, 3, 3))
    cells[:-1] = [s.cell for s in structures]
    return positions, cells


def evaluate(net: Network, arrays: Arrays, kinds: frozenset[Kind]) -> Tensor:
    """Energy of each system and, for each of the kinds, forces and virials, in one flat tensor.

    float64; ``unpack`` takes it apart.  A joint evaluation shares the trunk.
    """
    import torch

    conservative = "conservative" in kinds
    dtype = net.centres.dtype
    vectors = pair_vectors(arrays).to(dtype)
    with torch.set_grad_enabled(conservative):
        vectors = vectors.detach().requires_grad_(conservative)
        features = net.trunk(arrays.types, arrays.first, arrays.second, vectors)
        energies = net.atom_energies(features[0])
    found: dict[Kind, Tensor] = {}
    if "direct" in kinds:
        with torch.no_grad():
            found["direct"] = direct_pairs(net, features, arrays)
    if conservative:
        (found["conservative"],) = torch.autograd.grad(energies.sum(), vectors)
    with torch.no_grad():
        shifted = energies.double() + net.energy_shift[net.species_index[arrays.types]]
        total = shifted.new_zeros(len(arrays.cells)).index_add(0, arrays.system, shifted)
        parts = [total]
        for kind in ORDER:
            if kind in found:
                parts += forces_and_virials(found[kind], vectors.detach(), arrays)
        return torch.cat([part.double().reshape(-1) for part in parts])


def pair_vectors(arrays: Arrays) -> Tensor:
    """``(n_pairs, 3)``, A, from the first to the second atom, in float64: r_j - r_i + n h."""
    cells = arrays.cells[arrays.system[arrays.first]]  # (n_pairs, 3, 3)
    apart = arrays.positions[arrays.second] - arrays.positions[arrays.first]
    return apart + (arrays.shifts[:, :, None] * cells).sum(1)


def direct_pairs(net: Network, features: Sequence[Tensor], arrays: Arrays) -> Tensor:
    """``(n_pairs, 3)``: the direct head, with arguments in the order of the file's own method.

    What the trunk returns goes in, in its order, around the indices i and j: older files have no
    tensors, and the geometry of pairs in three pieces.
    """
    indices = {"i": arrays.first, "j": arrays.second}
    rest = iter(features)
    names = [argument.name for argument in net.pair_forces.schema.arguments[1:]]
    return net.pair_forces(*[indices[name] if name in indices else next(rest) for name in names])


def forces_and_virials(pair: Tensor, vectors: Tensor, arrays: Arrays) -> tuple[Tensor, Tensor]:
    """Forces ``(n_atoms, 3)`` and virials ``(n_systems + 1, 3, 3)`` of pair forces on the first.

    F_i = sum_j f_ij - sum_j f_ji,  W = - sum_ij (f_ij (x) r_ij + its transpose) / 2; the pair force
    of the energy is dE/dr_ij, r_ij = r_j - r_i.
    """
    forces = pair.new_zeros(arrays.positions.shape)
    forces = forces.index_add(0, arrays.first, pair).index_add(0, arrays.second, -pair)
    outer = pair.double()[:, :, None] * vectors.double()[:, None, :]
    outer = -0.5 * (outer + outer.transpose(1, 2))
    virials = outer.new_zeros(arrays.cells.shape)
    return forces, virials.index_add(0, arrays.system[arrays.first], outer)


def unpack(
    flat: np.ndarray, structures: Sequence[Structure], sizes: Sizes, kinds: frozenset[Kind]
) -> list[dict[Kind, Evaluation]]:
    """Evaluations of the structures, from the numbers of ``evaluate``; all arrays are copies."""
    n, m = sizes.atoms, sizes.systems + 1
    energies, rest = flat[:m], flat[m:]
    results: list[dict[Kind, Evaluation]] = [{} for _ in structures]
    for kind in [kind for kind in ORDER if kind in kinds]:
        forces, virials = rest[: 3 * n].reshape(n, 3), rest[3 * n : 3 * n + 9 * m]
        rest = rest[3 * n + 9 * m :]
        start = 0
        for k, structure in enumerate(structures):
            stop = start + len(structure.numbers)
            virial = virials[9 * k : 9 * k + 9].reshape(3, 3).copy()
            results[k][kind] = Evaluation(float(energies[k]), forces[start:stop].copy(), virial)
            start = stop
    return results
