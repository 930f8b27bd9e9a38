"""MACE: MACE-MP-0 and its successors by name, or any ``.model`` file of mace-torch.

Owns the graph that a MACE model reads.  Below MACE's ASE calculator; conservative forces only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError

from . import conversion, loading
from .batches import BatchedBackend, divided
from .gate import GatedBackend
from .options import find_file, require_trust

FORCES = "conservative"


def load(
    model: str,
    *,
    device: str | None = None,
    dtype: Literal["float32", "float64"] | None = None,
    threads: int = 1,
    trust: bool = False,
    head: str = "default",
    compile: bool = False,
) -> MaceBackend | GatedBackend:
    """Load a file or a foundation model.

    Parameters
    ----------
    model : file, or name of a foundation model: small, medium, large, ...
    device : cpu, cuda, cuda:1, ...; None: the GPU if there is one
    dtype : type of weights and positions; default: as in the file
    threads : that torch may use
    trust : whether it may be unpickled: every MACE model is a pickle
    head : of a model with several
    compile : torch.compile the network as MACE's calculator does, checked against the network as
        it is; on a CPU that needs a C++ compiler and a minute or more at the start

    Raises
    ------
    InputError
        No such file or name, or no ``trust``.
    ModelError
        mace-torch is missing, the file is no MACE model or it has no such head.
    """
    loading.prepare(threads)
    with loading.keep_environment(loading.UNSAFE), loading.quiet():  # importing mace sets it
        try:
            import mace.calculators as _  # noqa: F401  all of it, while its setting is contained
            import torch
        except ImportError as err:
            raise loading.missing("mace", err) from err
        chosen = loading.pick_device(device)
        path = _find(model)
        require_trust(path, trust)
        try:
            network = torch.load(path, map_location=chosen, weights_only=False)
        except Exception as err:  # a pickle can raise anything
            raise ModelError(f"{path} is no MACE model: {loading.one_line(err)}") from err
    loading.make_reproducible(threads, chosen)
    eager = MaceBackend(network, path, chosen, head, dtype)
    if not compile:
        return eager
    return GatedBackend(eager, MaceBackend(network, path, chosen, head, dtype, _compiled))


Graph = dict[str, Any]
Call = Callable[[Graph], Graph]


def _as_it_is(model: Any) -> Call:
    return partial(model, compute_virials=True)


def _compiled(model: Any) -> Call:
    """The model in torch's compiler, by MACE's own recipe, from the first call on.

    The derivative is compiled with it.  Numbers of atoms and pairs may change from call to call.
    """
    network = cache(partial(_for_compiler, model))

    def call(graph: Graph) -> Graph:
        for name in ("positions", "node_attrs"):  # can't be done inside
            graph[name] = graph[name].detach().requires_grad_(True)
        found: Graph = network()(graph, compute_virials=True, training=True)
        return found

    return call


def _for_compiler(model: Any) -> Callable[..., Graph]:
    """The network built anew, without e3nn's TorchScript, which the compiler can't read."""
    import torch
    from mace.modules.models import ScaleShiftMACE
    from mace.tools.compile import prepare
    from mace.tools.scripts_utils import extract_model

    if type(model) is not ScaleShiftMACE:
        raise TypeError(f"MACE can compile a ScaleShiftMACE, this is a {type(model).__name__}")
    weights = next(model.parameters())
    with loading.quiet(), loading.default_dtype(weights.dtype):
        plain = prepare(extract_model)(model=model, map_location=weights.device)
    compiled: Callable[..., Graph] = torch.compile(plain.eval().requires_grad_(False), dynamic=True)
    return compiled


def _find(model: str) -> Path:
    """The file of this path, or of the foundation model of this name, downloaded if need be."""
    from mace.calculators.foundations_models import download_mace_mp_checkpoint, mace_mp_names

    names = [name for name in mace_mp_names if name]
    return find_file(model, names, "MACE's", download_mace_mp_checkpoint)


class MaceBackend(BatchedBackend):
    """A loaded MACE model; see ``ncforce_ipi.backend.Backend``."""

    kinds = stress = frozenset[Kind](["conservative"])

    def __init__(
        self,
        model: Any,
        path: Path,
        device: str,
        head: str,
        dtype: str | None,
        way: Callable[[Any], Call] = _as_it_is,
    ) -> None:
        import torch
        from mace.data.neighborhood import get_neighborhood
        from mace.modules.models import MACE

        if not isinstance(model, MACE) or hasattr(model, "joint_embedding"):
            raise ModelError(f"{path} is a {type(model).__name__}, not a MACE without embeddings")
        super().__init__(device)
        model = model.to(device=device, dtype=getattr(torch, dtype) if dtype else None)
        self._model = model.eval().requires_grad_(False)
        self._call = way(self._model)
        self._options = {"dtype": next(model.parameters()).dtype, "device": device}
        self._head = _head_index(path, getattr(model, "heads", None) or ["Default"], head)
        self._known = model.atomic_numbers.cpu().numpy()  # increasing
        self.species = frozenset(self._known.tolist())
        self.source = path
        self.dtype = str(self._options["dtype"]).removeprefix("torch.")
        self.description = f"{path.name} (MACE, {device}, {self.dtype})"
        self._tensor, self._neighbors, self._device = torch.tensor, get_neighborhood, device
        self._fixed: tuple[tuple[bytes, bytes], dict[str, Any]] | None = None

    def evaluate_together(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[dict[Kind, Evaluation]]:
        """Energy, forces and virial from one forward and one backward pass."""
        out = self._call(self._graph(structures))
        energies, forces, virials = (
            out[name].detach().cpu().double().numpy() for name in ("energy", "forces", "virials")
        )
        each = zip(
            energies.ravel().tolist(),
            divided(forces, structures),
            virials.reshape(-1, 3, 3),
            strict=True,
        )
        return [{"conservative": Evaluation(e, f, conversion.symmetric(w))} for e, f, w in each]

    def _graph(self, structures: Sequence[Structure]) -> dict[str, Any]:
        """What the model reads; lengths in A, shifts of a pair's second atom by cell vectors."""
        found = [self._pairs(structure) for structure in structures]
        n_atoms = np.array([len(structure.numbers) for structure in structures])
        ends = np.cumsum([0, *n_atoms])
        pairs = [each["pairs"] + first for each, first in zip(found, ends, strict=False)]
        graph = {
            name: self._tensor(np.concatenate([each[name] for each in found]), **self._options)
            for name in ("positions", "shifts", "unit_shifts", "cell")
        }
        edges = np.concatenate(pairs, axis=1)
        graph["edge_index"] = self._tensor(edges, device=self._device).long()
        return graph | self._atoms(np.concatenate([s.numbers for s in structures]), n_atoms)

    def _pairs(self, structure: Structure) -> dict[str, np.ndarray]:
        periodic, r = conversion.periodicity(structure), conversion.at_home(structure)
        box = structure.cell.copy() if periodic else None  # it writes into it
        cutoff = float(self._model.r_max)
        found = self._neighbors(r, cutoff, (periodic,) * 3, box)
        names = ("pairs", "shifts", "unit_shifts", "cell")
        return {"positions": r, **dict(zip(names, found, strict=True))}

    def _atoms(self, numbers: np.ndarray, n_atoms: np.ndarray) -> dict[str, Any]:
        """The part of the graph that stays the same as long as the species do."""
        key = (numbers.tobytes(), n_atoms.tobytes())
        if self._fixed is None or self._fixed[0] != key:
            one_hot = np.searchsorted(self._known, numbers)[:, None] == np.arange(len(self._known))
            integers = {
                "batch": np.repeat(np.arange(len(n_atoms)), n_atoms),
                "ptr": np.cumsum([0, *n_atoms]),
                "head": [self._head] * len(n_atoms),
            }
            atoms = {name: self._tensor(v, device=self._device) for name, v in integers.items()}
            atoms["node_attrs"] = self._tensor(one_hot, **self._options)
            self._fixed = key, atoms
        return self._fixed[1]


def _head_index(path: Path, heads: list[str], asked: str) -> int:
    """Place of the head that is asked for; the only one is always called default."""
    names = [head.lower() for head in heads] if len(heads) > 1 else ["default"]
    if asked.lower() not in names:
        raise ModelError(f"{path} has no head {asked}; --head: {', '.join(heads)}")
    return names.index(asked.lower())
