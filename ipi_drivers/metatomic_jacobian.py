"""Exact Jacobian products of a metatomic model by differentiation.

Direct forces are differentiated once: J^T w by back-propagation, J u as the derivative of J^T w,
which is linear in w, with respect to w.  Conservative forces are differentiated once more: their J
is minus the Hessian, and J u and J^T w, though the same, are computed in different ways.

A batch of copies of the structure goes through the model together, each copy with a vector of its
own, and stays in memory for the products to come: one backward pass for a batch.  (torch's own
batches of gradients take three times as long as gradients one by one.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ncforce_ipi.backend import Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError

from . import loading
from .conversion import check_request
from .metatomic_gradient import Gradient

if TYPE_CHECKING:
    from .metatomic_model import MetatomicBackend

ATOMS_AT_ONCE = 256  # on a CPU, where larger batches gain nothing
ATOMS_AT_ONCE_GPU = 8192
Tensor = Any  # torch.Tensor


class MetatomicProducts:
    """Fulfils ``ncforce_ipi.backend.JacobianProducts``.

    Parameters
    ----------
    backend : the loaded model
    structure : where
    kind : of force
    """

    transposable = True

    def __init__(self, backend: MetatomicBackend, structure: Structure, kind: Kind) -> None:
        check_request(backend, structure, Wanted(frozenset([kind])))
        self.n_atoms = len(structure.positions)
        self.description = f"differentiation in {backend.dtype}"
        self._backend, self._structure, self._kind = backend, structure, kind
        self._graphs: dict[int, tuple[list[Tensor], Tensor]] = {}
        self._gradient = Gradient(backend.description)
        self._dual: dict[int, tuple[Tensor, Tensor]] = {}

    def forward(self, vectors: np.ndarray) -> np.ndarray:
        """J u of vectors ``(n_vectors, n_atoms, 3)``."""
        return self._apply(vectors, self._pushed)

    def backward(self, vectors: np.ndarray) -> np.ndarray:
        """J^T w of vectors ``(n_vectors, n_atoms, 3)``."""
        return self._apply(vectors, self._pulled)

    def _apply(self, vectors: np.ndarray, product: Any) -> np.ndarray:
        on_cpu = self._backend._device.startswith("cpu")
        most = max(1, (ATOMS_AT_ONCE if on_cpu else ATOMS_AT_ONCE_GPU) // self.n_atoms)
        pieces = [vectors[k : k + most] for k in range(0, len(vectors), most)]
        try:
            return np.concatenate([product(piece) for piece in pieces])
        except (RuntimeError, ValueError) as err:
            why = loading.one_line(err)
            raise ModelError(
                f"{self._backend.description} can't be differentiated: {why}; "
                "use --products differences"
            ) from err

    def _pulled(self, vectors: np.ndarray) -> np.ndarray:
        positions, forces = self._graph(len(vectors))
        found = self._gradient("J^T w", forces, positions, self._tensor(vectors), retain_graph=True)
        return np.array([each.cpu().double().numpy() for each in found])

    def _pushed(self, vectors: np.ndarray) -> np.ndarray:
        torch, n = self._backend._torch, len(vectors)
        positions, forces = self._graph(n)
        if n not in self._dual:
            weights = torch.zeros_like(forces, requires_grad=True)
            pulled = self._gradient("w", forces, positions, weights, create_graph=True)
            self._dual = {n: (weights, torch.cat(pulled))}
        weights, pulled = self._dual[n]
        (found,) = self._gradient("J u", pulled, weights, self._tensor(vectors), retain_graph=True)
        return found.cpu().double().numpy().reshape(vectors.shape)

    def _graph(self, n_copies: int) -> tuple[list[Tensor], Tensor]:
        """Positions of each copy, and forces ``(n_copies n_atoms, 3)``; the last graph is kept."""
        if n_copies not in self._graphs:
            self._dual = {}
            self._graphs = {n_copies: self._make_graph(n_copies)}
        return self._graphs[n_copies]

    def _make_graph(self, n_copies: int) -> tuple[list[Tensor], Tensor]:
        backend = self._backend
        made = [backend._system(self._structure, True) for _ in range(n_copies)]
        positions, systems = [m[0] for m in made], [m[2] for m in made]
        options = backend._output_options(Wanted(frozenset([self._kind])))
        outputs = backend._model(systems, options, check_consistency=False)
        if self._kind == "direct":
            return positions, outputs[backend.force_name].block().values.reshape(-1, 3)
        energy = outputs[backend.energy_name].block().values.sum()
        forces = self._gradient("forces", -energy, positions, create_graph=True)
        return positions, backend._torch.cat(forces)

    def _tensor(self, vectors: np.ndarray) -> Tensor:
        options = {"dtype": self._backend._dtype, "device": self._backend._device}
        return self._backend._torch.tensor(vectors.reshape(-1, 3), **options)
