"""What determines a training, and the files that it reads and writes.

A recipe is a TOML file; what it may hold is the dataclass ``Recipe``.
"""

from __future__ import annotations

import csv
import logging
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols
from torch import Tensor

from ncforce_ipi import durable
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.training.dataset import Frame, read_frames
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.objective import TERMS
from ncforce_ipi.training.unseen import unseen

log = logging.getLogger(__name__)

ENDINGS = (".extxyz", ".xyz.xz", ".xyz")  # of data files; the first that is there is read
_AT_LEAST_ONE = (
    "channels",
    "layers",
    "head_channels",
    "n_radial",
    "atoms_per_batch",
    "frames_per_batch",
    "n_steps",
    "validate_every",
)


@dataclass(frozen=True)
class Recipe:
    """All that determines a training, given the data.

    Loss weights are those of ``objective``'s terms (energy in eV, forces in eV/A); a pair
    ``[start, end]`` is interpolated linearly over the run.  ``pools`` gives, for each data file
    (without one of `ENDINGS`) and kind of frame (``"train:md"``), the share of batches drawn from
    it.
    ``r_min_A`` is about the shortest distance in the data: the radial functions are dense above it.
    ``tensor_channels`` is the width of the tensors of the pair directions, 0 for none; ``coupled``
    lets neighbours send them (``interaction``).
    ``mix_pools`` draws a pool for each frame instead of each batch: for large batches.
    ``description`` and ``references`` go into the exported model.
    """

    species: list[int]
    pools: dict[str, float]
    validation: str
    cutoff_A: float = 4.5
    channels: int = 64
    layers: int = 3
    head_channels: int = 64
    n_radial: int = 24
    r_min_A: float = 0.6
    tensor_channels: int = 0
    coupled: bool = False
    atoms_per_batch: int = 192
    frames_per_batch: int = 2
    n_steps: int = 60_000
    warmup_steps: int = 200
    learning_rate_matrices: float = 0.01
    learning_rate_rest: float = 0.002
    gradient_norm: float = 1.0
    averaging: float = 0.999
    mix_pools: bool = False
    seed: int = 0
    validate_every: int = 2_000
    weights: dict[str, list[float]] = field(default_factory=dict)
    description: str = ""
    references: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not _are_elements(self.species):
            raise InputError(
                f"species: expected atomic numbers, each once, like [1, 8], got {self.species}"
            )
        if self.coupled and not self.tensor_channels:
            raise InputError("coupled = true needs tensors: add e.g. tensor_channels = 32")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.seed < 0 or self.warmup_steps < 0:
            raise InputError("seed and warmup_steps must not be negative")
        if not all(weight >= 0 for weight in self.pools.values()) or not any(self.pools.values()):
            raise InputError(f"pools: expected weights of 0 or more, one above 0, got {self.pools}")
        for term, pair in self.weights.items():
            if term not in TERMS:
                raise InputError(f"weights: no term {term!r}; there are {', '.join(TERMS)}")
            if not (isinstance(pair, list) and len(pair) == 2 and min(pair) >= 0):
                raise InputError(f"weights: {term} = {pair}; give [at the start, at the end]")

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
            self.r_min_A,
            self.tensor_channels,
            self.coupled,
        )

    def loss_weights(self, progress: float) -> Tensor:
        """``(6,)``: the weight of each term at ``progress`` in [0, 1]."""
        pairs = [self.weights.get(term, [0.0, 0.0]) for term in TERMS]
        return torch.tensor([a + (b - a) * progress for a, b in pairs])


def _are_elements(species: Sequence[Any]) -> bool:
    """Whether these are atomic numbers, each once; of two places the network would use one."""
    numbers = {z for z in species if type(z) is int and 0 < z < len(chemical_symbols)}
    return 0 < len(numbers) == len(species)


def read_recipe(path: Path, changes: dict[str, Any] | None = None) -> Recipe:
    """A recipe file, with ``changes`` from the command line on top."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    if not path.is_file():
        raise InputError(f"recipe {path} not found; give a TOML file, e.g. water/recipe.toml")
    try:
        values = tomllib.loads(path.read_text())
        recipe = Recipe(**values)
        return replace(recipe, **{k: v for k, v in (changes or {}).items() if v is not None})
    except (tomllib.TOMLDecodeError, TypeError) as err:
        raise InputError(f"recipe {path}: {err}; see ncforce_ipi.training.recipe.Recipe") from err


def load_pools(recipe: Recipe, folder: Path) -> list[tuple[list[Frame], float]]:
    """Frames of every pool that is drawn from, with its weight.

    One of weight 0 isn't there: its energies, of another method, would be in the fitted shifts.
    """
    files: dict[str, list[Frame]] = {}
    pools = []
    for name, weight in recipe.pools.items():
        if weight == 0:
            continue
        stem, _, kind = name.partition(":")
        if stem not in files:
            stress = max(recipe.weights.get("stress", [0.0])) > 0
            path = data_file(folder, stem)
            files[stem] = read_frames(path, recipe.cutoff_A, recipe.species, stress)
        frames = [f for f in files[stem] if kind in ("", f.kind)]
        if not frames:
            raise InputError(f"pool {name!r} of the recipe is empty: no frame of kind {kind!r}")
        pools.append((frames, weight))
    return pools


def data_file(folder: Path, stem: str) -> Path:
    """The data file of a pool: the first of `ENDINGS` that is there; else where it would be."""
    return next(iter(_there(folder, stem)), folder / f"{stem}.xyz.xz")


def _there(folder: Path, stem: str) -> list[Path]:
    files = (folder / f"{stem}{ending}" for ending in ENDINGS)
    return [file for file in files if file.is_file()]


def data_files(recipe: Recipe, folder: Path) -> list[Path]:
    """The files that a recipe reads, in order, without repeats; says which others are beside."""
    names = [name.partition(":")[0] for name in [*recipe.pools, recipe.validation]]
    stems = dict.fromkeys(names)
    for stem in stems:
        files = _there(folder, stem)
        if not files:
            raise InputError(
                f"data file {folder / stem}.xyz.xz not found, nor .extxyz or .xyz; give the folder "
                "that holds it with --data"
            )
        if len(files) > 1:
            beside = " and ".join(file.name for file in files[1:])
            log.warning("%s is read, and %s beside it isn't", files[0], beside)
    return [data_file(folder, stem) for stem in stems]


def load_held_out(
    recipe: Recipe, folder: Path, pools: Sequence[tuple[Sequence[Frame], float]]
) -> list[Frame]:
    """The validation frames, without those that the pools have as well."""
    held_out = load_pools(replace(recipe, pools={recipe.validation: 1.0}), folder)[0][0]
    trained = [frame for frames, _ in pools for frame in frames]
    return unseen(recipe.validation, held_out, trained, recipe.cutoff_A)


def read_initial(recipe: Recipe, checkpoint: Path) -> HybridNet:
    """The network of an earlier stage; parts that it didn't have yet start as they are made.

    Raises
    ------
    InputError
        Not a checkpoint, or one of other species, cutoff or size.
    """
    net = recipe.network()
    try:
        saved = torch.load(checkpoint, weights_only=True, map_location="cpu")
        weights, theirs = saved["weights"], saved["recipe"]
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as err:
        raise InputError(f"{checkpoint} isn't a checkpoint.pt of ncforce train") from err
    for name in ("species", "cutoff_A"):
        if theirs[name] != getattr(recipe, name):
            raise InputError(
                f"{checkpoint} has {name} {theirs[name]}, the recipe {getattr(recipe, name)}"
            )
    try:
        net.load_state_dict(weights, strict=False)
    except RuntimeError as err:
        why = str(err).strip().splitlines()[-1].strip()
        raise InputError(f"{checkpoint} is of a network of another size: {why}") from err
    return net


def record(
    out: Path, row: dict[str, float | str], net: HybridNet, recipe: Recipe, stage: str
) -> None:
    """Append to the curve, replace the checkpoint (never leaving a half-written one)."""
    curve = out / "curve.csv"
    fresh = not curve.exists()
    with curve.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)
    save(out, net, recipe, stage)


def say(progress: float, row: Mapping[str, float | str]) -> None:
    """The line of a training that is shown while it goes on."""
    log.info("  ".join(f"{k} {v}" for k, v in row.items() if k in _SHOWN))


def save(out: Path, net: HybridNet, recipe: Recipe, stage: str) -> None:
    """Write ``checkpoint.pt``, in one move.

    Raises
    ------
    ModelError
        A weight isn't finite; the last checkpoint stays.
    """
    if not all(bool(torch.isfinite(tensor).all()) for tensor in net.state_dict().values()):
        raise ModelError("the weights are no longer finite; lower the learning rates")
    weights = {name: tensor.cpu() for name, tensor in net.state_dict().items()}  # read anywhere
    with durable.replacing(out / "checkpoint.pt") as partial:
        torch.save({"weights": weights, "recipe": asdict(recipe), "stage": stage}, partial)


_SHOWN = (
    "step",
    "cpu_s",
    "wall_s",
    "val_conservative_meV_per_A",
    "val_direct_meV_per_A",
    "val_difference_meV_per_A",
    "val_energy_meV_per_atom",
)
