"""Structures from files of any format that ASE reads, and from ASE's own sets of molecules."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Structure
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.electrons import electrons_of, unseen
from ncforce_ipi.reading.frameofrun import held_in, masses_of, run_of
from ncforce_ipi.reading.images import Image, file_and_index, read_images
from ncforce_ipi.reading.metadata import RunMetadata

if TYPE_CHECKING:
    from ase import Atoms

log = logging.getLogger(__name__)
HCNOF = frozenset({"H", "C", "N", "O", "F"})


@dataclass(frozen=True)
class Frame:
    """A structure and where it comes from.

    Attributes
    ----------
    name : file and place in it
    structure : see ``ncforce_ipi.backend.Structure``
    held : whether the file, or the run that wrote it, says that some atoms stay where they are
    masses_u : ``(n_atoms,)``, u; None where they are those of ASE's table
    fixed : ``(n_atoms, 3)``, coordinates that stay; None where none does, or where a constraint
        holds something else (bonds, planes)
    box : ``(3, 3)``, A, lattice vectors as in the file, those without periodicity too; None where
        they are the structure's
    electrons : charge and spin that the file says, by its words; no model sees them
    """

    name: str
    structure: Structure
    held: bool = False
    masses_u: NDArray[np.float64] | None = None
    fixed: NDArray[np.bool_] | None = None
    box: NDArray[np.float64] | None = None
    electrons: Mapping[str, float] = field(default_factory=dict)


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
    names = [f"structure {k}" for k in range(len(structures))]
    _say_electrons(
        (name, one)
        for name, one in zip(names, structures, strict=True)
        if not isinstance(one, (Frame, Structure))
    )
    return [_as_frame(name, one) for name, one in zip(names, structures, strict=True)]


def _say_electrons(named: Iterable[tuple[str, Atoms]]) -> None:
    """Of the first that has any."""
    if line := next(filter(None, (unseen(name, atoms) for name, atoms in named)), ""):
        log.warning("%s", line)


def _as_frame(name: str, one: Frame | Structure | Atoms) -> Frame:
    if isinstance(one, Frame):
        return one
    if isinstance(one, Structure):
        return Frame(name, one)
    masses_u = one.get_masses() if one.has("masses") else None
    return Frame(
        name,
        to_structure(one),
        bool(one.constraints),
        masses_u,
        _fixed(one),
        _box(one),
        electrons_of(one),
    )


def read_frames(
    sources: list[str], most: int | None = None, *, of_runs: bool = False
) -> list[Frame]:
    """All frames of files, or ``most`` of them, evenly spaced.

    Parameters
    ----------
    sources : ``FILE`` (all frames), ``FILE@INDEX`` (ASE's: ``@0``, ``@-1``, ``@::10``), files may
        be compressed by gzip, bzip2 or xz
    most : number of frames to keep; None: all
    of_runs : whether what lies beside the frames of a run says their masses and what is held

    Raises
    ------
    InputError
        No such file, or not a format that ASE reads, or no frame.
    """
    found = []
    for source in sources:
        images = read_images(source)
        _say_electrons((image.name, image.atoms) for image in images)
        wrote = of_runs and any(image.step is not None for image in images)
        run = run_of(file_and_index(source)[0]) if wrote else RunMetadata()
        found += [_frame(image, run) for image in images]
    if not found:
        raise InputError(f"{', '.join(sources) or 'the list of files'} has no frame; expected one")
    return evenly(found, most)


def _frame(image: Image, run: RunMetadata) -> Frame:
    """With masses and what is held as the file says, else as the run that wrote it does."""
    from ase.data import atomic_masses

    atoms = image.atoms
    known = RunMetadata() if image.step is None else run
    masses = atoms.get_masses() if atoms.has("masses") else masses_of(known, atoms)
    if masses is not None and np.allclose(masses, atomic_masses[atoms.numbers], rtol=1e-6, atol=0):
        masses = None
    fixed = held_in(known, len(atoms))
    held = bool(atoms.constraints) or fixed is not None
    fixed = _fixed(atoms) if atoms.constraints else fixed
    return Frame(
        image.name, to_structure(atoms), held, masses, fixed, _box(atoms), electrons_of(atoms)
    )


def _box(atoms: Atoms) -> NDArray[np.float64] | None:
    """Lattice vectors, where one has no periodicity."""
    open_ = ~atoms.pbc & atoms.cell.array.any(axis=1)
    return atoms.cell.array.copy() if open_.any() else None


def _fixed(atoms: Atoms) -> NDArray[np.bool_] | None:
    """Coordinates ``(n_atoms, 3)`` that ASE's constraints hold one by one; None without any."""
    flags = np.zeros((len(atoms), 3), bool)
    for constraint in atoms.constraints:
        kind = type(constraint).__name__
        mask = np.asarray(getattr(constraint, "mask", True), bool)
        if kind in ("FixAtoms", "FixCartesian") or (kind == "FixScaled" and mask.all()):
            flags[constraint.index] |= mask
    return flags if flags.any() else None


def hold(atoms: Atoms, fixed: NDArray[np.bool_]) -> None:
    """Give atoms the constraints that hold these coordinates ``(n_atoms, 3)``."""
    from ase.constraints import FixAtoms, FixCartesian

    atoms.set_constraint(
        [
            FixAtoms(places) if mask.all() else FixCartesian(places, mask)
            for mask in np.unique(fixed[fixed.any(axis=1)], axis=0)
            for places in [np.flatnonzero((fixed == mask).all(axis=1))]
        ]
    )


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
