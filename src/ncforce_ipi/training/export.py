"""A trained network as a metatomic model file.  Owns output names, units and metadata.

The outputs carry metatomic's standard names: ``energy`` (eV; per system or per atom),
``non_conservative_force`` (eV/A) and ``non_conservative_stress`` (eV/A^3).  Conservative forces and
stress are what the caller obtains by differentiating the energy, as every metatomic engine does.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)
from torch import Tensor

from ncforce_ipi import durable
from ncforce_ipi.training.hybrid import HybridNet


class HybridModel(torch.nn.Module):
    """``HybridNet`` behind metatomic's interface: systems in, tensor maps out."""

    def __init__(self, net: HybridNet) -> None:
        super().__init__()
        self.net = net
        self.cutoff = net.cutoff

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """Each pair once, nothing beyond the cutoff."""
        return [NeighborListOptions(cutoff=self.cutoff, full_list=False, strict=True)]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Evaluate what is asked for; the direct head runs only when one of its outputs is."""
        result: dict[str, TensorMap] = {}
        if len(outputs) == 0:
            return result
        types, first, second, vectors, atom_system, atom_index = self._gather(systems)
        h, v, t, pairs = self.net.trunk(types, first, second, vectors)
        n_systems = len(systems)

        if "energy" in outputs:
            energies = self.net.atom_energies(h)
            shift = self.net.energy_shift[self.net.species_index[types]]
            energies = energies + shift.to(energies.dtype)
            result["energy"] = self._energy(
                energies, atom_system, atom_index, n_systems, outputs["energy"], selected_atoms
            )
        if "non_conservative_force" in outputs or "non_conservative_stress" in outputs:
            pair = self.net.pair_forces(h, v, t, first, second, pairs)
            if "non_conservative_force" in outputs:
                forces = torch.zeros(types.shape[0], 3, dtype=pair.dtype, device=pair.device)
                forces = forces.index_add(0, first, pair).index_add(0, second, -pair)
                samples = Labels(["system", "atom"], torch.stack([atom_system, atom_index], dim=1))
                if selected_atoms is not None:
                    kept = _selected(samples, selected_atoms)
                    forces = forces[kept]
                    samples = Labels(["system", "atom"], samples.values[kept])
                result["non_conservative_force"] = _tensor_map(
                    forces[:, :, None], samples, ["xyz"], "non_conservative_force"
                )
            if "non_conservative_stress" in outputs:
                result["non_conservative_stress"] = self._stress(
                    pair, vectors, first, atom_system, systems
                )
        return result

    def _gather(
        self, systems: List[System]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """All systems as one: types, pair indices, pair vectors, and where each atom came from."""
        options = self.requested_neighbor_lists()[0]
        types: list[Tensor] = []
        first: list[Tensor] = []
        second: list[Tensor] = []
        vectors: list[Tensor] = []
        atom_system: list[Tensor] = []
        atom_index: list[Tensor] = []
        offset = 0
        for k, system in enumerate(systems):
            block = system.get_neighbor_list(options)
            pairs = block.samples.values
            types.append(system.types.to(torch.long))
            first.append(pairs[:, 0].to(torch.long) + offset)
            second.append(pairs[:, 1].to(torch.long) + offset)
            vectors.append(block.values[:, :, 0])
            index = torch.arange(len(system), dtype=torch.int32, device=pairs.device)
            atom_index.append(index)
            atom_system.append(torch.full_like(index, k))
            offset += len(system)
        return (
            torch.cat(types),
            torch.cat(first),
            torch.cat(second),
            torch.cat(vectors),
            torch.cat(atom_system),
            torch.cat(atom_index),
        )

    def _energy(
        self,
        energies: Tensor,
        atom_system: Tensor,
        atom_index: Tensor,
        n_systems: int,
        asked: ModelOutput,
        selected_atoms: Optional[Labels],
    ) -> TensorMap:
        samples = Labels(["system", "atom"], torch.stack([atom_system, atom_index], dim=1))
        if selected_atoms is not None:
            kept = _selected(samples, selected_atoms)
            energies, atom_system = energies[kept], atom_system[kept]
            samples = Labels(["system", "atom"], samples.values[kept])
        if asked.sample_kind == "atom":
            return _tensor_map(energies[:, None], samples, [], "energy")
        total = torch.zeros(n_systems, dtype=energies.dtype, device=energies.device)
        total = total.index_add(0, atom_system.to(torch.long), energies)
        return _tensor_map(total[:, None], _systems(n_systems, energies.device), [], "energy")

    def _stress(
        self,
        pair: Tensor,
        vectors: Tensor,
        first: Tensor,
        atom_system: Tensor,
        systems: List[System],
    ) -> TensorMap:
        """Symmetric ``sum_pairs f (x) r / volume``; NaN for a system that is not periodic in 3D."""
        outer = pair[:, :, None] * vectors[:, None, :]
        outer = 0.5 * (outer + outer.transpose(1, 2))
        total = torch.zeros(len(systems), 3, 3, dtype=pair.dtype, device=pair.device)
        total = total.index_add(0, atom_system.to(torch.long)[first], outer)
        volume = torch.stack([torch.abs(torch.det(system.cell)) for system in systems])
        volume = torch.where(volume > 0, volume, torch.full_like(volume, float("nan")))
        stress = total / volume[:, None, None]
        samples = _systems(len(systems), pair.device)
        return _tensor_map(
            stress[:, :, :, None], samples, ["xyz_1", "xyz_2"], "non_conservative_stress"
        )


def _systems(n_systems: int, device: torch.device) -> Labels:
    return Labels(["system"], torch.arange(n_systems, dtype=torch.int32, device=device)[:, None])


def _selected(samples: Labels, selected_atoms: Labels) -> Tensor:
    """Rows of ``samples`` that are among the selected atoms."""
    kept: list[int] = []
    for row in range(len(samples)):
        if selected_atoms.position(samples.values[row]) is not None:
            kept.append(row)
    return torch.tensor(kept, dtype=torch.long, device=samples.values.device)


def _tensor_map(values: Tensor, samples: Labels, components: list[str], name: str) -> TensorMap:
    """One block; ``values`` is (samples, 3 for each component, 1)."""
    device = values.device
    axes: list[Labels] = []
    for component in components:
        axes.append(Labels([component], torch.arange(3, dtype=torch.int32, device=device)[:, None]))
    single = torch.zeros(1, 1, dtype=torch.int32, device=device)
    block = TensorBlock(values, samples.to(device), axes, Labels([name], single))
    return TensorMap(Labels(["_"], single), [block])


def export(
    net: HybridNet,
    path: Path,
    *,
    name: str,
    description: str,
    references: Sequence[str] = (),
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write ``net`` as a metatomic model file.

    ``dtype`` float64 makes a copy for checks against finite differences: same weights, same
    architecture, double-precision arithmetic.
    """
    net = net.to(dtype).eval().requires_grad_(False)
    species = torch.nonzero(net.species_index >= 0)[:, 0].tolist()
    outputs = {
        "energy": ModelOutput(unit="eV", sample_kind="system", description="potential energy"),
        "non_conservative_force": ModelOutput(
            unit="eV/Angstrom", sample_kind="atom", description="direct force, zero net force"
        ),
        "non_conservative_stress": ModelOutput(
            unit="eV/Angstrom^3", sample_kind="system", description="direct stress"
        ),
    }
    capabilities = ModelCapabilities(
        outputs=outputs,
        atomic_types=species,
        interaction_range=net.cutoff * (len(net.layers) + 1),
        length_unit="Angstrom",
        supported_devices=["cpu", "cuda"],
        dtype=str(dtype).removeprefix("torch."),
    )
    metadata = ModelMetadata(
        name=name, description=description, references={"model": list(references)}
    )
    model = AtomisticModel(HybridModel(net).eval(), metadata, capabilities)
    model.save(str(path))
    durable.sync(path)
    durable.sync(path.parent)
