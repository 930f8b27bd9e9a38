"""fairchem 2: eSEN, UMA and other checkpoints of fairchem-core 2.x, by name or from a file.

Owns fairchem's predict unit and its tasks.  Forces are direct or
conservative as the checkpoint was trained, never both.  fairchem keeps the net force of a direct
model; the driver removes it unless it is told not to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError

from . import conversion, fairchem_graphs, loading
from .batches import BatchedBackend, divided
from .gate import GatedBackend
from .options import find_file, require_trust

FORCES = "direct or conservative"
SEED = 0  # of rotations that some models draw: the same for every structure
OMOL_SPIN = 1  # fairchem's own default, of molecules; 0 for all other tasks


def load(
    model: str,
    *,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
    trust: bool = False,
    task: str | None = None,
    charge: int = 0,
    spin: int | None = None,
    inference: str | None = None,
    compile: bool = False,
) -> FairchemBackend | GatedBackend:
    """Load a checkpoint file or a published model.

    Parameters
    ----------
    model : file, or fairchem's name of a published model
    device : cpu, cuda, cuda:1, ...; None: the GPU if there is one
    dtype : type of weights and positions
    threads : that torch may use
    trust : whether it may be unpickled: every checkpoint is a pickle
    task : of a checkpoint with several: omat, omol, oc20, odac, omc
    charge : total charge, for task omol
    spin : spin multiplicity, for task omol; default: 1
    inference : name of fairchem's settings; default: exact, not compiled
    compile : torch.compile the network, exact as it is by default, and check it against that; on a
        CPU it needs a C++ compiler and some minutes at the start

    Raises
    ------
    InputError
        No such file, name or settings, or no ``trust``.
    ModelError
        fairchem-core 2 is missing, the file can't be loaded, or it lacks what is asked for.
    """
    loading.prepare(threads)
    try:
        with loading.quiet():
            import torch
            from fairchem.core.units.mlip_unit import load_predict_unit
    except ImportError as err:
        raise loading.missing("fairchem", err) from err
    path = _find(model)
    require_trust(path, trust)
    settings, chosen = _settings(inference, dtype), loading.pick_device(device)
    if compile and inference:
        raise InputError("--compile and --inference are two settings of fairchem; give one")
    if ":" in chosen:  # fairchem knows cpu and cuda, and takes the current one of several
        torch.cuda.set_device(chosen)
    every = [settings, replace(settings, compile=True)] if compile else [settings]
    try:
        with loading.quiet():
            units = [load_predict_unit(str(path), s, device=chosen.split(":")[0]) for s in every]
    except Exception as err:  # a pickle can raise anything
        raise ModelError(f"{path} is no model of fairchem 2: {loading.one_line(err)}") from err
    loading.make_reproducible(threads, chosen)
    state = {"charge": charge, "spin": spin, "dataset": _task(path, units[0], task)}
    backends = [FairchemBackend(unit, path, chosen, state) for unit in units]
    return GatedBackend(*backends) if compile else backends[0]


def _find(model: str) -> Path:
    """The file of this path, or of the published model of this name, downloaded if need be."""
    from fairchem.core.calculate import pretrained_mlip

    download = pretrained_mlip.pretrained_checkpoint_path_from_name
    return find_file(model, pretrained_mlip.available_models, "fairchem's", download)


def _settings(name: str | None, dtype: str) -> Any:
    from fairchem.core.units.mlip_unit.api import inference

    if name is None:
        exact = {"activation_checkpointing": False, "base_precision_dtype": dtype}
        return inference.InferenceSettings(**exact)
    named = inference.NAME_TO_INFERENCE_SETTING
    if name not in named:
        raise InputError(f"--inference: expected {', '.join(named)}, got {name!r}")
    return named[name]


def _task(path: Path, unit: Any, asked: str | None) -> str:
    """The task that is asked for, or the only one."""
    tasks = list(unit.dataset_to_tasks)
    task = asked or (tasks[0] if len(tasks) == 1 else "by default")
    if task not in tasks:
        raise ModelError(f"{path} has no task {task}; --task: {', '.join(tasks)}")
    return task


class FairchemBackend(BatchedBackend):
    """A loaded predict unit; see ``ncforce_ipi.backend.Backend``.

    Parameters
    ----------
    unit : fairchem's
    path : of the checkpoint
    device : for the description
    state : ``charge``, ``spin`` (None: of the task) and ``dataset`` (the task)
    """

    def __init__(self, unit: Any, path: Path, device: str, state: dict[str, Any]) -> None:
        import torch

        super().__init__(device, (Exception,))  # its assertions too
        backbone, task = unit.model.module.backbone, state["dataset"]
        kind: Kind = "direct" if backbone.regress_config.direct_forces else "conservative"
        outputs = {one.property for one in unit.dataset_to_tasks[task]}
        needed = {"forces"} if kind == "direct" else {"energy", "forces", "stress"}
        if lacking := needed - outputs:
            raise ModelError(f"{path} has no {' and no '.join(sorted(lacking))} in task {task}")
        self.kinds = frozenset([kind])
        self.stress = self.kinds if "stress" in outputs else frozenset()
        self.direct_energy = kind == "direct" and "energy" in outputs
        self.species = frozenset(range(1, backbone.max_num_elements))
        self.source = path
        self._precision = unit.inference_settings.base_precision_dtype
        self.dtype = str(self._precision).removeprefix("torch.")
        self.description = f"{path.name} (fairchem 2, {task}, {kind}, {device}, {self.dtype})"
        spin = OMOL_SPIN * (task == "omol") if state["spin"] is None else state["spin"]
        self._state = state | {"spin": spin}
        self._torch, self._unit = torch, unit

    def evaluate_together(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[dict[Kind, Evaluation]]:
        """One call of the model; it computes all that the checkpoint was trained for."""
        self._torch.manual_seed(SEED)
        with loading.quiet():
            data = fairchem_graphs.atomic_data(structures, self._precision, **self._state)
            found = self._unit.predict(data)
        values = {name: v.detach().cpu().double().numpy() for name, v in found.items()}
        (kind,) = self.kinds
        n, conservative = len(structures), kind == "conservative"
        energies = [np.nan] * n
        if conservative or wanted.direct_energy:
            energies = values["energy"].reshape(n).tolist()
        forces = divided(values["forces"], structures)
        virials = [np.full((3, 3), np.nan) for _ in structures]
        if conservative or wanted.direct_virial:
            virials = [
                conversion.open_virial(structure, f)
                if conservative and not structure.cell.any()
                else conversion.virial(stress, structure.cell)
                for structure, f, stress in zip(
                    structures, forces, values["stress"].reshape(n, 9), strict=True
                )
            ]
        return [{kind: Evaluation(*each)} for each in zip(energies, forces, virials, strict=True)]
