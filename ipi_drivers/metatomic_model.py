"""A loaded model of metatomic: from a structure to the outputs of the model, and to forces.

Owns output names, variants and neighbour lists.  Conservative forces and virial are derivatives of
the energy; direct forces and virial are outputs of the model.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ncforce_ipi.backend import Evaluation, JacobianProducts, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError

from . import conversion, loading, metatomic_outputs
from .batches import BatchedBackend, divided
from .metatomic_gradient import Gradient

log = logging.getLogger(__name__)
Tensor = Any  # torch.Tensor


class MetatomicBackend(BatchedBackend):
    """A loaded metatomic model; see ``ncforce_ipi.backend.Backend``.

    Neighbour lists are made anew for each structure, so that their order, and with it the last bits
    of a force, depends on the structure alone and not on what was evaluated before.  A Verlet list
    sorted for the same purpose isn't faster on a CPU: benchmarks/neighbours.py gave 0.4 ms against
    0.7 at 192 atoms (a direct call takes 19), 2.8 against 2.9 at 1536, 37 against 20 at 12288.
    """

    castable = True
    differentiable = True

    def __init__(self, model: Any, device: str, name: str, variant: str | None) -> None:
        import metatomic.torch
        import torch
        from metatensor.torch import TensorBlock
        from vesin.metatomic import neighbor_lists_for_model

        super().__init__(device)
        capabilities = model.capabilities()
        suffix = f"/{variant}" if variant else ""
        names = ("energy", "non_conservative_force", "non_conservative_stress")
        self.energy_name, self.force_name, self.stress_name = (
            name + suffix if name + suffix in capabilities.outputs else "" for name in names
        )
        kinds: dict[Kind, str] = {"conservative": self.energy_name, "direct": self.force_name}
        self.kinds = frozenset(kind for kind, output in kinds.items() if output)
        if not self.kinds:
            raise ModelError(metatomic_outputs.why_none(name, capabilities.outputs, variant))
        for line in metatomic_outputs.assumed(name, capabilities, filter(None, kinds.values())):
            log.warning("%s", line)
        with_virial: dict[Kind, str] = kinds | {"direct": self.stress_name}
        self.stress = frozenset(kind for kind in self.kinds if with_virial[kind])
        self.direct_energy = "direct" in self.kinds and bool(self.energy_name)
        self.species = frozenset(capabilities.atomic_types)
        self.dtype = capabilities.dtype
        self._name = f"{name} (metatomic, {device}, "
        self.description = f"{self._name}{self.dtype})"
        self._torch, self._metatomic, self._block = torch, metatomic.torch, TensorBlock
        self._model = model
        self._gradient = Gradient(self._name.partition(" (")[0])
        self._device = device
        self._dtype = getattr(torch, capabilities.dtype)
        self._neighbors = neighbor_lists_for_model("Angstrom", model, skin=0.0)
        self._options: dict[Wanted, Any] = {}
        self._types: tuple[np.ndarray, Tensor] = (np.empty(0), None)  # of the structure before

    def evaluate_together(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[dict[Kind, Evaluation]]:
        """One forward pass for all that is wanted; a backward pass only for conservative forces."""
        conservative = "conservative" in wanted.kinds
        found: list[dict[Kind, Evaluation]] = [{} for _ in structures]
        with self._torch.set_grad_enabled(conservative):
            made = [self._system(structure, conservative) for structure in structures]
            outputs = self._run([system for _, _, system in made], wanted)
        if conservative:
            leaves = [positions for positions, _, _ in made], [strain for _, strain, _ in made]
            for results, evaluation in zip(
                found, self._differentiate(outputs, *leaves), strict=True
            ):
                results["conservative"] = evaluation
        if "direct" in wanted.kinds:
            for results, evaluation in zip(
                found, self._read_direct(outputs, structures, wanted), strict=True
            ):
                results["direct"] = evaluation
        return found

    def jacobian_products(self, structure: Structure, kind: Kind) -> JacobianProducts:
        """By differentiation; see ``metatomic_jacobian``."""
        from .metatomic_jacobian import MetatomicProducts

        return MetatomicProducts(self, structure, kind)

    def to_float64(self) -> None:
        """Weights and all: the same function, evaluated precisely."""
        self.turn("float64")

    def turn(self, dtype: str) -> None:
        """Turn the model to float32 or float64.

        Raises
        ------
        ModelError
            The model doesn't take it.
        """
        if dtype == self.dtype:
            return
        chosen = getattr(self._torch, dtype)
        try:
            self._model = _turned(self._model, chosen, dtype)
        except (RuntimeError, ValueError, AttributeError) as err:
            why = loading.one_line(err)
            raise ModelError(f"{self.description} can't be turned to {dtype}: {why}") from err
        self._dtype, self.dtype = chosen, dtype
        self.description = f"{self._name}turned to {dtype})"

    def _system(self, structure: Structure, with_grad: bool) -> tuple[Tensor, Tensor, Any]:
        """Positions, strain and the metatomic system that depends on both."""
        torch, system, options = self._torch, self._metatomic.System, {"device": self._device}
        r, cell = (
            torch.tensor(each, dtype=torch.float64, **options)
            for each in (conversion.at_home(structure), structure.cell)
        )
        if not np.array_equal(self._types[0], structure.numbers):
            types = torch.tensor(structure.numbers, dtype=torch.int32, **options)
            self._types = (structure.numbers.copy(), types)
        types, periodic = self._types[1], torch.tensor(structure.cell.any(axis=1), **options)
        positions, box = r.to(self._dtype, copy=True), cell.to(self._dtype)
        positions.requires_grad_(with_grad)
        strain = torch.eye(3, dtype=self._dtype, requires_grad=with_grad, **options)
        bare = system(types, positions, box, periodic)
        made = system(types, positions @ strain, box @ strain, periodic) if with_grad else bare
        self._add_pairs(made, bare, system(types, r, cell, periodic), strain)
        return positions, strain, made

    def _add_pairs(self, system: Any, bare: Any, exact: Any, strain: Tensor) -> None:
        """Add the neighbour lists of ``exact`` (float64) to a system, which is ``bare``, strained.

        Pair vectors are differences in float64, rounded afterwards.  Of positions in float32,
        forces in water are five times less exact for 192 atoms and twelve times for 1536.  They are
        strained themselves: a virial of strained positions is a small sum of large products.
        """
        for neighbors in self._neighbors:
            pairs = neighbors.compute(exact).to(dtype=self._dtype)
            self._metatomic.register_autograd_neighbors(bare, pairs, check_consistency=False)
            if system is not bare:
                strained = (pairs.values[:, :, 0] @ strain)[:, :, None]
                pairs = self._block(strained, pairs.samples, pairs.components, pairs.properties)
            system.add_neighbor_list(neighbors.options, pairs)

    def _run(self, systems: list[Any], wanted: Wanted) -> Mapping[str, Any]:
        """Call the model for the outputs that ``wanted`` needs and no others."""
        if wanted not in self._options:
            self._options[wanted] = self._output_options(wanted)
        return self._model(systems, self._options[wanted], check_consistency=False)

    def _output_options(self, wanted: Wanted) -> Any:
        output = self._metatomic.ModelOutput
        asked = {}
        direct = "direct" in wanted.kinds
        if "conservative" in wanted.kinds or (direct and wanted.direct_energy):
            asked[self.energy_name] = output(unit="eV", sample_kind="system")
        if direct:
            asked[self.force_name] = output(unit="eV/Angstrom", sample_kind="atom")
        if direct and wanted.direct_virial:
            asked[self.stress_name] = output(unit="eV/Angstrom^3", sample_kind="system")
        return self._metatomic.ModelEvaluationOptions(length_unit="Angstrom", outputs=asked)

    def _differentiate(
        self, outputs: Mapping[str, Any], positions: list[Tensor], strains: list[Tensor]
    ) -> list[Evaluation]:
        """F = -dE/dr, W = -dE/dstrain at no strain: r and the cell's rows are times 1 + strain."""
        total, n = outputs[self.energy_name].block().values.sum(), len(positions)
        found = self._gradient("forces", -total, [*positions, *strains])
        energies = _rows(outputs, self.energy_name, n, 1).ravel().tolist()
        return [
            Evaluation(energy, _numpy(forces), conversion.symmetric(_numpy(virial)))
            for energy, forces, virial in zip(energies, found[:n], found[n:], strict=True)
        ]

    def _read_direct(
        self, outputs: Mapping[str, Any], structures: Sequence[Structure], wanted: Wanted
    ) -> list[Evaluation]:
        """The model's own force, energy and stress; W = -stress x volume."""
        n, n_atoms = len(structures), sum(len(structure.numbers) for structure in structures)
        forces = divided(_rows(outputs, self.force_name, n_atoms, 3), structures)
        energies, virials = [np.nan] * n, [np.full((3, 3), np.nan) for _ in structures]
        if wanted.direct_energy:
            energies = _rows(outputs, self.energy_name, n, 1).ravel().tolist()
        if wanted.direct_virial:
            stresses = _rows(outputs, self.stress_name, n, 9)
            virials = [
                conversion.virial(stress, structure.cell)
                for stress, structure in zip(stresses, structures, strict=True)
            ]
        return [Evaluation(*each) for each in zip(energies, forces, virials, strict=True)]


def _rows(outputs: Mapping[str, Any], name: str, n_rows: int, n_columns: int) -> np.ndarray:
    """An output ``(n_rows, n_columns)``, in the order of systems and atoms whatever the model's."""
    block = outputs[name].block()
    values, samples = _numpy(block.values), block.samples.values.cpu().numpy()
    if len(values) != n_rows or values.size != n_rows * n_columns:
        numbers = "numbers" if n_columns > 1 else "number"
        raise ValueError(
            f"{name} has shape {values.shape}, expected {n_rows} times {n_columns} {numbers}"
        )
    order = np.lexsort(samples.T[::-1])  # the last key counts first
    rows = values.reshape(n_rows, n_columns)
    return rows if np.array_equal(order, np.arange(n_rows)) else rows[order]


def _turned(model: Any, dtype: Any, name: str) -> Any:
    """The model with weights of another type, in metatomic's own wrapper that declares it."""
    from metatomic.torch import AtomisticModel, ModelCapabilities

    old = model.capabilities()
    capabilities = ModelCapabilities(
        outputs=old.outputs,
        atomic_types=old.atomic_types,
        interaction_range=old.interaction_range,
        length_unit=old.length_unit,
        supported_devices=old.supported_devices,
        dtype=name,
    )
    with warnings.catch_warnings():  # of a deprecated output name: both names are served here
        warnings.filterwarnings("ignore", message=".*is deprecated")
        return AtomisticModel(model.to(dtype), model.metadata(), capabilities)


def _numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
