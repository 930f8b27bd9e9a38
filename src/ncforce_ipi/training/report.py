"""Errors of a network on labelled frames, while it is trained.  Owns no file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ncforce_ipi.training.dataset import Frame, Packer
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.objective import Forces, predict


def evaluate(net: HybridNet, frame: Frame, packer: Packer) -> Forces:
    """Both forces of one frame."""
    single = Packer(
        1, len(frame), len(frame.first), packer.cutoff, packer.shifts, packer.species_index
    )
    found = predict(net, single.pack([frame]).to(net.centres.device))
    return Forces(*(tensor.cpu() for tensor in found))


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
        energies.append(_energy_error(found, frame, packer))
    errors = {f"{k}_meV_per_A": 1e3 * float(np.sqrt(v / components)) for k, v in sums.items()}
    errors["energy_meV_per_atom"] = 1e3 * float(np.sqrt(np.mean(np.square(energies))))
    return errors


def energy_error(net: HybridNet, frame: Frame, packer: Packer) -> float:
    """(E - E_ref) / n_atoms of one frame, eV."""
    return _energy_error(evaluate(net, frame, packer), frame, packer)


def _energy_error(found: Forces, frame: Frame, packer: Packer) -> float:
    shift = float(packer.shifts[packer.species_index[frame.types]].sum())
    return (float(found.energies[0]) + shift - frame.energy) / len(frame)
