"""fairchem 2: eSEN, UMA and other checkpoints of fairchem-core 2.x, by name or from a file.

Owns fairchem's predict unit and its tasks.  Forces are direct or
conservative as the checkpoint was trained, never both.  fairchem keeps the net force of a direct
model; the driver removes it unless it is told not to.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError

from . import conversion, fairchem_graphs, loading
from .options import find_file, require_trust

FORCES = "direct or conservative"
SEED = 0  # of rotations that some models draw: the same for every structure
OMOL_SPIN = 1  # fairchem's own default, of molecules; 0 for all other tasks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that only fairchem models have."""
    add = parser.add_argument
    add("--task", help="of a checkpoint with several: omat, omol, oc20, odac, omc")
    add("--charge", type=int, default=0, help="total charge, for task omol")
    add("--spin", type=int, help="spin multiplicity, for task omol; default 1")
    add("--dtype", choices=("float32", "float64"), default="float32")
    add("--inference", metavar="NAME", help="fairchem's settings; default: exact, not compiled")


def load(args: argparse.Namespace) -> FairchemBackend:
    """Load the checkpoint file or the published model that ``--model`` names.

    Raises
    ------
    InputError
        No such file, name or settings, or no ``--trust``: every checkpoint is a pickle.
    ModelError
        fairchem-core 2 is missing, the file can't be loaded, or it lacks what is asked for.
    """
    loading.prepare(args.threads)
    try:
        with loading.quiet():
            import torch
            from fairchem.core.units.mlip_unit import load_predict_unit
    except ImportError as err:
        raise loading.missing("fairchem", err) from err
    path = _find(args.model)
    require_trust(path, args.trust)
    settings, device = _settings(args), loading.pick_device(args.device)
    if ":" in device:  # fairchem knows cpu and cuda, and takes the current one of several
        torch.cuda.set_device(device)
    try:
        with loading.quiet():
            unit = load_predict_unit(str(path), settings, device=device.split(":")[0])
    except Exception as err:  # a pickle can raise anything
        raise ModelError(f"{path} is no model of fairchem 2: {loading.one_line(err)}") from err
    loading.make_reproducible(args.threads, device)
    return FairchemBackend(unit, path, device, args)


def _find(model: str) -> Path:
    """The file of this path, or of the published model of this name, downloaded if need be."""
    from fairchem.core.calculate import pretrained_mlip

    download = pretrained_mlip.pretrained_checkpoint_path_from_name
    return find_file(model, pretrained_mlip.available_models, "fairchem's", download)


def _settings(args: argparse.Namespace) -> Any:
    from fairchem.core.units.mlip_unit.api import inference

    if args.inference is None:
        exact = {"activation_checkpointing": False, "base_precision_dtype": args.dtype}
        return inference.InferenceSettings(**exact)
    named = inference.NAME_TO_INFERENCE_SETTING
    if args.inference not in named:
        raise InputError(f"--inference: expected {', '.join(named)}, got {args.inference!r}")
    return named[args.inference]


class FairchemBackend:
    """A loaded predict unit; see ``ncforce_ipi.backend.Backend``."""

    def __init__(self, unit: Any, path: Path, device: str, args: argparse.Namespace) -> None:
        import torch

        tasks, backbone = unit.dataset_to_tasks, unit.model.module.backbone
        task = args.task or (next(iter(tasks)) if len(tasks) == 1 else "by default")
        if task not in tasks:
            raise ModelError(f"{path} has no task {task}; --task: {', '.join(tasks)}")
        kind: Kind = "direct" if backbone.regress_config.direct_forces else "conservative"
        needed = {"forces"} | ({"stress"} if args.direct_virial else set())
        if kind == "conservative":
            needed = {"energy", "forces", "stress"}
        if lacking := needed - {one.property for one in tasks[task]}:
            raise ModelError(f"{path} has no {' and no '.join(sorted(lacking))} in task {task}")
        self.kinds: frozenset[Kind] = frozenset([kind])
        self.species: frozenset[int] | None = frozenset(range(1, backbone.max_num_elements))
        self.source: Path | None = path
        self._dtype = unit.inference_settings.base_precision_dtype
        name = str(self._dtype).removeprefix("torch.")
        self.description = f"{path.name} (fairchem 2, {task}, {kind}, {device}, {name})"
        spin = args.spin if args.spin is not None else OMOL_SPIN * (task == "omol")
        self._state = {"charge": args.charge, "spin": spin, "dataset": task}
        self._torch, self._unit = torch, unit

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """One call of the model; it computes all that the checkpoint was trained for."""
        conversion.check_request(self, structure, wanted)
        self._torch.manual_seed(SEED)
        try:
            with loading.quiet():
                data = fairchem_graphs.atomic_data(structure, self._dtype, **self._state)
                found = self._unit.predict(data)
        except Exception as err:  # its assertions too
            raise ModelError(f"{self.description} failed: {loading.one_line(err)}") from err
        values = {name: v.detach().cpu().double().numpy() for name, v in found.items()}
        (kind,) = self.kinds
        energy, virial = np.nan, np.full((3, 3), np.nan)
        if kind == "conservative" or wanted.direct_energy:
            energy = values["energy"].item()
        if kind == "conservative" and not structure.cell.any():
            virial = conversion.open_virial(structure, values["forces"])
        elif kind == "conservative" or wanted.direct_virial:
            virial = conversion.virial(values["stress"], structure.cell)
        return {kind: Evaluation(energy, values["forces"], virial)}
