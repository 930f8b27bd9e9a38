"""Start velocities: from a file into i-PI's frame of reference, and as i-PI reads them.

Owns whether a file of velocities belongs to a structure (species, step and frame of reference), and
how warm they are.
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.held import held
from ncforce_ipi.inputs.sameframe import SAME_PLACE_A, distance_A, is_same_cell
from ncforce_ipi.reading.compressed import readable
from ncforce_ipi.reading.frameofrun import OTHER_MASS
from ncforce_ipi.reading.frameunits import COLUMNS
from ncforce_ipi.reading.images import ISOTOPES_U, Image, file_and_index, is_lammps, read_images
from ncforce_ipi.reading.orientation import Turn, turn_of
from ncforce_ipi.reading.trajectory import Trajectory, names_of, open_trajectory
from ncforce_ipi.units import ATOMIC_VELOCITY_A_PER_FS, BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from ase import Atoms

log = logging.getLogger(__name__)
Array = NDArray[np.float64]
MASSES = re.compile(r"[=:]mass(es)?:R:1(?!\d)")
FLYING = 1e-6  # of the kinetic energy; files of six digits have 1e-12
SIGMAS = 4.0  # a random draw is further off once in 16000


@dataclass(frozen=True)
class _Moving:
    """What a file says of one state; momenta ``(n_atoms, 3)`` in ASE's unit, of its own masses."""

    symbols: list[str]
    momenta: Array
    cell: Array
    step: int | None
    positions: Array | None = None
    masses_u: Array | None = None


def read_velocities(source: str, atoms: Atoms, image: Image, turn: Turn) -> Array:
    """Momenta ``(n_atoms, 3)``, in ASE's unit, of the velocities in a file, in i-PI's frame.

    Parameters
    ----------
    source : FILE (its last frame) or FILE@INDEX: i-PI's velocities (``simulation.vel_0.xyz``; the
        unit is in the comment line), extxyz with momenta as ASE writes them, or another format
        with momenta that ASE reads
    atoms : of the start, with their masses
    image : the structure as its file has it
    turn : of the structure into i-PI's frame

    Raises
    ------
    InputError
        No such file, no velocities in it, other atoms, or another step than the structure's.
    """
    path, index = file_and_index(source)
    if not path.is_file():
        raise InputError(f"{path} is missing; expected a file with velocities")
    if readable(path).suffix in (".xyz", ".extxyz"):
        found = _of_trajectory(path, index, atoms, image)
    else:
        found = _of_images(source, path)
    _check_species(found.symbols, atoms, path)
    if None not in (found.step, image.step) and found.step != image.step:
        raise InputError(_other_step(image, path, found.step, "give velocities of that step"))
    if None in (found.step, image.step):
        _say_other_places(found, image, path)
    turned = _own_turn(found.cell, image.atoms.cell.array, turn).there(found.momenta)
    return _with_own_velocities(turned, found.masses_u, atoms, path)


def _with_own_velocities(momenta: Array, masses_u: Array | None, atoms: Atoms, path: Path) -> Array:
    """Momenta of the atoms with the velocities that a file's momenta and masses make."""
    own_u = atoms.get_masses()
    if masses_u is None or np.abs(own_u / masses_u - 1.0).max() <= OTHER_MASS:
        return momenta.copy()
    k = int(np.argmax(np.abs(own_u / masses_u - 1.0)))
    log.warning(
        "%s has other masses than the structure (atom %d, %s: %.4g u, here %.4g): velocities are "
        "kept, momenta and temperature are those of the structure's masses",
        path, k, atoms.symbols[k], masses_u[k], own_u[k],
    )  # fmt: skip
    scaled: Array = momenta * (own_u / masses_u)[:, None]
    return scaled


def _say_other_places(found: _Moving, image: Image, path: Path) -> None:
    """Warn of velocities that belong to other positions than the structure's."""
    if found.positions is None:
        return
    away_A = distance_A(found.positions, found.cell, image)
    if away_A > SAME_PLACE_A:
        log.warning(
            "the atoms to which %s gives velocities are up to %.2g A from those of %s: another "
            "frame? FILE@INDEX takes one of several", path, away_A, image.name.rpartition("@")[0],
        )  # fmt: skip


def _of_images(source: str, path: Path) -> _Moving:
    image = read_images(source, default="-1")[-1]
    atoms = image.atoms
    if not atoms.has("momenta"):
        raise InputError(f"{path} has no velocities; give a file with velocities or momenta")
    if is_lammps(atoms):
        raise InputError(
            f"{path} is a file of LAMMPS, which states no unit of velocities; give extxyz with "
            "momenta: read it with ASE and its units, and write that"
        )
    cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    symbols, momenta = atoms.get_chemical_symbols(), atoms.get_momenta()
    masses_u = atoms.get_masses() if atoms.has("masses") else None
    return _Moving(symbols, momenta, cell, image.step, atoms.positions, masses_u)


def _of_trajectory(path: Path, index: str, atoms: Atoms, image: Image) -> _Moving:
    from ase import units

    found = _open(path)
    symbols = ["H" if name in ISOTOPES_U else name for name in found.species.tolist()]
    _check_species(symbols, atoms, path)
    place = _place(found, index, path)
    step = int(found.steps[place])
    if found.numbered and image.step not in (None, step):
        same = np.flatnonzero(found.steps == image.step)
        advice = "give velocities of that step"
        if len(same):
            advice = f"give --velocities {path}@{same[0]}"
        raise InputError(_other_step(image, path, step, advice))
    frame = next(iter(found.between(step, step).blocks(1)))
    per_fs, masses_u = frame.values[0], None
    if found.quantity == "momenta":
        masses_u = _masses_of(path)
    else:
        per_fs = per_fs * atoms.get_masses()[:, None]
    stated = step if found.numbered else None
    places = _places_of(path, place)
    return _Moving(symbols, per_fs / units.fs, frame.cells[0], stated, places, masses_u)


def _masses_of(path: Path) -> Array | None:
    """Masses that a file has beside momenta, ``(n_atoms,)``, u."""
    with readable(path).open(encoding="utf-8", errors="replace") as file:
        comment = [file.readline(1 << 16) for _ in range(2)][1]
    if not MASSES.search(comment):
        return None
    masses_u: Array = read_images(f"{path}@0")[0].atoms.get_masses()
    return masses_u


def _places_of(path: Path, place: int) -> Array | None:
    """Positions that a file has beside velocities, ``(n_atoms, 3)``, A."""
    if names_of(path).isdisjoint(COLUMNS["positions"]):
        return None
    try:
        found = open_trajectory(path, "positions")
    except InputError:  # i-PI's own have positions of zeros
        return None
    step = int(found.steps[place])
    places: Array = next(iter(found.between(step, step).blocks(1))).values[0]
    return places


def _open(path: Path) -> Trajectory:
    """Velocities, or else momenta."""
    try:
        return open_trajectory(path, "velocities")
    except InputError as err:
        try:
            return open_trajectory(path, "momenta")
        except InputError:
            raise err from None


def _check_species(theirs: list[str], atoms: Atoms, path: Path) -> None:
    symbols = atoms.get_chemical_symbols()
    if theirs == symbols:
        return
    if len(theirs) != len(symbols):
        raise InputError(
            f"{path} has velocities of {len(theirs)} atoms, the structure has {len(symbols)}; "
            "expected the same species in the same order"
        )
    first = next(k for k, (a, b) in enumerate(zip(theirs, symbols, strict=True)) if a != b)
    raise InputError(
        f"{path} has {theirs[first]} as atom {first}, the structure has {symbols[first]}; "
        "expected the same species in the same order"
    )


def _place(found: Trajectory, index: str, path: Path) -> int:
    """Which frame: the last one, or that of the index."""
    try:
        return range(len(found.steps))[int(index or -1)]
    except (ValueError, IndexError) as err:
        raise InputError(
            f"velocities {path}: expected @N or @-N of {len(found.steps)} frames, got @{index}"
        ) from err


def _other_step(image: Image, path: Path, step: int | None, advice: str) -> str:
    return (
        f"{image.name} is of step {image.step}, the velocities of {path} are of step {step}; "
        f"{advice}"
    )


def _own_turn(cell: Array, of_structure: Array, turn: Turn) -> Turn:
    """That of the velocities' own cell, if the file has another one than the structure's file.

    Our outputs are in i-PI's frame whatever frame the structure's file has, and files of ASE are in
    the structure's.  Its turn isn't that of the cell in its file where a direction is open: that
    lattice vector may have been replaced.
    """
    if not cell.any(axis=1).all() or is_same_cell(cell, of_structure):
        return turn
    return turn_of(cell)


def temperature_K(atoms: Atoms) -> tuple[float, int]:
    """Temperature of the start velocities, K, and the degrees of freedom that hold it.

    2K/(k_B n) over coordinates that aren't held; where none is, the centre of mass is at rest, as
    i-PI sees to, so that its motion doesn't count.
    """
    momenta, masses, free = atoms.get_momenta(), atoms.get_masses()[:, None], ~held(atoms)
    n = int(np.count_nonzero(free))
    if n == free.size:
        momenta = momenta - masses * momenta.sum(axis=0) / masses.sum()
        n -= 3
    kinetic_eV = 0.5 * float(np.sum((momenta**2 / masses)[free]))
    return 2.0 * kinetic_eV / (max(n, 1) * BOLTZMANN_EV_PER_K), n


def flight(atoms: Atoms, name: str) -> str:
    """Say that the atoms of a file move as a whole, which i-PI takes away; empty if they don't.

    Where atoms are held, it takes nothing away.
    """
    momenta, masses = atoms.get_momenta(), atoms.get_masses()
    kinetic = float(np.sum(momenta**2 / masses[:, None]))
    total = momenta.sum(axis=0)
    share = float(total @ total) / masses.sum() / kinetic if kinetic else 0.0
    if share < FLYING or held(atoms).any():
        return ""
    return (
        f"the velocities of {name} move the centre of mass, with {100.0 * share:.3g} % of their "
        "kinetic energy: that is taken away, for it is held at rest"
    )


def kept_warnings(atoms: Atoms, stated_K: float) -> list[str]:
    """One line where start velocities that no thermostat changes are of another temperature.

    That is further off than four standard deviations, T sqrt(2/n), of n degrees of freedom.
    """
    if not atoms.has("momenta"):
        return []
    found_K, n = temperature_K(atoms)
    if abs(found_K - stated_K) <= SIGMAS * stated_K * math.sqrt(2.0 / max(n, 1)):
        return []
    advice = f"give {found_K:.4g}" if found_K > 0.0 else "leave --velocities out for random ones"
    return [
        f"start velocities are of {found_K:.4g} K, --temperature-K {stated_K:g} is used for "
        f"i-PI's thermometer and limits alone: {advice}"
    ]


def velocities_xyz(atoms: Atoms) -> str:
    """The velocities of atoms as i-PI's xyz in atomic units, all digits."""
    from ase import units

    values = atoms.get_velocities() * units.fs / ATOMIC_VELOCITY_A_PER_FS
    cell = " ".join(f"{value:.17g}" for value in atoms.cell.cellpar())
    head = f"# CELL(abcABC): {cell} velocities{{atomic_unit}} cell{{angstrom}}"
    lines = [f"{len(atoms)}", head]
    rows = zip(atoms.get_chemical_symbols(), values, strict=True)
    lines += [f"{symbol} " + " ".join(f"{x:.17e}" for x in row) for symbol, row in rows]
    return "\n".join(lines) + "\n"
