"""Models exported by metatomic (metatensor-torch): the shipped models, PET, SOAP-BPNN and others.

Owns everything that is metatomic's: output names, variants, devices, neighbour lists.  Conservative
forces and virial are derivatives of the energy; direct forces and virial are outputs of the model.
torch and metatomic are imported when a model is loaded, not before.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError
from ncforce_ipi.models import model_path

if TYPE_CHECKING:
    import torch

NO_VIRIAL = np.full((3, 3), np.nan)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that only metatomic models have."""
    parser.add_argument("--variant", help="variant of the outputs, e.g. pbe for energy/pbe")
    parser.add_argument("--extensions", type=Path, help="directory of the model's torch extensions")


def load(args: argparse.Namespace) -> MetatomicBackend:
    """Load ``args.model`` (a path or a shipped model's name) onto ``args.device``.

    Uses ``args.variant``, ``args.extensions``, ``args.threads`` and ``args.direct_virial`` too.

    Raises
    ------
    ModelError
        metatomic is missing, the file is no metatomic model, the device isn't there, or an output
        that is asked for is missing.
    """
    path = model_path(args.model)
    if args.threads:
        os.environ["OMP_NUM_THREADS"] = str(args.threads)  # vesin reads it, and torch at import
    try:
        import metatomic.torch as mta
        import torch
        import vesin.metatomic  # noqa: F401
    except ImportError as err:
        raise ModelError(
            f"metatomic models need torch, metatomic-torch and vesin: {err}; "
            "pip install 'ncforce_ipi[metatomic]'"
        ) from err
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        with warnings.catch_warnings():  # of deprecated output names, which both are served here
            warnings.filterwarnings("ignore", message=".*is deprecated.*")
            model = mta.load_atomistic_model(path, extensions_directory=args.extensions)
    except (RuntimeError, ValueError) as err:
        first = str(err).strip().splitlines()[0]
        raise ModelError(f"{path} can't be loaded as a metatomic model: {first}") from err
    device = _pick_device(model.capabilities().supported_devices, args.device)
    if device == "cpu":
        # TorchScript else rewrites its graphs after the first calls, and the last bits of a force
        # depend on how often it was asked: a resumed run wouldn't be bitwise the uninterrupted one
        torch.jit.set_fusion_strategy([])
    backend = MetatomicBackend(model.to(device), device, path.name, args.variant)
    if args.direct_virial and not backend.stress_name:
        raise ModelError(f"{path.name} has no output non_conservative_stress for --direct-virial")
    return backend


def _pick_device(supported: list[str], asked: str | None) -> str:
    """The first of the model's devices that is here, or the one that is asked for."""
    import torch

    here = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    wanted = [asked] if asked else supported
    for device in wanted:
        if device.split(":")[0] in here and device.split(":")[0] in supported:
            return device
    raise ModelError(
        f"device {asked or 'of the model'} can't be used: the model supports "
        f"{', '.join(supported)}, this machine has {', '.join(here)}"
    )


class MetatomicBackend:
    """A loaded metatomic model; see ``ncforce_ipi.backend.Backend``.

    Neighbour lists are made anew for each structure, so that their order, and with it the last bits
    of a force, depends on the structure alone and not on what was evaluated before.
    """

    def __init__(self, model: Any, device: str, name: str, variant: str | None) -> None:
        import torch
        from vesin.metatomic import neighbor_lists_for_model

        capabilities = model.capabilities()
        suffix = f"/{variant}" if variant else ""
        known = capabilities.outputs
        self.energy_name = _present(f"energy{suffix}", known)
        self.force_name = _present(f"non_conservative_force{suffix}", known)
        self.stress_name = _present(f"non_conservative_stress{suffix}", known)
        kinds: dict[Kind, str] = {"conservative": self.energy_name, "direct": self.force_name}
        self.kinds: frozenset[Kind] = frozenset(kind for kind, output in kinds.items() if output)
        if not self.kinds:
            raise ModelError(
                f"{name} has neither energy{suffix} nor non_conservative_force{suffix}; "
                f"its outputs are {', '.join(sorted(known))}"
            )
        self.species: frozenset[int] | None = frozenset(capabilities.atomic_types)
        self.description = f"{name} (metatomic, {device}, {capabilities.dtype})"
        self._model = model
        self._device = device
        self._dtype = {"float32": torch.float32, "float64": torch.float64}[capabilities.dtype]
        self._neighbors = neighbor_lists_for_model("Angstrom", model, skin=0.0)

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """One forward pass for all that is wanted; a backward pass only for conservative forces."""
        import torch

        if missing := wanted.kinds - self.kinds:
            raise ModelError(f"{self.description} has no {' and no '.join(sorted(missing))} forces")
        conservative = "conservative" in wanted.kinds
        with torch.set_grad_enabled(conservative):
            positions, strain, system = self._system(structure, conservative)
            outputs = self._run(system, wanted)
        result: dict[Kind, Evaluation] = {}
        if conservative:
            result["conservative"] = self._differentiate(outputs, positions, strain)
        if "direct" in wanted.kinds:
            result["direct"] = self._read_direct(outputs, structure.cell, wanted)
        return result

    def _system(
        self, structure: Structure, with_grad: bool
    ) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """Positions, strain and the metatomic system that depends on both."""
        import torch
        from metatomic.torch import System

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(array, dtype=self._dtype, device=self._device)

        positions = tensor(structure.positions)
        cell = tensor(structure.cell)
        strain = torch.eye(3, dtype=self._dtype, device=self._device)
        strained, strained_cell = positions, cell
        if with_grad:
            positions.requires_grad_()
            strain.requires_grad_()
            strained, strained_cell = positions @ strain, cell @ strain
        types = torch.tensor(structure.numbers, dtype=torch.int32, device=self._device)
        periodic = torch.tensor(structure.cell.any(axis=1), device=self._device)
        system = System(types, strained, strained_cell, periodic)
        for neighbors in self._neighbors:
            neighbors.add_neighbor_list(system)
        return positions, strain, system

    def _run(self, system: Any, wanted: Wanted) -> Mapping[str, Any]:
        """Call the model for the outputs that ``wanted`` needs and no others."""
        from metatomic.torch import ModelEvaluationOptions, ModelOutput

        asked = {}
        direct = "direct" in wanted.kinds
        if "conservative" in wanted.kinds or (direct and wanted.direct_energy):
            asked[self.energy_name] = ModelOutput(unit="eV", sample_kind="system")
        if direct:
            asked[self.force_name] = ModelOutput(unit="eV/Angstrom", sample_kind="atom")
        if direct and wanted.direct_virial:
            asked[self.stress_name] = ModelOutput(unit="eV/Angstrom^3", sample_kind="system")
        options = ModelEvaluationOptions(length_unit="Angstrom", outputs=asked)
        try:
            return self._model([system], options, check_consistency=False)
        except (RuntimeError, ValueError) as err:
            last = str(err).strip().splitlines()[-1]
            raise ModelError(f"{self.description} failed: {last}") from err

    def _differentiate(
        self, outputs: Mapping[str, Any], positions: torch.Tensor, strain: torch.Tensor
    ) -> Evaluation:
        """F = -dE/dr, W = -dE/dstrain at zero strain (positions and cell rows times 1 + strain)."""
        import torch

        energy = outputs[self.energy_name].block().values
        forces, virial = torch.autograd.grad(-energy.sum(), (positions, strain))
        w = _numpy(virial)
        return Evaluation(_numpy(energy).item(), _numpy(forces), 0.5 * (w + w.T))

    def _read_direct(
        self, outputs: Mapping[str, Any], cell: np.ndarray, wanted: Wanted
    ) -> Evaluation:
        """The model's own force, energy and stress; W = -stress x volume."""
        forces = _numpy(outputs[self.force_name].block().values).reshape(-1, 3)
        energy, virial = float("nan"), NO_VIRIAL
        if wanted.direct_energy:
            energy = _numpy(outputs[self.energy_name].block().values).item()
        if wanted.direct_virial:
            stress = _numpy(outputs[self.stress_name].block().values).reshape(3, 3)
            virial = -0.5 * (stress + stress.T) * abs(np.linalg.det(cell))
        return Evaluation(energy, forces, virial)


def _present(name: str, outputs: Mapping[str, Any]) -> str:
    return name if name in outputs else ""


def _numpy(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
