"""The training loop of the whole network: recipe and data in, learning curve and checkpoint out.

Three stages, after the paper's own training (direct forces first, then conservative fine-tuning);
``distil`` has a fourth, of the direct head alone:

``direct``    the direct head's loss alone, no differentiation: a step costs half
``finetune``  both heads, from the weights of an earlier run
``scratch``   both heads, from random weights
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ncforce_ipi.errors import ModelError
from ncforce_ipi.training.dataset import Frame, Packer, Sampler, energy_shifts
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.objective import TERMS, BothHeads, Stage, Step, make_step
from ncforce_ipi.training.optimise import Optimisation
from ncforce_ipi.training.recipe import (
    Recipe,
    load_held_out,
    load_pools,
    read_initial,
    record,
    save,
)
from ncforce_ipi.training.report import accuracy, energy_error

log = logging.getLogger(__name__)


def make_packer(recipe: Recipe, frames: Sequence[Frame], shifts: Tensor, net: HybridNet) -> Packer:
    """A packer whose batches can hold the densest frames."""
    densest = max(len(f.first) / len(f) for f in frames)
    return Packer(
        n_graphs=recipe.frames_per_batch,
        n_atoms=recipe.atoms_per_batch,
        n_pairs=int(densest * recipe.atoms_per_batch) + 2,
        cutoff=recipe.cutoff_A,
        shifts=shifts,
        species_index=net.species_index,
    )


def fit(
    recipe: Recipe,
    folder: Path,
    out: Path,
    *,
    stage: Stage,
    initial: Path | None = None,
    compiled: bool = True,
) -> HybridNet:
    """Train; write ``curve.csv`` and ``checkpoint.pt`` to ``out`` while going; return the network.

    The network that is returned and written carries the running average of the weights.
    """
    pools = load_pools(recipe, folder)
    held_out = load_held_out(recipe, folder)
    net = recipe.network()
    everything = [frame for pool, _ in pools for frame in pool]
    if initial is not None:
        net = read_initial(recipe, initial)
    else:
        net.energy_shift.copy_(energy_shifts(everything, recipe.species))
    packer = make_packer(recipe, everything, net.energy_shift, net)
    sampler = Sampler(pools, packer, recipe.seed)
    log.info("%d frames, %d held out; stage %s", len(everything), len(held_out), stage)
    step = make_step(net, stage, sampler.draw(), compiled=compiled)
    step([p.detach() for p in BothHeads(net).parameters()], sampler.draw(), recipe.loss_weights(0))
    trained = _loop(recipe, net, step, sampler, held_out, packer, out, stage)
    if stage != "direct":
        centre_energies(trained, everything[:: len(everything) // 400 + 1], packer)
        save(out, trained, recipe, stage)
    return trained


def centre_energies(net: HybridNet, frames: Sequence[Frame], packer: Packer) -> None:
    """Take the mean energy error per atom over ``frames`` into the shift; forces don't notice.

    Averaging the weights leaves an offset that depends on where the optimiser was wandering.
    """
    errors = [energy_error(net, frame, packer) for frame in frames]
    net.energy_shift -= sum(errors) / len(errors)


def _loop(
    recipe: Recipe,
    net: HybridNet,
    step: Step,
    sampler: Sampler,
    held_out: Sequence[Frame],
    packer: Packer,
    out: Path,
    stage: Stage,
) -> HybridNet:
    optimisation = Optimisation(recipe, net.named_parameters())
    sums = torch.zeros(len(TERMS))
    seconds, started = 0.0, time.process_time()
    for k in range(recipe.n_steps):
        weights = recipe.loss_weights(k / recipe.n_steps)
        gradients, loss, found = step(optimisation.values(), sampler.draw(), weights)
        if not torch.isfinite(loss):
            raise ModelError(f"loss is {loss.item()} at step {k}; lower the learning rates")
        optimisation.step(gradients)
        sums += found
        if (k + 1) % recipe.validate_every == 0 or k + 1 == recipe.n_steps:
            seconds += time.process_time() - started
            trained = optimisation.averaged(net)
            row = _row(k + 1, seconds, sums, recipe, trained, held_out, packer, stage)
            record(out, row, trained, recipe, stage)
            sums.zero_()
            started = time.process_time()  # validation doesn't count as training time
    return optimisation.averaged(net)


def _row(
    k: int,
    seconds: float,
    sums: Tensor,
    recipe: Recipe,
    net: HybridNet,
    held_out: Sequence[Frame],
    packer: Packer,
    stage: Stage,
) -> dict[str, float | str]:
    """One line of the learning curve: training terms since the last one, validation errors now.

    ``cpu_s`` is processor time of all threads: on a shared machine it tells more than wall time.
    """
    since = (k - 1) % recipe.validate_every + 1
    means = (sums / since).tolist()
    row: dict[str, float | str] = {"stage": stage, "step": k, "cpu_s": round(seconds, 1)}
    for term, mean in zip(TERMS, means, strict=True):
        unit = "meV_per_atom" if term in ("energy", "stress") else "meV_per_A"
        row[f"train_{term}_{unit}"] = round(1e3 * math.sqrt(mean), 3)
    row.update({f"val_{k}": round(v, 3) for k, v in accuracy(net, held_out, packer).items()})
    return row
