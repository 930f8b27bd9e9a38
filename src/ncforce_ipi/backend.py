"""What a model is to the rest of the project: structures in, evaluations out.

Owns the two frozen nouns and the protocol that every driver file of ``ipi_drivers`` fulfils.
Knows no model library, no socket and no unit but A and eV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Kind = Literal["conservative", "direct"]
Role = Literal["slow", "fast"]
ROLES: tuple[Role, Role] = ("slow", "fast")  # the component order everywhere: slow = 0, fast = 1


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

    A conservative evaluation always carries energy and virial.  A direct one carries the energy
    with ``direct_energy`` and the direct virial with ``direct_virial``, else NaN.
    """

    kinds: frozenset[Kind]
    direct_energy: bool = False
    direct_virial: bool = False


class Backend(Protocol):
    """A loaded model.  One file of ``ipi_drivers`` makes one, by its function ``load``.

    Attributes
    ----------
    kinds : the kinds of force that the model has
    species : atomic numbers that it knows; None if it doesn't say
    description : one line for the log: name, device, dtype
    source : the file that was loaded, for its SHA-256; None if there is none (formulas, ASE's own)
    """

    kinds: frozenset[Kind]
    species: frozenset[int] | None
    description: str
    source: Path | None

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """Evaluate the wanted kinds in as few model calls as possible; inputs aren't changed.

        Raises
        ------
        ModelError
            A wanted kind that the model lacks.
        """
        ...
