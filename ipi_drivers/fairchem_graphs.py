"""Structures as fairchem-core reads them, version 1 (`ocp_batch`) and 2 (`atomic_data`).

Positions lie in the cell.  Edges are left to fairchem, which finds the neighbours itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ncforce_ipi.backend import Structure

from . import conversion


def ocp_batch(structures: Sequence[Structure]) -> Any:
    """A batch, in float32, for a trainer of fairchem-core 1.

    Raises
    ------
    ModelError
        A structure is periodic in one or two directions.
    """
    from torch_geometric.data import Batch

    return Batch.from_data_list([_ocp_data(structure) for structure in structures])


def _ocp_data(structure: Structure) -> Any:
    import torch
    from torch_geometric.data import Data

    n, periodic = len(structure.numbers), conversion.periodicity(structure)
    return Data(
        pos=torch.tensor(conversion.at_home(structure)).float(),
        cell=torch.tensor(structure.cell if periodic else np.eye(3)).float().view(1, 3, 3),
        atomic_numbers=torch.tensor(structure.numbers).to(torch.uint8),
        natoms=n,
        tags=torch.zeros(n, dtype=torch.int),
        pbc=torch.tensor([periodic] * 3),
    )


def atomic_data(
    structures: Sequence[Structure], dtype: Any, *, charge: int, spin: int, dataset: str
) -> Any:
    """A batch for a predict unit of fairchem-core 2.

    Parameters
    ----------
    structures : three lattice vectors or none
    dtype : torch's, of all that isn't an integer
    charge, spin : total charge and spin multiplicity
    dataset : the task

    Raises
    ------
    ModelError
        A structure is periodic in one or two directions.
    """
    from fairchem.core.datasets.atomic_data import atomicdata_list_to_batch

    state = {"charge": charge, "spin": spin}
    return atomicdata_list_to_batch(
        [_atomic_data(structure, dtype, state, dataset) for structure in structures]
    )


def _atomic_data(structure: Structure, dtype: Any, state: Mapping[str, int], dataset: str) -> Any:
    import torch
    from fairchem.core.datasets.atomic_data import AtomicData

    n, periodic = len(structure.numbers), conversion.periodicity(structure)
    floats = {
        "pos": conversion.at_home(structure),
        "cell": (structure.cell if periodic else np.eye(3))[None],
        "cell_offsets": np.empty((0, 3)),
    }
    integers = {
        "atomic_numbers": structure.numbers,
        "natoms": [n],
        "nedges": [0],
        "charge": [state["charge"]],
        "spin": [state["spin"]],
        "edge_index": np.empty((2, 0)),
        "fixed": [0] * n,
        "tags": [0] * n,
    }
    return AtomicData(
        **{name: torch.tensor(values, dtype=dtype) for name, values in floats.items()},
        **{name: torch.tensor(values, dtype=torch.long) for name, values in integers.items()},
        pbc=torch.tensor([[periodic] * 3]),
        dataset=dataset,
    )
