"""The training loop: recipe and data in, network, learning curve and checkpoint out.

Owns stages, optimiser, schedule and weight averaging.  A recipe is a TOML file; what it may hold is
the dataclass ``Recipe``.  Three stages, after the paper's own training (direct forces first, then
conservative fine-tuning):

``direct``    the direct head alone, no differentiation: a step costs half
``finetune``  both heads, from the weights of a ``direct`` run
``scratch``   both heads, from random weights
"""

from __future__ import annotations

import csv
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.training.dataset import Frame, Packer, Sampler, energy_shifts, read_frames
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.objective import TERMS, BothHeads, Stage, Step, make_step
from ncforce_ipi.training.report import accuracy, energy_error

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """All that determines a training, given the data.

    Loss weights are those of ``objective``'s terms (energy in eV, forces in eV/A); a pair
    ``[start, end]`` is interpolated linearly over the run.  ``pools`` gives, for each data file and
    kind of frame (``"train:md"``), the share of batches drawn from it.
    """

    species: list[int]
    pools: dict[str, float]
    validation: str
    cutoff_A: float = 4.5
    channels: int = 64
    layers: int = 3
    head_channels: int = 64
    n_radial: int = 24
    atoms_per_batch: int = 192
    frames_per_batch: int = 2
    n_steps: int = 60_000
    warmup_steps: int = 200
    learning_rate_matrices: float = 0.01
    learning_rate_rest: float = 0.002
    gradient_norm: float = 1.0
    averaging: float = 0.999
    seed: int = 0
    validate_every: int = 2_000
    weights: dict[str, list[float]] = field(default_factory=dict)

    def network(self) -> HybridNet:
        """A network of this recipe with random weights (seeded)."""
        torch.manual_seed(self.seed)
        return HybridNet(
            self.species,
            self.cutoff_A,
            self.channels,
            self.layers,
            self.head_channels,
            self.n_radial,
        )

    def loss_weights(self, progress: float) -> Tensor:
        """``(6,)``: the weight of each term at ``progress`` in [0, 1]."""
        pairs = [self.weights.get(term, [0.0, 0.0]) for term in TERMS]
        return torch.tensor([a + (b - a) * progress for a, b in pairs])


def read_recipe(path: Path, changes: dict[str, Any] | None = None) -> Recipe:
    """A recipe file, with ``changes`` from the command line on top."""
    import tomllib

    if not path.is_file():
        raise InputError(f"recipe {path} not found; give a TOML file, e.g. water/recipe.toml")
    try:
        values = tomllib.loads(path.read_text())
        recipe = Recipe(**values)
        return replace(recipe, **{k: v for k, v in (changes or {}).items() if v is not None})
    except (tomllib.TOMLDecodeError, TypeError) as err:
        raise InputError(f"recipe {path}: {err}; see ncforce_ipi.training.fit.Recipe") from err


def load_pools(recipe: Recipe, folder: Path) -> list[tuple[list[Frame], float]]:
    """Frames of every pool with its weight."""
    files: dict[str, list[Frame]] = {}
    pools = []
    for name, weight in recipe.pools.items():
        stem, _, kind = name.partition(":")
        if stem not in files:
            files[stem] = read_frames(folder / f"{stem}.xyz.xz", recipe.cutoff_A)
        frames = [f for f in files[stem] if kind in ("", f.kind)]
        if not frames:
            raise InputError(f"pool {name!r} of the recipe is empty: no frame of kind {kind!r}")
        pools.append((frames, weight))
    return pools


def data_files(recipe: Recipe, folder: Path) -> list[Path]:
    """The files that a recipe reads, in order, without repeats."""
    stems = [name.partition(":")[0] for name in [*recipe.pools, recipe.validation]]
    files = [folder / f"{stem}.xyz.xz" for stem in dict.fromkeys(stems)]
    for file in files:
        if not file.is_file():
            raise InputError(
                f"data file {file} not found; give the folder that holds it with --data"
            )
    return files


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
    stem, _, kind = recipe.validation.partition(":")
    held_out = read_frames(folder / f"{stem}.xyz.xz", recipe.cutoff_A)
    held_out = [f for f in held_out if kind in ("", f.kind)]
    net = recipe.network()
    everything = [frame for pool, _ in pools for frame in pool]
    if initial is not None:
        net.load_state_dict(torch.load(initial, weights_only=True)["weights"])
    else:
        net.energy_shift.copy_(energy_shifts(everything, recipe.species))
    packer = make_packer(recipe, everything, net.energy_shift, net)
    sampler = Sampler(pools, packer, recipe.seed)
    log.info("%d frames, %d held out; stage %s", len(everything), len(held_out), stage)
    step = make_step(net, stage, sampler.draw(), compiled=compiled)
    step([p.detach() for p in BothHeads(net).parameters()], sampler.draw(), recipe.loss_weights(0))
    trained = _loop(recipe, net, step, sampler, held_out, packer, out, stage)
    if stage != "direct":
        centre_energies(trained, everything, packer)
        _save(out, trained, recipe, stage)
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
    parameters = list(BothHeads(net).parameters())
    optimisers = _optimisers(recipe, net)
    rates = [o.param_groups[0]["lr"] for o in optimisers]
    average = [p.detach().clone() for p in parameters]
    sums = torch.zeros(len(TERMS))
    seconds, started = 0.0, time.process_time()
    for k in range(recipe.n_steps):
        for optimiser, rate in zip(optimisers, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * _schedule(recipe, k)
        weights = recipe.loss_weights(k / recipe.n_steps)
        values = [p.detach() for p in parameters]
        gradients, loss, found = step(values, sampler.draw(), weights)
        if not torch.isfinite(loss):
            raise ModelError(f"loss is {loss.item()} at step {k}; lower the learning rates")
        _apply(parameters, gradients, optimisers, recipe.gradient_norm)
        keep = min(recipe.averaging, k / (k + 20))
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - keep)
        sums += found
        if (k + 1) % recipe.validate_every == 0 or k + 1 == recipe.n_steps:
            seconds += time.process_time() - started
            trained = _averaged(net, recipe, average)
            row = _row(k + 1, seconds, sums, recipe, trained, held_out, packer, stage)
            _record(out, row, trained, recipe, stage)
            sums.zero_()
            started = time.process_time()  # validation doesn't count as training time
    return _averaged(net, recipe, average)


def _schedule(recipe: Recipe, k: int) -> float:
    """Linear warm-up, then a cosine to zero."""
    cosine = 0.5 * (1 + math.cos(math.pi * k / recipe.n_steps))
    return min(1.0, (k + 1) / recipe.warmup_steps) * cosine + 1e-4


def _optimisers(recipe: Recipe, net: HybridNet) -> list[torch.optim.Optimizer]:
    """Muon (orthogonalised momentum; Jordan et al., 2024) for matrices, Adam for the rest."""
    matrices: list[Tensor] = []
    rest: list[Tensor] = []
    for name, parameter in net.named_parameters():
        is_matrix = parameter.ndim == 2 and min(parameter.shape) > 4 and "embedding" not in name
        (matrices if is_matrix else rest).append(parameter)
    muon = torch.optim.Muon(matrices, lr=recipe.learning_rate_matrices, weight_decay=0.0)
    return [muon, torch.optim.Adam(rest, lr=recipe.learning_rate_rest)]


def _apply(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    optimisers: Sequence[torch.optim.Optimizer],
    largest_norm: float,
) -> None:
    norm = torch.sqrt(torch.stack([(g * g).sum() for g in gradients]).sum())
    scale = (largest_norm / norm).clamp(max=1.0)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient * scale
    for optimiser in optimisers:
        optimiser.step()


def _averaged(net: HybridNet, recipe: Recipe, average: Sequence[Tensor]) -> HybridNet:
    """A copy of the network with the averaged weights."""
    copy = recipe.network()
    copy.load_state_dict(net.state_dict())
    with torch.no_grad():
        for parameter, value in zip(BothHeads(copy).parameters(), average, strict=True):
            parameter.copy_(value)
    return copy


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


def _record(
    out: Path, row: dict[str, float | str], net: HybridNet, recipe: Recipe, stage: Stage
) -> None:
    """Append to the curve, replace the checkpoint (never leaving a half-written one)."""
    curve = out / "curve.csv"
    fresh = not curve.exists()
    with curve.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)
    log.info("  ".join(f"{k} {v}" for k, v in row.items() if k in _SHOWN))
    _save(out, net, recipe, stage)


def _save(out: Path, net: HybridNet, recipe: Recipe, stage: Stage) -> None:
    partial = out / "checkpoint.partial"
    torch.save({"weights": net.state_dict(), "recipe": asdict(recipe), "stage": stage}, partial)
    partial.replace(out / "checkpoint.pt")


_SHOWN = (
    "step",
    "cpu_s",
    "val_conservative_meV_per_A",
    "val_direct_meV_per_A",
    "val_difference_meV_per_A",
    "val_energy_meV_per_atom",
)
