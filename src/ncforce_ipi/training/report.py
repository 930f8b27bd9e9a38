"""Errors of a hybrid model: forces, energy, and the stiffness of its bonds.  Owns no file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ncforce_ipi.training.dataset import Frame, Packer, pairs
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.objective import Forces, predict


def evaluate(net: HybridNet, frame: Frame, packer: Packer) -> Forces:
    """Both forces of one frame."""
    single = Packer(1, len(frame), len(frame.first), packer.cutoff, packer.shifts, packer.species_index)
    return predict(net, single.pack([frame]))


def accuracy(net: HybridNet, frames: Sequence[Frame], packer: Packer) -> dict[str, float]:
    """Root-mean-square errors over all components, meV/A; of the energy, meV/atom.

    Keys: conservative, direct, difference (direct minus conservative), energy.  The energy error is
    the root mean square over frames of (E - E_ref) / n_atoms, shift of the set included.
    """
    sums = dict.fromkeys(("conservative", "direct", "difference"), 0.0)
    components, energies = 0, []
    for frame in frames:
        found = evaluate(net, frame, packer)
        sums["conservative"] += float(((found.conservative - frame.forces) ** 2).sum())
        sums["direct"] += float(((found.direct - frame.forces) ** 2).sum())
        sums["difference"] += float(((found.direct - found.conservative) ** 2).sum())
        components += 3 * len(frame)
        shift = float(packer.shifts[packer.species_index[frame.types]].sum())
        energies.append((float(found.energies[0]) + shift - frame.energy) / len(frame))
    errors = {f"{k}_meV_per_A": 1e3 * float(np.sqrt(v / components)) for k, v in sums.items()}
    errors["energy_meV_per_atom"] = 1e3 * float(np.sqrt(np.mean(np.square(energies))))
    return errors


def bond_stiffness(
    net: HybridNet,
    numbers: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray,
    bonds: np.ndarray,
    *,
    step_A: float = 0.01,
) -> tuple[np.ndarray, np.ndarray]:
    """Stiffness of each bond by central differences: slow and fast, ``(n_bonds,)``, eV/A^2.

    ``bonds`` ``(n_bonds, 2)``: indices of the atom that stays and the atom that moves along the
    bond by +-``step_A``; k = -dF.u/dx of the moving atom.  A step of 0.01 A keeps the rounding of
    float32 forces (about 1e-5 eV/A) below 0.001 eV/A^2 and the cubic term below 0.1 % of k.
    """
    slow, fast = np.zeros(len(bonds)), np.zeros(len(bonds))
    for b, (fixed, moving) in enumerate(bonds):
        separation = positions[moving] - positions[fixed]
        separation -= cell.T @ np.round(np.linalg.solve(cell.T, separation))
        unit = separation / np.linalg.norm(separation)
        for sign in (1, -1):
            moved = positions.copy()
            moved[moving] += sign * step_A * unit
            conservative, direct = _both(net, numbers, moved, cell)
            slow[b] -= sign * float(conservative[moving] @ unit) / (2 * step_A)
            fast[b] -= sign * float(direct[moving] @ unit) / (2 * step_A)
    return slow, fast


def _both(
    net: HybridNet, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Conservative and direct forces ``(n_atoms, 3)``, eV/A, of one periodic structure."""
    first, second, vectors = pairs(positions, cell, np.array([True] * 3), net.cutoff)
    types = torch.tensor(numbers, dtype=torch.long)
    n = len(numbers)
    frame = Frame(
        types=types,
        first=torch.from_numpy(first),
        second=torch.from_numpy(second),
        vectors=torch.tensor(vectors, dtype=torch.float32),
        forces=torch.zeros(n, 3),
        energy=0.0,
        strain_gradient=torch.zeros(3, 3),
        kind="",
        temperature=float("nan"),
    )
    packer = Packer(1, n, len(first), net.cutoff, net.energy_shift, net.species_index)
    found = predict(net, packer.pack([frame]))
    return found.conservative.numpy(), found.direct.numpy()
