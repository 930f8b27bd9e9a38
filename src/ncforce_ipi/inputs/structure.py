"""The start: structure and velocities from files, checked, in i-PI's frame of reference.

One gate for every structure that a run starts from.  What a file says is used (cell, masses,
velocities on request, constraints), refused, or said.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.held import HELD, held, take_constraints
from ncforce_ipi.inputs.leftout import left_out
from ncforce_ipi.inputs.openbox import close_open_directions
from ncforce_ipi.inputs.sameframe import of_same_frame
from ncforce_ipi.inputs.systems import NAMES, SYSTEMS
from ncforce_ipi.inputs.templates import shipped_file
from ncforce_ipi.inputs.velocities import flight, read_velocities
from ncforce_ipi.reading.frameofrun import held_in, masses_of, run_of
from ncforce_ipi.reading.images import Image, file_and_index, read_images
from ncforce_ipi.reading.metadata import RunMetadata
from ncforce_ipi.reading.orientation import turn_of

if TYPE_CHECKING:
    from ase import Atoms

log = logging.getLogger(__name__)
CLOSEST_A = 0.5  # two nuclei are never closer, but those of a file in nm are
FLAT = 1e-3  # of the smallest singular value of unit vectors; 1 at right angles


def read_structure(name_or_path: str, velocities: str | None = None) -> Atoms:
    """A shipped start structure by its name, or the last frame, or FILE@INDEX, of a file.

    Returns
    -------
    Species, positions (A) and periodic cell (A) in i-PI's frame, masses where the file has them,
    the array ``held`` where atoms are (``ncforce_ipi.inputs.held``); with the file ``velocities``,
    the momenta of its last frame, or of FILE@INDEX, or of the structure's frame if that is its
    file; else none.
    """
    image = _read(name_or_path)
    found, name = _bare(image), image.name.rpartition("@")[0]
    _check_flat(found, name)
    run = RunMetadata() if image.step is None else run_of(structure_path(name_or_path))
    if not found.has("masses"):
        _take_masses(found, run, name)
    _close(found, name)
    turn = turn_of(found.cell.array)
    if not (turn.is_none and np.array_equal(turn.cell, found.cell.array)):
        log.info("%s is turned into i-PI's frame of reference: a along x, b in the xy plane", name)
    found.arrays["positions"] = turn.there(found.positions)
    found.set_cell(turn.cell)
    take_constraints(found, not turn.is_none, name)
    if turn.is_none and not image.atoms.constraints:
        _take_held(found, run, name)
    _check_distances(found, name)
    for line in left_out(image, velocities):
        log.warning("%s", line)
    if velocities is not None:
        velocities = of_same_frame(name_or_path, velocities)
        momenta = read_velocities(velocities, found, image, turn)
        momenta[held(found)] = 0.0
        found.set_momenta(momenta)
        if said := flight(found, velocities):
            log.warning("%s", said)
    return found


def structure_path(name_or_path: str) -> Path:
    """The file of a start structure."""
    if name_or_path in SYSTEMS:
        return shipped_file(SYSTEMS[name_or_path].structure)
    path, _ = file_and_index(name_or_path)
    if not path.is_file():
        raise InputError(
            f"structure {name_or_path!r} is neither a file nor a shipped system ({NAMES})"
        )
    return path


def _read(name_or_path: str) -> Image:
    path = structure_path(name_or_path)
    source = str(path) if name_or_path in SYSTEMS else name_or_path
    if name_or_path not in SYSTEMS and not file_and_index(source)[1] and _has_another(source):
        log.info("%s has several frames: the last one is taken; FILE@INDEX takes another", path)
    return read_images(source, default="-1")[-1]


def _has_another(source: str) -> bool:
    """Whether there is a frame after the first one."""
    try:
        return bool(read_images(source, default="1"))
    except InputError:
        return False


def _bare(image: Image) -> Atoms:
    """Species, positions, cell, constraints and masses, without what no run uses."""
    from ase import Atoms

    atoms = image.atoms
    if len(atoms) == 0:
        raise InputError(f"{image.name} has no atoms; expected one or more")
    found = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if atoms.has("masses"):
        found.set_masses(atoms.get_masses())
    found.set_constraint(atoms.constraints)
    return found


def _take_masses(atoms: Atoms, run: RunMetadata, name: str) -> None:
    """Masses that the run had, where they aren't those of the table."""
    masses = masses_of(run, atoms)
    if masses is None:
        return
    atoms.set_masses(masses)
    other = sorted({f"{s} {m:.5g}" for s, m in zip(atoms.symbols, masses, strict=True)})
    log.info("%s: masses as in the run that wrote it: %s u", name, ", ".join(other))


def _take_held(atoms: Atoms, run: RunMetadata, name: str) -> None:
    """Hold what the run held."""
    flags = held_in(run, len(atoms))
    if flags is None:
        return
    atoms.set_array(HELD, flags)
    log.info(
        "%s: %d atoms are held as in the run that wrote it; to let them go, save the frame "
        "elsewhere",
        name, np.count_nonzero(flags.any(axis=1)),
    )  # fmt: skip


def _check_flat(atoms: Atoms, name: str) -> None:
    """Refuse lattice vectors in one plane or on one line."""
    vectors = atoms.cell.array[atoms.pbc & atoms.cell.array.any(axis=1)]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    if len(unit) and np.linalg.svd(unit, compute_uv=False).min() < FLAT:
        raise InputError(f"the lattice vectors of {name} span no volume: {atoms.cell.tolist()} A")


def _close(atoms: Atoms, name: str) -> None:
    """Make the cell periodic in three directions, and say where the file says otherwise."""
    if atoms.pbc.all():
        if atoms.cell.rank < 3:
            raise InputError(f"{name} has no periodic cell; expected three lattice vectors in A")
        return
    if not atoms.cell.any():
        raise InputError(
            f"{name} has no periodic cell; expected three lattice vectors in A, or, for a "
            'molecule, a Lattice= and pbc="F F F" in the comment line'
        )
    if not atoms.cell.array[atoms.pbc].any(axis=1).all():
        raise InputError(f"{name} is periodic along a lattice vector that it doesn't have; give it")
    gaps_A = close_open_directions(atoms)
    log.warning(
        "%s is not periodic along %s, and i-PI's cells are: images get %s A of vacuum there, and "
        'what leaves the cell comes back on the other side; write pbc="T T T" if it is periodic',
        name, ", ".join(gaps_A), ", ".join(f"{gap_A:.1f}" for gap_A in gaps_A.values()),
    )  # fmt: skip


def _check_distances(atoms: Atoms, name: str) -> None:
    from ase.neighborlist import neighbor_list

    close_A = neighbor_list("d", atoms, CLOSEST_A)
    if len(close_A):
        raise InputError(
            f"two atoms of {name} are {close_A.min():.3f} A apart; expected more than "
            f"{CLOSEST_A} A: is the file in another unit than A?"
        )
