"""From our structures to those of a model library, and from its numbers to ours.

What all families have in common there: which structures a model takes, positions in the cell,
ASE's atoms, and the virial.  Knows no model library.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ncforce_ipi.backend import Backend, Structure, Wanted
from ncforce_ipi.errors import ModelError

OPEN_STEP_A = 64.0  # a power of two: no digit of a position is lost


def check_request(backend: Backend, structure: Structure, wanted: Wanted) -> None:
    """Refuse kinds of force, what comes with them, and species that a model doesn't have.

    Raises
    ------
    ModelError
        One line that names them.
    """
    if lacking := wanted.kinds - backend.kinds:
        raise ModelError(f"{backend.description} has no {' and no '.join(sorted(lacking))} forces")
    if "direct" in wanted.kinds:
        if wanted.direct_energy and not backend.direct_energy:
            raise ModelError(f"{backend.description} has no energy beside its direct forces")
        if wanted.direct_virial and "direct" not in backend.stress:
            raise ModelError(f"{backend.description} has no stress beside its direct forces")
    if backend.species is None:
        return
    # np.isin would take a third of the time in which a GPU's driver prepares a small structure
    present = np.flatnonzero(np.bincount(structure.numbers)).tolist()
    if unknown := [str(number) for number in present if number not in backend.species]:
        raise ModelError(f"{backend.description} doesn't know atomic number {' '.join(unknown)}")


def periodicity(structure: Structure) -> bool:
    """Whether the structure is periodic in three directions; False: in none.

    Raises
    ------
    ModelError
        It is periodic in one or two, of which most model libraries make nothing sound.
    """
    n_vectors = int(structure.cell.any(axis=1).sum())
    if n_vectors not in (0, 3):
        raise ModelError(
            f"expected three lattice vectors or none, got {n_vectors}; "
            "give a vacuum a long lattice vector"
        )
    return n_vectors == 3


def at_home(structure: Structure, tolerated: float = 0.0) -> np.ndarray:
    """Positions ``(n_atoms, 3)``, A, in float64, near the origin: float32 has seven digits.

    Along lattice vectors each atom has its image in the cell.  Without one nothing may be torn
    apart: all atoms move together, by whole multiples of a length, so that those near the origin
    keep the bits of their positions.

    Parameters
    ----------
    tolerated : an atom stays where it is up to so many cells from its image in the cell
    """
    r, cell = structure.positions, structure.cell
    inverse = np.linalg.pinv(cell)  # of a missing lattice vector: a column of zeros
    fractions = r @ inverse
    inside = (fractions >= -tolerated) & (fractions < 1.0 + tolerated)
    r = r - np.where(inside, 0.0, np.floor(fractions)) @ cell
    if cell.any(axis=1).all() or not len(r):
        return r
    middle = r.mean(axis=0)
    return r - OPEN_STEP_A * np.round((middle - middle @ inverse @ cell) / OPEN_STEP_A)


def right_handed(cell: np.ndarray) -> np.ndarray:
    """A cell ``(3, 3)``, A, of the same lattice; CHGNet's stress has the sign of the volume."""
    return -cell if np.linalg.det(cell) < 0 else cell


def ase_atoms(structure: Structure, periodic: bool) -> Any:
    """The structure as ASE's, for libraries that start from that."""
    from ase import Atoms

    return Atoms(structure.numbers, at_home(structure), cell=structure.cell, pbc=periodic)


def open_virial(structure: Structure, forces: np.ndarray) -> np.ndarray:
    """Virial ``(3, 3)``, eV, without a cell: W = sum_i r_i F_i, exact where forces sum to zero."""
    w = (structure.positions - structure.positions.mean(axis=0)).T @ forces
    return 0.5 * (w + w.T)


def virial(stress: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Virial ``(3, 3)``, eV, of a stress in eV/A^3: W = -stress x volume.

    The stress has nine numbers, or ASE's six: xx, yy, zz, yz, xz, xy.
    """
    values = np.asarray(stress, np.float64).ravel()
    if values.size == 6:
        values = values[[0, 5, 4, 5, 1, 3, 4, 3, 2]]
    return -symmetric(values) * abs(np.linalg.det(cell))


def symmetric(virial: np.ndarray) -> np.ndarray:
    """The symmetric part ``(3, 3)``, in float64: what the wire carries."""
    w = np.asarray(virial, np.float64).reshape(3, 3)
    return 0.5 * (w + w.T)
