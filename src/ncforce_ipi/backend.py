"""What a model is to the rest of the project: structures in, evaluations out.

Owns the frozen nouns, and the base class that the ``load`` of every model family returns one of.
Knows no model library, no socket and no unit but A and eV.

A family of one's own is a class with ``kinds``, ``description`` and ``evaluate``, and a function
``load`` (``ipi_drivers/README.md``); ``ncforce_ipi.testing`` checks it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import ModelError

Kind = Literal["conservative", "direct"]
Role = Literal["slow", "fast"]
ROLES: tuple[Role, Role] = ("slow", "fast")  # the component order everywhere: slow = 0, fast = 1
Array = NDArray[np.float64]
Self = TypeVar("Self", bound="Backend")


@dataclass(frozen=True)
class Structure:
    """One atomic configuration.

    Attributes
    ----------
    numbers : ``(n_atoms,)``, atomic numbers
    positions : ``(n_atoms, 3)``, A
    cell : ``(3, 3)``, A, one lattice vector a row; a zero row is a direction without periodicity
    """

    numbers: NDArray[np.int32]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """What a model says of one structure for one kind of force.

    Attributes
    ----------
    energy : eV; NaN where it was not asked for or the model has none
    forces : ``(n_atoms, 3)``, eV/A
    virial : ``(3, 3)``, eV, symmetric, -dE/dstrain (= -stress x volume); NaN where not available
    """

    energy: float
    forces: NDArray[np.float64]
    virial: NDArray[np.float64]


@dataclass(frozen=True)
class Wanted:
    """Which numbers one evaluation must give; all else need not be computed.

    A conservative evaluation always carries the energy, and the virial if the model has one.  A
    direct one carries the energy with ``direct_energy`` and the direct virial with
    ``direct_virial``, else NaN.
    """

    kinds: frozenset[Kind]
    direct_energy: bool = False
    direct_virial: bool = False


class JacobianProducts(Protocol):
    """Products of J = dF/dr with vectors, at one structure and for one kind of force.

    Attributes
    ----------
    n_atoms : of the structure
    transposable : whether ``backward`` is there
    description : how products are obtained, for reports
    """

    n_atoms: int
    transposable: bool
    description: str

    def forward(self, vectors: Array) -> Array:
        """J u, eV/A^2 times the unit of u, of vectors ``(n_vectors, n_atoms, 3)``."""
        ...

    def backward(self, vectors: Array) -> Array:
        """J^T u of vectors ``(n_vectors, n_atoms, 3)``."""
        ...


class Backend(ABC):
    """A loaded model; a context manager that closes it at the end.

    What a subclass must have: ``kinds``, ``description`` and ``evaluate``.  All else says what the
    model can do beyond that, and by default it can't.

    Attributes
    ----------
    kinds : the kinds of force that the model has
    description : one line for the log: name, device, dtype
    species : atomic numbers that it knows; None if it doesn't say
    source : the file that was loaded, for its SHA-256; None if there is none (formulas, ASE's own)
    stress : those of the kinds that come with a virial
    direct_energy : whether direct forces can come with an energy
    dtype : what it computes in, float32 or float64; None if it doesn't say
    castable : whether ``to_float64`` is there
    differentiable : whether ``jacobian_products`` is there
    batched : whether ``evaluate_batch`` is one call of the model, or as few as fit
    atoms_at_once : more atoms than this gain nothing by being in one call; only of a batched one
    """

    kinds: frozenset[Kind]
    description: str
    species: frozenset[int] | None = None
    source: Path | None = None
    stress: frozenset[Kind] = frozenset()
    direct_energy: bool = False
    dtype: str | None = None
    castable: bool = False
    differentiable: bool = False
    batched: bool = False
    atoms_at_once: float = math.inf

    @abstractmethod
    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """Evaluate the wanted kinds in as few model calls as possible.

        Arrays of the structure aren't changed, those of the result belong to the caller, and all
        are float64 whatever the model computes in.

        Raises
        ------
        ModelError
            A wanted kind, energy or virial that the model lacks; a species that it doesn't know; a
            structure that it can't take.  One line, which begins with or names the description.
        """

    def evaluate_batch(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[Mapping[Kind, Evaluation]]:
        """As ``evaluate`` for each of the structures, equal up to rounding.

        They may differ in everything.  A model that isn't ``batched`` takes one after the other.
        """
        return [self.evaluate(structure, wanted) for structure in structures]

    def jacobian_products(self, structure: Structure, kind: Kind) -> JacobianProducts:
        """Exact products of the Jacobian of the forces of this kind.

        Raises
        ------
        ModelError
            It isn't ``differentiable``, or not at this structure.
        """
        raise ModelError(f"{self.description} can't be differentiated")

    def to_float64(self) -> None:
        """Turn the model to float64, weights and all: the same function, evaluated precisely.

        Raises
        ------
        ModelError
            It isn't ``castable``.
        """
        raise ModelError(f"{self.description} can't be turned to float64 once it is loaded")

    def close(self) -> None:
        """Give back what it holds (processes, sockets); harmless when repeated."""
        return

    def __enter__(self: Self) -> Self:
        """Nothing but itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
