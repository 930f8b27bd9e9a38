"""Our forces inside of i-PI's own programs: ``<ffdirect>`` and ``i-pi-driver-py -m custom``.

Owns what the blocks of one i-PI share.  i-PI executes the entry file (``ncforce_pes.py`` of
``ipi_drivers``) once for each block; this module is imported once, so that a slow and a fast block
with the same parameters have one model, and one call of it gives both forces of an outer point
(``ncforce_ipi.joint``).
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import ROLES, Backend, Role
from ncforce_ipi.errors import InputError
from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256
from ncforce_ipi.serve import families, protocol
from ncforce_ipi.serve.evaluator import Evaluator, Serving, check_species
from ncforce_ipi.serve.options import options_of, read_all
from ncforce_ipi.species import read_species

Answer = tuple[float, NDArray[np.float64], NDArray[np.float64], str]
FROM_IPI = ("verbosity", "verbose")  # parameters that i-PI adds by itself
SERVING = options_of(Serving)


@dataclass
class Shared:
    """One loaded model and the blocks that use it, which may live in different threads."""

    backend: Backend
    serving: Serving
    roles: set[Role] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _evaluator: Evaluator | None = None

    def serve(self, role: Role) -> None:
        """Count a block in; i-PI makes all blocks before it asks for the first force."""
        if role not in self.roles:
            self.roles.add(role)
            self._evaluator = None

    @property
    def evaluator(self) -> Evaluator:
        """Serves the roles of all blocks that there are."""
        if self._evaluator is None:
            roles = [role for role in ROLES if role in self.roles]
            self._evaluator = self.serving.evaluator(self.backend, roles)
        return self._evaluator


_SHARED: dict[str, Shared] = {}


class Pes:
    """A force component for i-PI's Python interface of potentials.

    Parameters
    ----------
    template
        File with the start structure; its species and their order are read.
    model
        Name of a shipped model, or a file.
    role
        ``slow`` or ``fast``.
    family
        Family of the model, a file of ``ipi_drivers``.
    options
        Any other option of ``ncforce driver FAMILY`` on model and forces by its name, with ``_``
        for ``-``; flags are True or False.  Blocks share a model when all parameters but ``role``
        are equal.

    Raises
    ------
    InputError
        A parameter is missing, unknown, or can't be used.
    ModelError
        The model can't be loaded, or lacks the kind of force that the role needs.
    """

    def __init__(
        self,
        template: str = "",
        model: str = "",
        role: str = "",
        family: str = "metatomic",
        **options: object,
    ) -> None:
        if not (template and model):
            raise InputError(
                f"expected parameters template, model, role; got {template!r}, {model!r}, {role!r}"
            )
        self.role = _role(role)
        given = {name: value for name, value in options.items() if name not in FROM_IPI}
        self._numbers = read_species(Path(template))
        self.shared = _share(family, {"model": model, **given}, template)
        check_species(self.shared.backend, self._numbers, template)
        self.shared.serve(self.role)

    def __call__(
        self,
        cell: NDArray[np.float64] | Sequence[NDArray[np.float64]],
        pos: NDArray[np.float64] | Sequence[NDArray[np.float64]],
    ) -> Answer | list[Answer]:
        """One structure, or lists of cells and positions; atomic units, as from i-PI."""
        return self.compute(cell, pos)

    def compute(
        self,
        cell: NDArray[np.float64] | Sequence[NDArray[np.float64]],
        pos: NDArray[np.float64] | Sequence[NDArray[np.float64]],
    ) -> Answer | list[Answer]:
        """Lists are what i-PI's batches and shared memory give, even for one structure."""
        if isinstance(cell, np.ndarray) and isinstance(pos, np.ndarray):
            return self.compute_structure(cell, pos)
        return self._answer(list(cell), list(pos))

    def compute_structure(self, cell: NDArray[np.float64], pos: NDArray[np.float64]) -> Answer:
        """Energy, forces ``(n_atoms, 3)``, virial ``(3, 3)`` and no extras; atomic units."""
        return self._answer([cell], [pos])[0]

    def _answer(
        self, cells: Sequence[NDArray[np.float64]], positions: Sequence[NDArray[np.float64]]
    ) -> list[Answer]:
        structures = [
            protocol.from_wire(h, q.reshape(-1, 3), self._numbers)
            for h, q in zip(cells, positions, strict=True)
        ]
        with self.shared.lock:
            found = self.shared.evaluator.evaluate_batch(structures, self.role)
        return [(*protocol.to_wire(evaluation), "") for evaluation in found]


def _role(text: str) -> Role:
    for role in ROLES:
        if role == text:
            return role
    raise InputError(f"role: expected slow or fast, one block for each; got {text!r}")


def _share(name: str, given: dict[str, object], template: str) -> Shared:
    """The loaded model that these parameters name; loaded at their first use."""
    family = families.find(name)
    options = family.options()
    values = read_all(SERVING | options, given, f"family {name}")
    key = json.dumps([name, template, _identity(values)], sort_keys=True)
    if key not in _SHARED:
        serving = Serving(**{k: v for k, v in values.items() if k in SERVING})
        backend = family.load(**{k: v for k, v in values.items() if k in options})
        _SHARED[key] = Shared(backend, serving)
    return _SHARED[key]


def _identity(values: dict[str, Any]) -> dict[str, str]:
    """What is equal for blocks that share a model: a file counts by what is in it."""
    identity = {name: str(value) for name, value in values.items()}
    with contextlib.suppress(InputError):  # a name that only the family knows identifies it too
        identity["model"] = sha256(model_path(values["model"]))
    return identity
