"""The last stage: the direct head learns the conservative force of its own network.

What multiple time steps ask of the two forces is that they agree; how far either is from the
reference matters less.  Here the trunk and the energy head stay as they are, so the conservative
pair forces ``G_ij`` and the atomic features are computed once for each frame and kept; a step is
then the direct head alone, several times cheaper than one of the whole network.  Labels are not
used.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ncforce_ipi.training import progress
from ncforce_ipi.training.dataset import Frame
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.objective import TERMS
from ncforce_ipi.training.optimise import Optimisation
from ncforce_ipi.training.recipe import Recipe, load_held_out, load_pools, read_initial, record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remembered:
    """One frame as the frozen trunk sees it.

    Attributes
    ----------
    h, v, t : ``(n_atoms, C)``, ``(n_atoms, 3, C)`` and ``(n_atoms, 5, C')``, features
    first, second : ``(n_pairs,)``; vectors : ``(n_pairs, 3)``, A
    forces : ``(n_atoms, 3)``, eV/A, conservative
    strain_gradient : ``(3, 3)``, eV, of the conservative force
    """

    h: Tensor
    v: Tensor
    t: Tensor
    first: Tensor
    second: Tensor
    vectors: Tensor
    forces: Tensor
    strain_gradient: Tensor


def remember(net: HybridNet, frame: Frame) -> Remembered:
    """Features and conservative force of one frame."""
    vectors = frame.vectors.detach().requires_grad_(True)
    h, v, t, _ = net.trunk(frame.types, frame.first, frame.second, vectors)
    (pair,) = torch.autograd.grad(net.atom_energies(h).sum(), vectors)
    forces = scatter(pair, frame.first, frame.second, len(frame))
    return Remembered(
        h=h.detach(),
        v=v.detach(),
        t=t.detach(),
        first=frame.first,
        second=frame.second,
        vectors=frame.vectors,
        forces=forces,
        strain_gradient=symmetric_outer(pair, frame.vectors),
    )


def scatter(pair: Tensor, first: Tensor, second: Tensor, n_atoms: int) -> Tensor:
    """Pair forces to atomic forces ``(n_atoms, 3)``."""
    return torch.zeros(n_atoms, 3).index_add(0, first, pair).index_add(0, second, -pair)


def symmetric_outer(pair: Tensor, vectors: Tensor) -> Tensor:
    """``(3, 3)``: the symmetric part of sum_pairs f (x) r."""
    outer = pair.T @ vectors
    return 0.5 * (outer + outer.T)


def difference(net: HybridNet, known: Remembered) -> tuple[Tensor, Tensor]:
    """Mean squares of direct - conservative: force, (eV/A)^2; stress x volume per atom, eV^2."""
    pairs = net.pair_geometry(known.vectors)
    pair = net.pair_forces(known.h, known.v, known.t, known.first, known.second, pairs)
    error = scatter(pair, known.first, known.second, len(known.h)) - known.forces
    stress = (symmetric_outer(pair, known.vectors) - known.strain_gradient) / len(known.h)
    return (error**2).mean(), (stress**2).mean()


def distil(
    recipe: Recipe,
    folder: Path,
    out: Path,
    *,
    initial: Path,
    resume: bool = False,
    begin: Callable[[], None] = lambda: None,
) -> HybridNet:
    """Train the direct head; write ``curve.csv`` and ``checkpoint.pt`` to ``out`` while going.

    ``begin`` is called before anything is written.  With ``resume`` a training that was cut off in
    ``out`` goes on after its last validation, as if nothing had happened.

    Raises
    ------
    InputError
        As `fit`.
    """
    begun_with = {**asdict(recipe), "stage": "distil", "minutes": None}
    kept = progress.read(out, begun_with) if resume else None
    net = read_initial(recipe, initial).requires_grad_(False)
    pools = load_pools(recipe, folder)
    known = [[remember(net, frame) for frame in frames] for frames, _ in pools]
    share = np.array([weight for _, weight in pools])
    held_out = [remember(net, frame) for frame in load_held_out(recipe, folder, pools)]
    log.info("%d frames, %d held out; stage distil", sum(map(len, known)), len(held_out))
    net.direct.requires_grad_(True)
    head = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    optimisation = Optimisation(recipe, head)
    random = np.random.default_rng(recipe.seed)
    standing = progress.Standing()
    if kept is None:
        begin()
        progress.forget(out)
    else:
        standing = progress.go_on(kept, out, net, optimisation, random)
    seconds, started = standing.seconds, time.process_time()
    for k in range(standing.steps, recipe.n_steps):
        pool = known[int(random.choice(len(known), p=share / share.sum()))]
        force, stress = difference(net, pool[int(random.integers(len(pool)))])
        loss = force + recipe.loss_weights(k / recipe.n_steps)[TERMS.index("stress")] * stress
        gradients = torch.autograd.grad(loss, [p for _, p in head])
        optimisation.step(gradients, k / recipe.n_steps)
        if (k + 1) % recipe.validate_every == 0 or k + 1 == recipe.n_steps:
            seconds += time.process_time() - started
            trained = optimisation.averaged(net)
            row: dict[str, float | str] = {"stage": "distil", "step": k + 1}
            row["cpu_s"] = round(seconds, 1)
            row["val_difference_meV_per_A"] = round(1e3 * _rms(trained, held_out), 3)
            record(out, row, trained, recipe, "distil")
            now = progress.Standing(k + 1, seconds)
            progress.keep(out, begun_with, now, net, optimisation, random)
            started = time.process_time()
    progress.forget(out)
    return optimisation.averaged(net)


def _rms(net: HybridNet, frames: Sequence[Remembered]) -> float:
    with torch.no_grad():
        found = [(float(difference(net, frame)[0]), len(frame.h)) for frame in frames]
    return math.sqrt(sum(m * n for m, n in found) / sum(n for _, n in found))
