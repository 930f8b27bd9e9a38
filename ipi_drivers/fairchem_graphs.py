"""Structures as fairchem-core reads them, version 1 (`ocp_batch`) and 2 (`atomic_data`).

Positions lie in the cell.  Edges are left to fairchem, which finds the neighbours itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ncforce_ipi.backend import Structure

from . import conversion


def ocp_batch(structure: Structure) -> Any:
    """A batch of one structure, in float32, for a trainer of fairchem-core 1.

    Raises
    ------
    ModelError
        The structure is periodic in one or two directions.
    """
    import torch
    from torch_geometric.data import Batch, Data

    n, periodic = len(structure.numbers), conversion.periodicity(structure)
    data = Data(
        pos=torch.tensor(conversion.at_home(structure)).float(),
        cell=torch.tensor(structure.cell if periodic else np.eye(3)).float().view(1, 3, 3),
        atomic_numbers=torch.tensor(structure.numbers).to(torch.uint8),
        natoms=n,
        tags=torch.zeros(n, dtype=torch.int),
        pbc=torch.tensor([periodic] * 3),
    )
    return Batch.from_data_list([data])


def atomic_data(structure: Structure, dtype: Any, *, charge: int, spin: int, dataset: str) -> Any:
    """One structure for a predict unit of fairchem-core 2.

    Parameters
    ----------
    structure : three lattice vectors or none
    dtype : torch's, of all that isn't an integer
    charge, spin : total charge and spin multiplicity
    dataset : the task

    Raises
    ------
    ModelError
        The structure is periodic in one or two directions.
    """
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
        "charge": [charge],
        "spin": [spin],
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
