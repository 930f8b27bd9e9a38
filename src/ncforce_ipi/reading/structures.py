"""Structures from files of any format that ASE reads, and from ASE's own sets of molecules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ncforce_ipi.backend import Structure
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.images import read_images

if TYPE_CHECKING:
    from ase import Atoms


HCNOF = frozenset({"H", "C", "N", "O", "F"})


@dataclass(frozen=True)
class Frame:
    """A structure and where it comes from.

    Attributes
    ----------
    name : file and place in it
    structure : see ``ncforce_ipi.backend.Structure``
    held : whether the file says that some of the atoms stay where they are
    """

    name: str
    structure: Structure
    held: bool = False


def to_structure(atoms: Atoms) -> Structure:
    """Of ASE's atoms; lattice vectors without periodicity become zero rows."""
    cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    return Structure(atoms.numbers.astype(np.int32), atoms.positions.astype(float), cell)


def to_atoms(structure: Structure) -> Atoms:
    """ASE's atoms, periodic along the lattice vectors that aren't zero."""
    from ase import Atoms

    periodic = structure.cell.any(axis=1)
    return Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=periodic)


def as_structure(structure: Structure | Atoms) -> Structure:
    """The same, or what ASE's atoms are."""
    return structure if isinstance(structure, Structure) else to_structure(structure)


def as_frames(structures: Sequence[Frame | Structure | Atoms]) -> list[Frame]:
    """Structures with names: their own, or their places in the sequence."""
    return [
        one if isinstance(one, Frame) else Frame(f"structure {k}", as_structure(one))
        for k, one in enumerate(structures)
    ]


def read_frames(sources: list[str], most: int | None = None) -> list[Frame]:
    """All frames of files, or ``most`` of them, evenly spaced.

    Parameters
    ----------
    sources : ``FILE`` (all frames), ``FILE@INDEX`` (ASE's: ``@0``, ``@-1``, ``@::10``), files may
        be compressed by gzip, bzip2 or xz
    most : number of frames to keep; None: all

    Raises
    ------
    InputError
        No such file, or not a format that ASE reads, or no frame.
    """
    found = [
        Frame(image.name, to_structure(image.atoms), bool(image.atoms.constraints))
        for source in sources
        for image in read_images(source)
    ]
    if not found:
        raise InputError(f"{', '.join(sources) or 'the list of files'} has no frame; expected one")
    return evenly(found, most)


def evenly(frames: list[Frame], most: int | None) -> list[Frame]:
    """``most`` of the frames, evenly spaced; None: all.

    Raises
    ------
    InputError
        ``most`` is less than 1.
    """
    if most is not None and most < 1:
        raise InputError(f"expected one frame or more, got {most}")
    if most is None or most >= len(frames):
        return frames
    return [frames[k] for k in np.linspace(0, len(frames) - 1, most).round().astype(int)]


def g2_closed_shell() -> list[Frame]:
    """Molecules of the G2 set (Curtiss et al., J. Chem. Phys. 106, 1063, 1997) of H, C, N, O, F.

    With two atoms or more and no unpaired electron, in ASE's geometries: organic molecules like
    those of QM9, of at most six heavy atoms.
    """
    from ase.build import molecule
    from ase.collections import g2

    found = []
    for name in g2.names:
        atoms = molecule(name)
        closed = not atoms.get_initial_magnetic_moments().any() and sum(atoms.numbers) % 2 == 0
        if len(atoms) > 1 and closed and set(atoms.get_chemical_symbols()) <= HCNOF:
            found.append(Frame(f"g2:{name}", to_structure(atoms)))
    return found
