"""EquiformerV2 and other direct-force checkpoints of the OCP format, with fairchem-core 1.10.

Owns the trainer that evaluates such a checkpoint.  Direct forces
only, in float32.  fairchem keeps the net force; the driver removes it unless it is told not to.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError

from . import conversion, fairchem_graphs, loading
from .options import find_file, require_trust

FORCES = "direct"
SEED = 0  # of the random rotations around each edge: the same for every structure
CACHE = Path("~/.cache/fairchem")  # where fairchem's own loader puts what it downloads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """EquiformerV2 has no options of its own."""


def load(args: argparse.Namespace) -> EquiformerBackend:
    """Load the checkpoint file or the published model that ``--model`` names.

    Raises
    ------
    InputError
        No such file or name, or a file with more than tensors in it and no ``--trust``.
    ModelError
        fairchem-core 1 is missing, the file can't be loaded, or it lacks what is asked for.
    """
    loading.prepare(args.threads)
    try:
        with loading.quiet():
            import torch
            from fairchem.core import OCPCalculator
    except ImportError as err:
        raise loading.missing("equiformer", err) from err
    path, device = _find(args.model), loading.pick_device(args.device)
    plain = _is_plain(path)
    if not plain:
        require_trust(path, args.trust)
    try:
        with loading.quiet(), loading.keep_environment(loading.UNSAFE):
            os.environ[loading.UNSAFE] = str(int(not plain))
            trainer = OCPCalculator(checkpoint_path=path, cpu=True, seed=SEED).trainer
    except Exception as err:  # a pickle can raise anything
        raise ModelError(f"{path} is no OCP checkpoint: {loading.one_line(err)}") from err
    loading.make_reproducible(args.threads, device)
    return EquiformerBackend(trainer, path, torch.device(device), args)


def _find(model: str) -> Path:
    """The file of this path, or of the published model of this name, downloaded if need be."""
    from fairchem.core.models import model_registry

    def download(name: str) -> str:
        return model_registry.model_name_to_local_file(name, CACHE.expanduser())

    return find_file(model, model_registry.available_pretrained_models, "fairchem's", download)


def _is_plain(path: Path) -> bool:
    """Whether torch's safe loader takes the file: then nothing in it can run."""
    import pickle

    import torch

    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        return False
    return True


class EquiformerBackend:
    """A loaded OCP checkpoint; see ``ncforce_ipi.backend.Backend``."""

    kinds: frozenset[Kind] = frozenset(["direct"])

    def __init__(self, trainer: Any, path: Path, device: Any, args: argparse.Namespace) -> None:
        import torch

        model = trainer._unwrapped_model
        backbone = getattr(model, "backbone", model)
        if getattr(backbone, "direct_forces", True) is False:
            raise ModelError(f"{path} has no direct forces, and its gradients aren't served")
        outputs = trainer.config["outputs"]
        needed = {"forces": True, "energy": args.direct_energy, "stress": args.direct_virial}
        if lacking := [name for name, wanted in needed.items() if wanted and name not in outputs]:
            raise ModelError(
                f"{path} has no {' and no '.join(lacking)}; it has {', '.join(outputs)}"
            )
        if trainer.ema is not None:  # the weights to use; predict would copy them at each call
            trainer.ema.copy_to()
            trainer.ema = None
        trainer.device = device
        for part in (trainer.model, *trainer.normalizers.values(), *trainer.elementrefs.values()):
            part.to(device)
        self.species: frozenset[int] | None = frozenset(range(1, backbone.max_num_elements))
        self.source: Path | None = path
        self.description = f"{path.name} ({type(backbone).__name__}, {device}, float32)"
        self._torch, self._trainer = torch, trainer

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """One call of the model; it computes all that the checkpoint was trained for."""
        conversion.check_request(self, structure, wanted)
        self._torch.manual_seed(SEED)
        try:
            with loading.quiet():
                graph = fairchem_graphs.ocp_batch(structure)
                found = self._trainer.predict(graph, per_image=False, disable_tqdm=True)
        except Exception as err:  # its assertions too
            raise ModelError(f"{self.description} failed: {loading.one_line(err)}") from err
        values = {name: v.cpu().double().numpy() for name, v in found.items()}
        energy, virial = np.nan, np.full((3, 3), np.nan)
        if wanted.direct_energy:
            energy = values["energy"].item()
        if wanted.direct_virial:  # stress: nine numbers, not Voigt's six
            virial = conversion.virial(values["stress"], structure.cell)
        return {"direct": Evaluation(energy, values["forces"].reshape(-1, 3), virial)}
