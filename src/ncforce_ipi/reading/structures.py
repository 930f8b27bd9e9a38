"""Structures from files of any format that ASE reads, and from ASE's own sets of molecules."""

from __future__ import annotations

import io
import itertools
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncforce_ipi.backend import Structure
from ncforce_ipi.errors import InputError

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
    """

    name: str
    structure: Structure


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
        be compressed by xz
    most : number of frames to keep; None: all

    Raises
    ------
    InputError
        No such file, or not a format that ASE reads, or no frame.
    """
    found = [frame for source in sources for frame in _read(source)]
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


def _read(source: str) -> list[Frame]:
    name, _, index = source.partition("@")
    path = Path(name)
    if not path.is_file():
        raise InputError(f"structure {name!r} is not a file; give FILE or FILE@INDEX")
    try:
        images = _images(path, index or ":")
    except Exception as err:  # ASE's readers raise anything
        raise InputError(f"structure {source} can't be read by ASE: {err}") from err
    images = images if isinstance(images, list) else [images]
    places = _places(index or ":")
    return [Frame(f"{path.name}@{next(places)}", to_structure(atoms)) for atoms in images]


def _places(index: str) -> Iterator[int]:
    """Places in the file of what ``index`` takes; from 0 where they count from its end."""
    from ase.io.formats import string2index

    found = string2index(index)
    if not isinstance(found, slice):
        return itertools.count(int(found))
    start, step = found.start or 0, found.step or 1
    return itertools.count(start, step) if start >= 0 and step > 0 else itertools.count()


def _images(path: Path, index: str) -> Any:
    from ase.io import read

    if path.suffix != ".xz":
        return read(path, index)
    text = lzma.decompress(path.read_bytes()).decode()  # ASE reads a compressed stream by lines
    return read(io.StringIO(text), index, format="extxyz")


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
