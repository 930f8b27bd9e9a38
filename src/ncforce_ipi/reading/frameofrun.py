"""What the run that wrote a frame says of its atoms: their masses, and what was held.

Frames themselves say neither.  Owns when a run's word counts; who asks decides what follows.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.metadata import RunMetadata, read_metadata

if TYPE_CHECKING:
    from ase import Atoms

log = logging.getLogger(__name__)
OTHER_MASS = 0.01  # of a mass: tables differ by less, isotopes by more


def run_of(path: Path) -> RunMetadata:
    """What is known of the run that wrote a trajectory."""
    try:
        return read_metadata(path)
    except InputError as err:
        log.warning("%s: masses are those of the table, and no atom is held", err)
        return RunMetadata()


def masses_of(run: RunMetadata, atoms: Atoms) -> NDArray[np.float64] | None:
    """Masses ``(n_atoms,)``, u, that these atoms had; None where they are those of the table."""
    known = run.masses_u or {}
    own, masses = atoms.get_masses(), atoms.get_masses()
    for symbol in set(atoms.symbols) & known.keys():
        masses[atoms.symbols == symbol] = known[symbol]
    if run.atom_masses_u is not None and len(run.atom_masses_u) == len(atoms):
        masses = np.array(run.atom_masses_u)
    same = np.abs(masses / own - 1.0).max() <= OTHER_MASS
    return None if same else masses


def held_in(run: RunMetadata, n_atoms: int) -> NDArray[np.bool_] | None:
    """Coordinates that stayed, ``(n_atoms, 3)``; None where all were free, or it had others."""
    if not run.fixed or run.n_atoms not in (None, n_atoms) or run.fixed[-1] >= 3 * n_atoms:
        return None
    flags = np.zeros(3 * n_atoms, bool)
    flags[list(run.fixed)] = True
    return flags.reshape(-1, 3)
