"""Our forces inside of i-PI's own programs: ``<ffdirect>`` and ``i-pi-driver-py -m custom``.

Owns what the blocks of one i-PI share.  i-PI executes the entry file (``ncforce_pes.py`` of
``ipi_drivers``) once for each block; this module is imported once, so that a slow and a fast block
with the same parameters have one model, and one call of it gives both forces of an outer point
(``ncforce_ipi.serve.joint``).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Backend, Kind, Role
from ncforce_ipi.cli import driver, families
from ncforce_ipi.errors import InputError
from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256
from ncforce_ipi.serve import protocol
from ncforce_ipi.serve.evaluator import Evaluator, check_species
from ncforce_ipi.species import read_species

Answer = tuple[float, NDArray[np.float64], NDArray[np.float64], str]
FROM_IPI = ("verbosity", "verbose")  # parameters that i-PI adds by itself


@dataclass
class Shared:
    """One loaded model and the blocks that use it, which may live in different threads."""

    backend: Backend
    args: argparse.Namespace
    kinds: dict[Role, Kind] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _evaluator: Evaluator | None = None

    def serve(self, role: Role, kind: Kind) -> None:
        """Count a block in; i-PI makes all blocks before it asks for the first force."""
        if role not in self.kinds:
            self.kinds[role] = kind
            self._evaluator = None

    @property
    def evaluator(self) -> Evaluator:
        """Serves the roles of all blocks that there are."""
        if self._evaluator is None:
            args = self.args
            self._evaluator = Evaluator(
                self.backend,
                dict(self.kinds),
                direct_energy=args.direct_energy,
                direct_virial=args.direct_virial,
                keep_net_force=args.keep_net_force,
                mts=args.mts,
                joint=args.joint,
            )
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
        Any other option of ``ncforce driver FAMILY`` by its name, with ``_`` for ``-``; flags are
        True or False.  Blocks share a model when all parameters but ``role`` are equal.

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
        words = ["--model", model, "--structure", template, "--role", role]
        for name, value in options.items():
            words += [] if name in FROM_IPI else _words(name, value)
        args = _parse([family, *words])
        self.role: Role = args.role
        kind: Kind = getattr(args, f"{self.role}_kind")
        self._numbers = read_species(args.structure)
        self.shared = _share(args)
        check_species(self.shared.backend, self._numbers, args.structure)
        self.shared.serve(self.role, kind)

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
        return [self.compute_structure(h, q) for h, q in zip(cell, pos, strict=True)]

    def compute_structure(self, cell: NDArray[np.float64], pos: NDArray[np.float64]) -> Answer:
        """Energy, forces ``(n_atoms, 3)``, virial ``(3, 3)`` and no extras; atomic units."""
        structure = protocol.from_wire(cell, pos.reshape(-1, 3), self._numbers)
        with self.shared.lock:
            evaluation = self.shared.evaluator.evaluate(structure, self.role)
        return *protocol.to_wire(evaluation), ""


def _words(name: str, value: object) -> list[str]:
    """A parameter of the input as words of a command line."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option] if value else [f"--no-{option.removeprefix('--')}"]
    return [option, str(value)]


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ncforce_pes", add_help=False)
    driver.add_arguments(parser)
    try:
        args = parser.parse_args(words)
    except SystemExit as err:  # it has said on stderr what is wrong
        raise InputError(
            f"parameters {' '.join(words)} can't be used; expected template, model, role and "
            "options of ncforce driver"
        ) from err
    if args.role == "both":
        raise InputError("role is both, expected slow or fast: one block for each")
    return args


def _share(args: argparse.Namespace) -> Shared:
    """The loaded model that these parameters name; loaded at their first use."""
    identity = {name: str(value) for name, value in vars(args).items() if name != "role"}
    with contextlib.suppress(InputError):  # a name that only the family knows identifies it too
        identity["model"] = sha256(model_path(args.model))
    key = json.dumps(identity, sort_keys=True)
    if key not in _SHARED:
        _SHARED[key] = Shared(families.module(args.family).load(args), args)
    return _SHARED[key]
