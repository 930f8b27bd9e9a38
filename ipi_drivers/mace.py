"""MACE: MACE-MP-0 and its successors by name, or any ``.model`` file of mace-torch.

Owns the graph that a MACE model reads.  Below MACE's ASE calculator; conservative forces only.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError

from . import conversion, loading
from .options import find_file, require_trust

FORCES = "conservative"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that only MACE models have."""
    parser.add_argument("--head", default="default", help="of a model with several")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="default: as in the file")


def load(args: argparse.Namespace) -> MaceBackend:
    """Load the file or the foundation model (small, medium, large, ...) that ``--model`` names.

    Raises
    ------
    InputError
        No such file or name, or a pickle without ``--trust``: every MACE model is one.
    ModelError
        mace-torch is missing, the file is no MACE model or it has no such head.
    """
    loading.prepare(args.threads)
    with loading.keep_environment(loading.UNSAFE), loading.quiet():  # importing mace sets it
        try:
            import mace.calculators as _  # noqa: F401  all of it, while its setting is contained
            import torch
        except ImportError as err:
            raise loading.missing("mace", err) from err
        device = loading.pick_device(args.device)
        path = _find(args.model)
        require_trust(path, args.trust)
        try:
            model = torch.load(path, map_location=device, weights_only=False)
        except Exception as err:  # a pickle can raise anything
            raise ModelError(f"{path} is no MACE model: {loading.one_line(err)}") from err
    loading.make_reproducible(args.threads, device)
    return MaceBackend(model, path, device, args.head, args.dtype)


def _find(model: str) -> Path:
    """The file of this path, or of the foundation model of this name, downloaded if need be."""
    from mace.calculators.foundations_models import download_mace_mp_checkpoint, mace_mp_names

    names = [name for name in mace_mp_names if name]
    return find_file(model, names, "MACE's", download_mace_mp_checkpoint)


class MaceBackend:
    """A loaded MACE model; see ``ncforce_ipi.backend.Backend``."""

    kinds: frozenset[Kind] = frozenset(["conservative"])

    def __init__(self, model: Any, path: Path, device: str, head: str, dtype: str | None) -> None:
        import torch
        from mace.data.neighborhood import get_neighborhood
        from mace.modules.models import MACE

        if not isinstance(model, MACE) or hasattr(model, "joint_embedding"):
            raise ModelError(f"{path} is a {type(model).__name__}, not a MACE without embeddings")
        model = model.to(device=device, dtype=getattr(torch, dtype) if dtype else None)
        self._model = model.eval().requires_grad_(False)
        self._options = {"dtype": next(model.parameters()).dtype, "device": device}
        self._head = _head_index(path, getattr(model, "heads", None) or ["Default"], head)
        self._known = model.atomic_numbers.cpu().numpy()  # increasing
        self.species: frozenset[int] | None = frozenset(self._known.tolist())
        self.source: Path | None = path
        name = str(self._options["dtype"]).removeprefix("torch.")
        self.description = f"{path.name} (MACE, {device}, {name})"
        self._tensor, self._neighbors, self._device = torch.tensor, get_neighborhood, device
        self._fixed: tuple[np.ndarray, dict[str, Any]] | None = None

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """Energy, forces and virial from one forward and one backward pass."""
        conversion.check_request(self, structure, wanted)
        try:
            out = self._model(self._graph(structure), compute_virials=True)
        except (RuntimeError, ValueError) as err:
            raise ModelError(f"{self.description} failed: {loading.one_line(err)}") from err
        energy, forces, virial = (
            out[name].detach().cpu().double().numpy() for name in ("energy", "forces", "virials")
        )
        return {"conservative": Evaluation(energy.item(), forces, conversion.symmetric(virial))}

    def _graph(self, structure: Structure) -> dict[str, Any]:
        """What the model reads; lengths in A, shifts of a pair's second atom by cell vectors."""
        periodic, r = conversion.periodicity(structure), structure.positions
        box = structure.cell.copy() if periodic else None  # it writes into it
        cutoff = float(self._model.r_max)
        pairs, shifts, unit_shifts, cell = self._neighbors(r, cutoff, (periodic,) * 3, box)
        floats = {"positions": r, "shifts": shifts, "unit_shifts": unit_shifts, "cell": cell}
        graph = {name: self._tensor(v, **self._options) for name, v in floats.items()}
        graph["edge_index"] = self._tensor(pairs, device=self._device).long()
        return graph | self._atoms(structure.numbers)

    def _atoms(self, numbers: np.ndarray) -> dict[str, Any]:
        """The part of the graph that stays the same as long as the species do."""
        if self._fixed is None or not np.array_equal(self._fixed[0], numbers):
            one_hot = np.searchsorted(self._known, numbers)[:, None] == np.arange(len(self._known))
            integers = {"batch": [0] * len(numbers), "ptr": [0, len(numbers)], "head": [self._head]}
            atoms = {name: self._tensor(v, device=self._device) for name, v in integers.items()}
            atoms["node_attrs"] = self._tensor(one_hot, **self._options)
            self._fixed = numbers.copy(), atoms
        return self._fixed[1]


def _head_index(path: Path, heads: list[str], asked: str) -> int:
    """Place of the head that is asked for; the only one is always called default."""
    names = [head.lower() for head in heads] if len(heads) > 1 else ["default"]
    if asked.lower() not in names:
        raise ModelError(f"{path} has no head {asked}; --head: {', '.join(heads)}")
    return names.index(asked.lower())
