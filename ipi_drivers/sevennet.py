"""SevenNet: the names of its package (7net-0, ...) and checkpoint files.

Owns the way from a structure to SevenNet's graph and back.  The network is called itself, without
the calculator.  Forces are conservative.  float32 is what SevenNet computes in; float64 is ours,
for derivatives of forces: the same weights, with one-hot vectors cast behind SevenNet's back.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError

from . import conversion, loading
from .batches import BatchedBackend, divided
from .options import require_trust

FORCES = "conservative"
IN_WHEEL = ("0", "0_11jul2024", "0_11july2024", "0_22may2024", "l3i5", "mf-0")
STRESS_ORDER = np.array([[0, 3, 5], [3, 1, 4], [5, 4, 2]])  # of xx, yy, zz, xy, yz, zx
LEAST_VOLUME_A3 = 1e-3  # what SevenNet divides by where there is no cell


def load(
    model: str,
    *,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
    trust: bool = False,
    modal: str | None = None,
) -> SevenNetBackend:
    """Load a checkpoint by its name or from a file.

    Parameters
    ----------
    model : checkpoint file, or SevenNet's name of one: 7net-0, 7net-l3i5, ...
    device : cpu, cuda, cuda:1, ...; None: the GPU if there is one
    dtype : float32 is SevenNet's own; float64 is for derivatives of forces
    threads : that torch may use
    trust : whether it may be unpickled; those in SevenNet's wheel don't need it
    modal : fidelity of a multi-fidelity model, e.g. PBE of 7net-mf-0

    Raises
    ------
    InputError
        It needs ``trust`` or ``modal``.
    ModelError
        sevenn is missing, or there is no such model or device.
    """
    _check_trust(model, trust)
    loading.prepare(threads)
    checkpoint, network = _load(model)
    modals = list(network.modal_map or [])
    if (modals and modal not in modals) or (modal and not modals):
        raise InputError(
            f"--modal: {model} has {', '.join(modals) or 'none'}, got {modal or 'none'}"
        )
    chosen = loading.pick_device(device)
    loading.make_reproducible(threads, chosen)
    return SevenNetBackend(checkpoint, network, name=model, device=chosen, dtype=dtype, modal=modal)


def _check_trust(model: str, trusted: bool) -> None:
    """Checkpoints are pickles; the package's own came with the code that is run anyway."""
    name = model.lower().removeprefix("sevennet-").removeprefix("7net-")
    if Path(model).is_file() or name not in IN_WHEEL:
        require_trust(Path(model), trusted)


def _load(model: str) -> tuple[Any, Any]:
    try:
        with loading.quiet():
            from sevenn.util import load_checkpoint
    except ImportError as err:
        raise loading.missing("sevennet", err) from err
    try:
        with loading.quiet():
            checkpoint = load_checkpoint(model)
            return checkpoint, checkpoint.build_model()
    except Exception as err:  # unpickling raises anything
        raise ModelError(
            f"{model} can't be loaded by SevenNet: {loading.one_line(err)}; "
            "expected a checkpoint file or a name like 7net-0"
        ) from err


class SevenNetBackend(BatchedBackend):
    """A loaded SevenNet model; see ``ncforce_ipi.backend.Backend``."""

    kinds = stress = frozenset[Kind](["conservative"])

    def __init__(
        self,
        checkpoint: Any,
        model: Any,
        *,
        name: str,
        device: str,
        dtype: str,
        modal: str | None,
    ) -> None:
        import torch
        from sevenn import _keys

        super().__init__(device)
        self._torch, self._keys = torch, _keys
        self.species = frozenset(checkpoint.config[_keys.TYPE_MAP])
        self.source = Path(checkpoint.checkpoint_path)
        self.dtype = dtype
        self.description = f"{name} (SevenNet, {device}, {dtype})"
        self._cutoff = float(checkpoint.config[_keys.CUTOFF])
        self._modal, self._device, self._precision = modal, device, getattr(torch, dtype)
        self._model = model.to(device=device, dtype=self._precision).eval()
        self._model.set_is_batch_data(True)
        if dtype == "float64":
            _cast_one_hot(model)

    def evaluate_together(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[dict[Kind, Evaluation]]:
        """Energy, forces and virial: W = volume x SevenNet's stress, of which ASE's is minus.

        SevenNet adds the energies of atoms in float32, in a batch one by one; here they are added
        in float64.
        """
        keys = self._keys
        with loading.quiet():
            out = self._model(self._graph(structures))
        energies, forces, stresses = (
            out[key].detach().cpu().double().numpy()
            for key in (keys.ATOMIC_ENERGY, keys.PRED_FORCE, keys.PRED_STRESS)
        )
        each = zip(
            structures,
            divided(energies, structures),
            divided(forces, structures),
            stresses.reshape(-1, 6),
            strict=True,
        )
        return [
            {"conservative": Evaluation(float(e.sum()), f, stress[STRESS_ORDER] * _volume(s))}
            for s, e, f, stress in each
        ]

    def _graph(self, structures: Sequence[Structure]) -> Any:
        """SevenNet's own neighbour lists, made anew: their order depends on the structure alone."""
        from sevenn.atom_graph_data import AtomGraphData

        keys, graphs = self._keys, [self._arrays(structure) for structure in structures]
        n_atoms = [len(structure.numbers) for structure in structures]
        firsts = np.cumsum([0, *n_atoms[:-1]])
        arrays = {
            key: np.concatenate([graph[key] for graph in graphs])
            for key in (keys.NODE_FEATURE, keys.ATOMIC_NUMBERS, keys.POS, keys.EDGE_VEC)
        }
        pairs = [graph[keys.EDGE_IDX] + k for graph, k in zip(graphs, firsts, strict=True)]
        arrays[keys.EDGE_IDX] = np.concatenate(pairs, axis=1)
        arrays[keys.CELL_VOLUME] = np.array([float(graph[keys.CELL_VOLUME]) for graph in graphs])
        arrays[keys.NUM_ATOMS] = np.array(n_atoms)
        arrays[keys.BATCH] = np.repeat(np.arange(len(graphs)), n_atoms)
        graph = AtomGraphData(**{key: self._tensor(value) for key, value in arrays.items()})
        if self._modal:
            graph[keys.DATA_MODALITY] = [self._modal] * len(graphs)
        return graph

    def _arrays(self, structure: Structure) -> dict[str, Any]:
        from sevenn.train.dataload import unlabeled_atoms_to_graph

        atoms = conversion.ase_atoms(structure, conversion.periodicity(structure))
        return dict(unlabeled_atoms_to_graph(atoms, self._cutoff))

    def _tensor(self, values: np.ndarray) -> Any:
        floats = values.dtype.kind == "f"
        return self._torch.as_tensor(
            values, dtype=self._precision if floats else None, device=self._device
        )


def _volume(structure: Structure) -> float:
    """A^3, as SevenNet has it."""
    return max(abs(float(np.linalg.det(structure.cell))), LEAST_VOLUME_A3)


def _cast_one_hot(model: Any) -> None:
    """SevenNet makes one-hot vectors of float32, whatever its weights are."""

    def cast(module: Any, inputs: Any, data: Any) -> Any:
        for key in (module.key_output, module.key_additional_output):
            if key is not None:
                data[key] = data[key].double()
        return data

    for module in model.modules():
        if type(module).__name__ == "OnehotEmbedding":
            module.register_forward_hook(cast)
