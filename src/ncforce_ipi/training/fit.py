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
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.training import progress
from ncforce_ipi.training.dataset import (
    Batch,
    Frame,
    Packer,
    Sampler,
    check_species,
    energy_shifts,
)
from ncforce_ipi.training.device import ahead, captured
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
    say,
)
from ncforce_ipi.training.report import accuracy, energy_error

log = logging.getLogger(__name__)

CPU = torch.device("cpu")
Watch = Callable[[float, Mapping[str, float | str]], None]
OTHER_ZERO_eV_PER_ATOM = 1.0  # more than a head that isn't trained yet is off by
CHECK_EVERY_GPU = 100  # steps between looks at the loss: a look waits for the GPU


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
    device: torch.device = CPU,
    minutes: float | None = None,
    resume: bool = False,
    begin: Callable[[], None] = lambda: None,
    watch: Watch = say,
) -> HybridNet:
    """Train; write ``curve.csv`` and ``checkpoint.pt`` to ``out`` while going; return the network.

    The network that is returned and written carries the running average of the weights.  With
    ``minutes`` the clock says how far the training is, instead of the recipe's number of steps.
    ``begin`` is called before anything is written, ``watch`` with the part that is done and each
    row of the curve.  With ``resume`` a training that was cut off in ``out`` goes on after its last
    validation: on a CPU as if nothing had happened, on a GPU with other batches.

    Raises
    ------
    InputError
        The recipe weighs nothing that this stage trains; data that the recipe doesn't fit; nothing
        to go on with, or a training that was begun with something else.
    ModelError
        Weights or loss aren't finite; the step doesn't compile.
    """
    trained = [t for t in TERMS if stage != "direct" or t in ("direct", "stress")]
    if not any(max(recipe.weights.get(term, [0.0])) > 0 for term in trained):
        raise InputError(f"stage {stage} trains {', '.join(trained)}: give one of them a weight")
    begun_with = {**asdict(recipe), "stage": stage, "minutes": minutes}
    kept = progress.read(out, begun_with) if resume else None
    pools = load_pools(recipe, folder)
    held_out = load_held_out(recipe, folder, pools)
    net = recipe.network()
    everything = [frame for pool, _ in pools for frame in pool]
    if initial is not None:
        net = read_initial(recipe, initial)
    else:
        check_species(recipe.species, everything)
        net.energy_shift.copy_(energy_shifts(everything, recipe.species))
    if (largest := max(map(len, everything))) > recipe.atoms_per_batch:
        raise InputError(
            f"a frame has {largest} atoms and a batch {recipe.atoms_per_batch}; "
            f"give atoms_per_batch = {largest} or more in the recipe"
        )
    packer = make_packer(recipe, everything, net.energy_shift, net)
    if initial is not None and stage == "finetune":
        take_zero_of_energy(net, everything[:: len(everything) // 400 + 1], packer, recipe.species)
    sampler = Sampler(pools, packer, recipe.seed, recipe.mix_pools)
    log.info("%d frames, %d held out; stage %s", len(everything), len(held_out), stage)
    on_cpu = device.type == "cpu"
    seeds = [recipe.seed] if kept is None else [recipe.seed, progress.standing_of(kept).steps]
    draw = sampler.draw if on_cpu else ahead(sampler, seeds, _workers()).__next__
    net.to(device)
    example = draw().to(device)
    values = [p.detach() for p in BothHeads(net).parameters()]
    weights = recipe.loss_weights(0).to(device)
    try:
        step = make_step(net, stage, example, compiled=compiled)
        step(values, draw().to(device), weights)
    except TorchDynamoException as err:
        why = (str(err).strip().splitlines() or [type(err).__name__])[0]
        raise ModelError(f"the step doesn't compile here ({why}); add --no-compile") from err
    if not on_cpu:
        step = captured(step, values, example, weights)
    optimisation = Optimisation(recipe, net.named_parameters())
    standing = progress.Standing()
    if kept is None:
        begin()
        progress.forget(out)
    else:
        standing = progress.go_on(kept, out, net, optimisation, sampler.random)

    def keep(now: progress.Standing) -> None:
        progress.keep(out, begun_with, now, net, optimisation, sampler.random)

    course = _Course(recipe, stage, minutes, out, held_out, packer, watch, keep)
    result = _loop(course, net, step, draw, optimisation, standing)
    if stage != "direct":
        centre_energies(result, everything[:: len(everything) // 400 + 1], packer)
        save(out, result, recipe, stage)
    progress.forget(out)
    return result


def take_zero_of_energy(
    net: HybridNet, frames: Sequence[Frame], packer: Packer, species: Sequence[int]
) -> None:
    """Shift a network, in place, where the energies have another zero than it has learnt.

    Those of another method are eV per atom away, which is all that the training would see.
    """
    errors = [energy_error(net, frame, packer) for frame in frames]
    away = sum(errors) / len(errors)
    if abs(away) < OTHER_ZERO_eV_PER_ATOM:
        return
    missing = [
        replace(frame, energy=-error * len(frame))
        for frame, error in zip(frames, errors, strict=True)
    ]
    net.energy_shift += energy_shifts(missing, species)
    log.warning(
        "the energies are %+.2f eV/atom from what the network has learnt before: it is shifted, "
        "element by element", -away,
    )  # fmt: skip


def centre_energies(net: HybridNet, frames: Sequence[Frame], packer: Packer) -> None:
    """Take the mean energy error per atom over ``frames`` into the shift; forces don't notice.

    Averaging the weights leaves an offset that depends on where the optimiser was wandering.
    """
    errors = [energy_error(net, frame, packer) for frame in frames]
    net.energy_shift -= sum(errors) / len(errors)


def _workers() -> int:
    """Processes that make batches: the cores that a job gave us but one, eight at most."""
    try:
        n = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        n = os.cpu_count() or 2
    return max(1, min(8, n - 1))


@dataclass(frozen=True)
class _Course:
    """What a training goes by; ``keep`` writes what it goes on from."""

    recipe: Recipe
    stage: Stage
    minutes: float | None
    out: Path
    held_out: Sequence[Frame]
    packer: Packer
    watch: Watch
    keep: Callable[[progress.Standing], None]


def _loop(
    course: _Course,
    net: HybridNet,
    step: Step,
    draw: Callable[[], Batch],
    optimisation: Optimisation,
    standing: progress.Standing,
) -> HybridNet:
    recipe, minutes = course.recipe, course.minutes
    device = net.centres.device
    on_cpu = device.type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    look = 1 if on_cpu else CHECK_EVERY_GPU
    sums = torch.zeros(len(TERMS), device=device)
    seconds, started, begin = standing.seconds, clock(), time.monotonic() - standing.spent_s

    def part() -> float:
        return k / recipe.n_steps if minutes is None else spent_s / (60.0 * minutes)

    k, spent_s = standing.steps, standing.spent_s
    while part() < 1.0:
        weights = recipe.loss_weights(part())
        if not on_cpu:  # from pinned memory: else the copy waits for all that runs
            weights = weights.pin_memory().to(device, non_blocking=True)
        gradients, loss, found = step(optimisation.values(), draw().to(device), weights)
        if k % look == 0 and not torch.isfinite(loss):
            raise ModelError(f"loss is {loss.item()} at step {k}; lower the learning rates")
        optimisation.step(gradients, part())
        sums += found
        k += 1
        spent_s = time.monotonic() - begin
        if k % recipe.validate_every == 0 or part() >= 1.0:
            if not on_cpu:
                torch.cuda.synchronize(device)
            seconds += clock() - started
            trained = optimisation.averaged(net)
            spent = {"cpu_s" if on_cpu else "wall_s": round(seconds, 1)}
            row = _row(course, k, spent, sums, trained)
            record(course.out, row, trained, recipe, course.stage)
            course.keep(progress.Standing(k, seconds, spent_s))
            course.watch(part(), row)
            sums.zero_()
            started = clock()  # validation doesn't count as training time
    return optimisation.averaged(net)


def _row(
    course: _Course, k: int, spent: dict[str, float], sums: Tensor, net: HybridNet
) -> dict[str, float | str]:
    """One line of the learning curve: training terms since the last one, validation errors now.

    ``cpu_s`` is processor time of all threads: on a shared machine it tells more than wall time;
    on a GPU it is ``wall_s``.
    """
    since = (k - 1) % course.recipe.validate_every + 1
    means = (sums / since).tolist()
    row: dict[str, float | str] = {"stage": course.stage, "step": k, **spent}
    for term, mean in zip(TERMS, means, strict=True):
        unit = "meV_per_atom" if term in ("energy", "stress") else "meV_per_A"
        row[f"train_{term}_{unit}"] = round(1e3 * math.sqrt(mean), 3)
    errors = accuracy(net, course.held_out, course.packer)
    row.update({f"val_{name}": round(value, 3) for name, value in errors.items()})
    return row
