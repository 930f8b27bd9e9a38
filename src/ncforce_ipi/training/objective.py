"""The loss of a hybrid model, and one training step as a compiled function.

One forward pass gives the energy and the direct pair forces; differentiating the energy with
respect to the pair vectors gives the conservative pair forces (see ``hybrid``).  Terms:

==============  ==========================================================================
``energy``      mean over frames of ((E - E_ref) / n_atoms)^2, eV^2
``conservative`` mean over components of (F_c - F_ref)^2, (eV/A)^2
``direct``      the same for the direct force
``difference``  the same for direct minus conservative, and both move: the two forces of a
                multiple-time-step pair must agree, above all in stiff bonds
``pair``        sum over pairs of (f_ij - G_ij)^2 / (3 n_atoms), G_ij held fixed: the direct head
                learns what back-propagation would have given, pair by pair
``stress``      mean of (stress x volume / n_atoms - reference)^2, eV^2, of both heads
==============  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call

from ncforce_ipi.training.dataset import Batch
from ncforce_ipi.training.hybrid import HybridNet

Stage = Literal["scratch", "direct", "finetune", "distil"]
TERMS = ("energy", "conservative", "direct", "difference", "pair", "stress")
# parameters, batch, weights (6,) -> gradients, loss, terms (6,)
Step = Callable[[list[Tensor], Batch, Tensor], tuple[list[Tensor], Tensor, Tensor]]


class Forces(NamedTuple):
    """What one frame or batch gives: forces ``(n_atoms, 3)``, eV/A, and the rest in eV."""

    energies: Tensor  # (n_graphs + 1,)
    conservative: Tensor
    direct: Tensor
    conservative_pairs: Tensor  # (n_pairs, 3)
    direct_pairs: Tensor


class BothHeads(torch.nn.Module):
    """Atom energies and direct pair forces in one call (what ``functional_call`` needs)."""

    def __init__(self, net: HybridNet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, types: Tensor, first: Tensor, second: Tensor, vectors: Tensor
    ) -> tuple[Tensor, Tensor]:
        h, v, t, pairs = self.net.trunk(types, first, second, vectors)
        pair = self.net.pair_forces(h, v, t, first, second, pairs)
        return self.net.atom_energies(h), pair


def scatter(pair: Tensor, batch: Batch) -> Tensor:
    """Pair forces ``(n_pairs, 3)`` to atomic forces ``(n_atoms, 3)``."""
    forces = torch.zeros(batch.types.shape[0], 3, dtype=pair.dtype, device=pair.device)
    return forces.index_add(0, batch.first, pair).index_add(0, batch.second, -pair)


def terms(model: BothHeads, parameters: dict[str, Tensor], batch: Batch, stage: Stage) -> Tensor:
    """``(6,)``: the terms of the table above, zero where the stage has no use for one."""
    differentiable = stage != "direct"
    vectors = batch.vectors.detach().requires_grad_(differentiable)
    energies, direct_pairs = functional_call(
        model, parameters, (batch.types, batch.first, batch.second, vectors)
    )
    n_components = 3.0 * batch.real.sum()
    direct = scatter(direct_pairs, batch)
    zero = torch.zeros((), device=vectors.device)
    direct_loss = _mean_square(direct - batch.forces, batch.real, n_components)
    stress_loss = _stress_loss(direct_pairs, batch)
    if not differentiable:
        return torch.stack([zero, zero, direct_loss, zero, zero, stress_loss])
    (pairs,) = torch.autograd.grad((energies * batch.real[:, 0]).sum(), vectors, create_graph=True)
    conservative = scatter(pairs, batch)
    totals = torch.zeros_like(batch.energy).index_add(0, batch.graph, energies * batch.real[:, 0])
    present = (batch.sizes > 0).to(totals.dtype)
    per_atom = (totals - batch.energy) / batch.sizes.clamp(min=1.0)
    return torch.stack(
        [
            (present * per_atom**2).sum() / present.sum(),
            _mean_square(conservative - batch.forces, batch.real, n_components),
            direct_loss,
            _mean_square(direct - conservative, batch.real, n_components),
            ((direct_pairs - pairs.detach()) ** 2).sum() / n_components,
            stress_loss + _stress_loss(pairs, batch),
        ]
    )


def _mean_square(error: Tensor, real: Tensor, n_components: Tensor) -> Tensor:
    return (real * error**2).sum() / n_components


def _stress_loss(pair: Tensor, batch: Batch) -> Tensor:
    outer = (pair[:, :, None] * batch.vectors[:, None, :]).reshape(-1, 9)  # (n_pairs, 9)
    total = torch.zeros(batch.sizes.shape[0], 9, device=pair.device).index_add(
        0, batch.graph[batch.first], outer
    )
    present = (batch.sizes > 0).to(total.dtype)
    error = total.reshape(-1, 3, 3) - batch.strain_gradient
    per_atom = error / batch.sizes.clamp(min=1.0)[:, None, None]
    return (present * (per_atom**2).mean((1, 2))).sum() / present.sum()


def make_step(net: HybridNet, stage: Stage, example: Batch, *, compiled: bool) -> Step:
    """The function that gives gradients, loss and terms for a list of parameters and a batch.

    Compiling needs a C++ compiler and about a minute, and makes a step about 2.5 times faster on a
    CPU.  The gradient of a gradient is beyond ``torch.compile``; so the whole step, both
    differentiations included, is first traced to a plain graph of tensor operations.
    """
    model = BothHeads(net)
    names = [name for name, _ in model.named_parameters()]
    buffers = dict(model.named_buffers())

    def step(
        values: list[Tensor], batch: Batch, weights: Tensor
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        leaves = [value.detach().requires_grad_(True) for value in values]
        found = terms(model, {**dict(zip(names, leaves, strict=True)), **buffers}, batch, stage)
        loss = (weights * found).sum()
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
        filled = [
            torch.zeros_like(leaf) if g is None else g
            for leaf, g in zip(leaves, gradients, strict=True)
        ]
        return filled, loss.detach(), found.detach()

    if not compiled:
        return step
    from torch.fx.experimental.proxy_tensor import make_fx

    values = [parameter.detach() for parameter in model.parameters()]
    graph = make_fx(step)(values, example, torch.ones(len(TERMS), device=example.vectors.device))
    return torch.compile(graph, dynamic=False)


def predict(net: HybridNet, batch: Batch) -> Forces:
    """Both forces of a batch, for evaluation; on the network's device."""
    vectors = batch.vectors.detach().requires_grad_(True)
    energies, direct_pairs = BothHeads(net)(batch.types, batch.first, batch.second, vectors)
    (pairs,) = torch.autograd.grad((energies * batch.real[:, 0]).sum(), vectors)
    totals = torch.zeros_like(batch.energy).index_add(0, batch.graph, energies * batch.real[:, 0])
    return Forces(
        energies=totals.detach(),
        conservative=scatter(pairs, batch),
        direct=scatter(direct_pairs, batch).detach(),
        conservative_pairs=pairs,
        direct_pairs=direct_pairs.detach(),
    )
