"""How weights move: Muon and Adam, one schedule, and the running average that is kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.recipe import Recipe


class Optimisation:
    """Steps of a set of parameters by given gradients.

    Matrices move by Muon (orthogonalised momentum; Jordan et al., 2024), all else by Adam.  The
    rates rise linearly and fall along a cosine to zero; the norm of all gradients is bounded.

    Parameters
    ----------
    recipe
        Learning rates, warm-up, number of steps, bound and averaging.
    named
        The parameters to train, by their names in the network.
    """

    def __init__(self, recipe: Recipe, named: Iterable[tuple[str, torch.nn.Parameter]]) -> None:
        self._recipe = recipe
        self._parameters = dict(named)
        matrices: list[Tensor] = []
        rest: list[Tensor] = []
        for name, parameter in self._parameters.items():
            is_matrix = parameter.ndim == 2 and min(parameter.shape) > 4 and "embedding" not in name
            (matrices if is_matrix else rest).append(parameter)
        muon = torch.optim.Muon(matrices, lr=recipe.learning_rate_matrices, weight_decay=0.0)
        self._optimisers = [muon, torch.optim.Adam(rest, lr=recipe.learning_rate_rest)]
        self._rates = [recipe.learning_rate_matrices, recipe.learning_rate_rest]
        self._average = [value.clone() for value in self.values()]
        self._done = 0

    def values(self) -> list[Tensor]:
        """The parameters now, without history."""
        return [parameter.detach() for parameter in self._parameters.values()]

    def step(self, gradients: Sequence[Tensor], progress: float) -> None:
        """Move by the gradients, in the order of `values`, and update the average.

        ``progress`` in [0, 1) is how much of the training is done.
        """
        k = self._done
        for optimiser, rate in zip(self._optimisers, self._rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * self._schedule(k, progress)
        norm = torch.nn.utils.get_total_norm(gradients)
        scale = (self._recipe.gradient_norm / norm).clamp(max=1.0)
        bounded = torch._foreach_mul(list(gradients), scale)
        for parameter, gradient in zip(self._parameters.values(), bounded, strict=True):
            parameter.grad = gradient
        for optimiser in self._optimisers:
            optimiser.step()
        keep = min(self._recipe.averaging, k / (k + 20))  # forgets the start
        torch._foreach_lerp_(self._average, self.values(), 1 - keep)
        self._done += 1

    def state(self) -> dict[str, Any]:
        """All that later steps depend on, besides the parameters; on the CPU."""
        optimisers = [optimiser.state_dict() for optimiser in self._optimisers]
        average = [value.cpu() for value in self._average]
        return {"optimisers": optimisers, "average": average, "done": self._done}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state` of the same parameters."""
        for optimiser, kept in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        for value, kept in zip(self._average, state["average"], strict=True):
            value.copy_(kept)
        self._done = state["done"]

    def averaged(self, net: HybridNet) -> HybridNet:
        """A copy of the network with the running average in the place of these parameters."""
        result = copy.deepcopy(net)
        known = dict(result.named_parameters())
        with torch.no_grad():
            for name, value in zip(self._parameters, self._average, strict=True):
                known[name].copy_(value)
        return result

    def _schedule(self, k: int, progress: float) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return min(1.0, (k + 1) / max(1, self._recipe.warmup_steps)) * cosine + 1e-4
