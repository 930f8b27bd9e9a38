"""The student: its recipe, a training in each round from the weights of the one before, its errors.

Owns how the loss is weighed.  What a network is and how it moves is in ``training``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from ncforce_ipi.backend import Backend, Kind, Wanted
from ncforce_ipi.distil.choices import Choices
from ncforce_ipi.distil.points import load
from ncforce_ipi.drivers import loading
from ncforce_ipi.evaluations import evaluate_all
from ncforce_ipi.reading.structures import to_structure
from ncforce_ipi.serve.load import load_model
from ncforce_ipi.species import SYMBOLS
from ncforce_ipi.training import progress
from ncforce_ipi.training.fit import Watch, fit
from ncforce_ipi.training.objective import Stage
from ncforce_ipi.training.program import write_model
from ncforce_ipi.training.recipe import Recipe

Array = NDArray[np.float64]
HELD_OUT = "held-out"
CHECKPOINT, MODEL = "checkpoint.pt", "student.pt"
SLOWER = 0.5  # learning rates of later trainings, of those of the first
MOST_COUNTED = 200  # frames of a file: those of a run of the teacher are alike
LATEST = 2.0  # how much more often a frame of the latest round is drawn
TIMED = 6
DIRECT = Wanted(frozenset[Kind](["direct"]))
BOTH = Wanted(frozenset[Kind](["conservative", "direct"]))


@dataclass(frozen=True)
class Errors:
    """Of a student on frames that it wasn't trained on.

    Attributes
    ----------
    direct, conservative : by symbol, and ``all``: RMS over components, meV/A
    difference : direct - conservative, the same
    force : RMS of the teacher's force, meV/A
    """

    direct: dict[str, float]
    conservative: dict[str, float]
    difference: dict[str, float]
    force: dict[str, float]

    def to_dict(self) -> dict[str, dict[str, float]]:
        """For JSON, with units."""
        return {f"{name}_meV_per_A": values for name, values in vars(self).items()}


def recipe(
    choices: Choices,
    species: Sequence[int],
    data: Path,
    *,
    seed: int,
    again: bool,
    teacher: str,
) -> Recipe:
    """The recipe of one training on all data files of a folder.

    Weights are in units of the squared standard deviation of the forces.  The direct force counts
    most, as it is the one that runs; the energy and its gradient keep the features physical, and
    the pair term hands what back-propagation gives to the direct head pair by pair (`objective`).
    There is no weight on stress: in multiple time steps only the slow virial counts.
    """
    files = sorted(path.stem for path in data.glob("*.extxyz") if path.stem != HELD_OUT)
    latest = max((name for name in files if name.startswith("round-")), default="")
    counts = {name: len(load(data / f"{name}.extxyz")) for name in files}
    counted = {name: min(n, MOST_COUNTED) for name, n in counts.items()}
    total = sum(counted.values())
    forces = np.concatenate([a.get_forces().ravel() for a in load(data / f"{HELD_OUT}.extxyz")])
    u = 1.0 / max(float(np.mean(forces**2)), 1e-8)
    return Recipe(
        species=sorted(species),
        pools={n: c / total * (LATEST if n == latest else 1.0) for n, c in counted.items()},
        validation=HELD_OUT,
        cutoff_A=choices.cutoff_A,
        channels=choices.channels,
        layers=choices.layers,
        head_channels=choices.channels,
        n_radial=choices.n_radial,
        r_min_A=choices.r_min_A,
        tensor_channels=choices.tensor_channels,
        coupled=choices.tensor_channels > 0,
        mix_pools=True,
        atoms_per_batch=choices.atoms_per_batch,
        frames_per_batch=8,
        n_steps=choices.n_steps_again if again else choices.n_steps,
        warmup_steps=min(200, choices.n_steps // 10),
        learning_rate_matrices=0.01 * (SLOWER if again else 1.0),
        learning_rate_rest=0.002 * (SLOWER if again else 1.0),
        validate_every=max(1, min(500, choices.n_steps_again // 2)),
        seed=seed,
        weights={
            "energy": [3.0 * u, 10.0 * u],
            "conservative": [u, u],
            "direct": [u, 3.0 * u],
            "difference": [0.3 * u, 1.0 * u],
            "pair": [0.02 * u, 0.01 * u],
        },
        description=f"Fast partner of {teacher}, made by ncforce distil: direct forces for "
        "multiple time steps beside it, and an energy.",
    )


def train(
    how: Recipe,
    data: Path,
    out: Path,
    *,
    initial: Path | None,
    choices: Choices,
    device: str | None,
    threads: int,
    watch: Watch,
) -> Path:
    """One training; the exported model, beside checkpoint and curve."""
    where = torch.device(loading.pick_device(device or "cpu"))
    torch.set_num_threads(threads)

    def begin() -> None:
        for name in ("curve.csv", MODEL):  # of a training that was cut off
            (out / name).unlink(missing_ok=True)

    out.mkdir(parents=True, exist_ok=True)
    stage: Stage = "finetune" if initial else "scratch"
    minutes = choices.train_minutes or None
    net = fit(
        how,
        data,
        out,
        stage=stage,
        initial=initial,
        compiled=choices.compiled or where.type == "cuda",
        device=where,
        minutes=minutes,
        resume=progress.is_kept(out, {**asdict(how), "stage": stage, "minutes": minutes}),
        begin=begin,
        watch=watch,
    ).cpu()
    partial = out / f"partial-{MODEL}"
    write_model(net, how, "student", partial)
    partial.replace(out / MODEL)
    return out / MODEL


def open_student(model: Path, device: str | None, threads: int) -> Backend:
    """The exported model, as any other program would load it."""
    return load_model(f"metatomic:{model}", threads=threads, device=device)


def call_ms(student: Backend, frame: Atoms) -> float:
    """Time of a call for direct forces, the median of a few on slightly moved atoms, ms."""
    random, seconds = np.random.default_rng(0), []
    for _ in range(TIMED):
        moved = frame.copy()
        moved.positions += random.normal(0.0, 1e-3, moved.positions.shape)
        begin = time.perf_counter()
        evaluate_all(student, [to_structure(moved)], DIRECT)
        seconds.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(seconds[1:]))


def forces(student: Backend, frames: Sequence[Atoms]) -> dict[str, Array]:
    """Teacher's, direct and conservative forces ``(n_all_atoms, 3)``, eV/A, of labelled frames."""
    found = evaluate_all(student, [to_structure(frame) for frame in frames], BOTH)
    direct = [one["direct"].forces for one in found]
    return {
        "teacher": np.concatenate([frame.get_forces() for frame in frames]),
        "direct": np.concatenate([f - f.mean(axis=0) for f in direct]),
        "conservative": np.concatenate([one["conservative"].forces for one in found]),
    }


def errors(found: Mapping[str, Array], frames: Sequence[Atoms]) -> Errors:
    """Root mean squares of what `forces` gave."""
    numbers = np.concatenate([frame.numbers for frame in frames])
    teacher, direct, conservative = (found[k] for k in ("teacher", "direct", "conservative"))
    return Errors(
        _by_species(direct - teacher, numbers),
        _by_species(conservative - teacher, numbers),
        _by_species(direct - conservative, numbers),
        _by_species(teacher, numbers),
    )


def _by_species(values: Array, numbers: NDArray[np.int64]) -> dict[str, float]:
    rms = {"all": _rms(values)}
    rms |= {SYMBOLS[int(z)]: _rms(values[numbers == z]) for z in np.unique(numbers)}
    return rms


def _rms(values: Array) -> float:
    """meV/A."""
    return 1e3 * math.sqrt(float(np.mean(values**2)))
