"""EquiformerV2 and other direct-force checkpoints of the OCP format, with fairchem-core 1.10.

Owns the trainer that evaluates such a checkpoint.  Direct forces only, in float32.
fairchem keeps the net force; the driver removes it unless it is told not to.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError

from . import conversion, fairchem_graphs, loading
from .batches import BatchedBackend, divided
from .options import find_file, require_trust

FORCES = "direct"
SEED = 0  # of the random rotations around each edge: the same for every structure
CACHE = Path("~/.cache/fairchem")  # where fairchem's own loader puts what it downloads


def load(
    model: str,
    *,
    device: str | None = None,
    dtype: Literal["float32"] = "float32",
    threads: int = 1,
    trust: bool = False,
) -> EquiformerBackend:
    """Load a checkpoint file or a published model.

    Parameters
    ----------
    model : file, or fairchem's name of a published model
    device : cpu, cuda, cuda:1, ...; None: the GPU if there is one
    dtype : there is float32 only
    threads : that torch may use
    trust : whether a file with more than tensors in it may be unpickled

    Raises
    ------
    InputError
        No such file or name, or a file with more than tensors in it and no ``trust``.
    ModelError
        fairchem-core 1 is missing, the file can't be loaded, or it has no direct forces.
    """
    loading.prepare(threads)
    try:
        with loading.quiet():
            import torch
            from fairchem.core import OCPCalculator
    except ImportError as err:
        raise loading.missing("equiformer", err) from err
    path, chosen = _find(model), loading.pick_device(device)
    plain = _is_plain(path)
    if not plain:
        require_trust(path, trust)
    try:
        with loading.quiet(), loading.keep_environment(loading.UNSAFE):
            os.environ[loading.UNSAFE] = str(int(not plain))
            trainer = OCPCalculator(checkpoint_path=path, cpu=True, seed=SEED).trainer
    except Exception as err:  # a pickle can raise anything
        raise ModelError(f"{path} is no OCP checkpoint: {loading.one_line(err)}") from err
    loading.make_reproducible(threads, chosen)
    return EquiformerBackend(trainer, path, torch.device(chosen))


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


class EquiformerBackend(BatchedBackend):
    """A loaded OCP checkpoint; see ``ncforce_ipi.backend.Backend``."""

    kinds = frozenset[Kind](["direct"])
    dtype = "float32"

    def __init__(self, trainer: Any, path: Path, device: Any) -> None:
        import torch

        # its assertions too; the first structure's periodicity would count for all
        super().__init__(device.type, (Exception,), mixes_cells=False)
        model = trainer._unwrapped_model
        backbone = getattr(model, "backbone", model)
        if getattr(backbone, "direct_forces", True) is False:
            raise ModelError(f"{path} has no direct forces, and its gradients aren't served")
        outputs = trainer.config["outputs"]
        if "forces" not in outputs:
            raise ModelError(f"{path} has no forces; it has {', '.join(outputs)}")
        self.direct_energy = "energy" in outputs
        self.stress = self.kinds if "stress" in outputs else frozenset()
        if trainer.ema is not None:  # the weights to use; predict would copy them at each call
            trainer.ema.copy_to()
            trainer.ema = None
        trainer.device = device
        for part in (trainer.model, *trainer.normalizers.values(), *trainer.elementrefs.values()):
            part.to(device)
        self.species = frozenset(range(1, backbone.max_num_elements))
        self.source = path
        self.description = f"{path.name} ({type(backbone).__name__}, {device}, float32)"
        self._torch, self._trainer = torch, trainer

    def evaluate_together(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[dict[Kind, Evaluation]]:
        """One call of the model; it computes all that the checkpoint was trained for."""
        self._torch.manual_seed(SEED)
        with loading.quiet():
            graph = fairchem_graphs.ocp_batch(structures)
            found = self._trainer.predict(graph, per_image=False, disable_tqdm=True)
        values, n = {name: v.cpu().double().numpy() for name, v in found.items()}, len(structures)
        energies, virials = [np.nan] * n, [np.full((3, 3), np.nan) for _ in structures]
        if wanted.direct_energy:
            energies = values["energy"].reshape(n).tolist()
        if wanted.direct_virial:
            stresses = values["stress"].reshape(n, 9)  # not Voigt's six
            virials = [
                conversion.virial(stress, structure.cell)
                for stress, structure in zip(stresses, structures, strict=True)
            ]
        forces = divided(values["forces"].reshape(-1, 3), structures)
        each = zip(energies, forces, virials, strict=True)
        return [{"direct": Evaluation(e, f, w)} for e, f, w in each]
