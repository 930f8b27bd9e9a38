"""A model in Python: ASE's atoms in, numpy's arrays out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Backend, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError
from ncforce_ipi.evaluations import evaluate
from ncforce_ipi.reading.electrons import unseen
from ncforce_ipi.reading.structures import as_structure
from ncforce_ipi.serve.load import load_model
from ncforce_ipi.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """What a model says of one structure.

    Attributes
    ----------
    kind : "conservative" (the gradient of an energy) or "direct"
    energy : eV; None where direct forces come without one
    forces : ``(n_atoms, 3)``, eV/A
    stress : ``(3, 3)``, eV/A^3, symmetric, dE/dstrain / volume as in ASE; None without a cell, or
        where the model has none of this kind
    """

    kind: Kind
    energy: float | None
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None


class Model:
    """A loaded model, or a driver that serves one; a context manager that closes it.

    Attributes
    ----------
    backend : what it is to the rest of the package, see `ncforce_ipi.backend.Backend`
    kind : of the forces that `evaluate` gives if it isn't told; None: conservative where there are
    """

    def __init__(self, backend: Backend, kind: Kind | None = None) -> None:
        self.backend = backend
        self.kind = kind
        self._said: set[str] = set()

    @property
    def kinds(self) -> frozenset[Kind]:
        """Kinds of force that it has: conservative, direct or both."""
        return self.backend.kinds

    @property
    def description(self) -> str:
        """One line: name, device, precision."""
        return self.backend.description

    @property
    def species(self) -> tuple[str, ...] | None:
        """Symbols of the elements that it knows; None if it doesn't say."""
        known = self.backend.species
        return None if known is None else tuple(SYMBOLS[number] for number in sorted(known))

    def evaluate(
        self,
        atoms: Atoms | Structure,
        kind: Kind | None = None,
        *,
        keep_net_force: bool = False,
    ) -> Prediction:
        """Energy, forces and stress of one structure.

        Parameters
        ----------
        atoms : ASE's; a direction that isn't periodic has no lattice vector
        kind : None: that of `load`, else conservative where the model has it
        keep_net_force : don't subtract the mean from direct forces, as our drivers do

        Raises
        ------
        InputError
            The model has no such forces.
        ModelError
            It can't take this structure.
        """
        structure = as_structure(atoms)
        if not isinstance(atoms, Structure):
            self._say(unseen("the structure", atoms))
        kind = kind or self.kind or ("conservative" if "conservative" in self.kinds else "direct")
        if kind not in self.kinds:
            raise InputError(
                f"{self.description} has no {kind} forces, only {' and '.join(sorted(self.kinds))}"
            )
        direct, volume = kind == "direct", abs(float(np.linalg.det(structure.cell)))
        stressed = kind in self.backend.stress and volume > 0.0
        wanted = Wanted(
            frozenset([kind]),
            direct_energy=direct and self.backend.direct_energy,
            direct_virial=direct and stressed,
        )
        found = evaluate(self.backend, structure, wanted)[kind]
        forces = found.forces
        if direct and not keep_net_force:
            forces = forces - forces.mean(axis=0)
        energy = None if np.isnan(found.energy) else float(found.energy)
        return Prediction(kind, energy, forces, -found.virial / volume if stressed else None)

    def _say(self, line: str) -> None:
        """Once."""
        if line and line not in self._said:
            self._said.add(line)
            log.warning("%s", line)

    def close(self) -> None:
        """Give back what it holds (processes, sockets); harmless when repeated."""
        self.backend.close()

    def __enter__(self) -> Model:
        """Nothing but itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Its description."""
        return f"<Model {self.description}>"


def load(model: str, *, kind: Kind | None = None, threads: int = 1, **options: object) -> Model:
    """Load a model by a word, or reach a driver that serves one.

    >>> nc.load("water")
    >>> nc.load("sevennet:7net-0", device="cpu", dtype="float64")

    Parameters
    ----------
    model : a shipped model, a metatomic file, FAMILY:MODEL, or a driver (see
        `ncforce_ipi.serve.load`)
    kind : of the forces that `Model.evaluate` gives; those of a driver at a socket, which doesn't
        say. None: conservative where the model has it
    threads : CPU threads
    options : of the family: ``device``, ``dtype``, ``trust`` and its own

    Raises
    ------
    InputError
        It makes no sense.
    ModelError
        It can't be loaded.
    """
    return Model(load_model(model, kind=kind, threads=threads, **options), kind)
