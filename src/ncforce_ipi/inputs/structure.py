"""The start: structure and velocities from files, checked, and velocities as i-PI reads them.

One gate for every structure that a run starts from.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.systems import NAMES, SYSTEMS
from ncforce_ipi.inputs.templates import shipped_file
from ncforce_ipi.reading.trajectory import Trajectory, open_trajectory
from ncforce_ipi.units import ATOMIC_VELOCITY_A_PER_FS

if TYPE_CHECKING:
    from ase import Atoms

CLOSEST_A = 0.5  # two nuclei are never closer, but those of a file in nm are


def read_structure(name_or_path: str, velocities: str | None = None) -> Atoms:
    """A shipped start structure by its name, or the last frame of any file that ASE reads.

    Returns
    -------
    Species, positions (A), periodic cell (A), masses where the file has them; with the file
    ``velocities``, the momenta of its last frame, else none.
    """
    import ase.io
    from ase import Atoms
    from ase.io.formats import UnknownFileTypeError

    path = structure_path(name_or_path)
    try:
        atoms = ase.io.read(path)
    except (UnknownFileTypeError, OSError, ValueError, IndexError, KeyError) as err:
        raise InputError(f"ASE can't read a structure from {path}: {err}") from err
    if isinstance(atoms, list):
        atoms = atoms[-1]
    _check_structure(atoms, path)
    found = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    if atoms.has("masses"):
        found.set_masses(atoms.get_masses())
    if velocities is not None:
        set_velocities(found, Path(velocities))
    return found


def set_velocities(atoms: Atoms, path: Path) -> None:
    """Give atoms the velocities of the last frame of a file.

    Parameters
    ----------
    atoms : get momenta
    path : i-PI's velocities (``simulation.vel_0.xyz``; the unit is in the comment line), or
        extxyz with momenta, as ASE writes them

    Raises
    ------
    InputError
        No such file, no velocities in it, or other atoms.
    """
    from ase import units

    found = _open(path.expanduser())
    symbols = atoms.get_chemical_symbols()
    if found.species.tolist() != symbols:
        raise InputError(
            f"{path} has velocities of {len(found.species)} atoms, the structure has "
            f"{len(symbols)}; expected the same species in the same order"
        )
    (last,) = found.blocks(1, from_step=int(found.steps[-1]))
    per_fs = last.values[0]
    if found.quantity == "momenta":
        per_fs = per_fs / atoms.get_masses()[:, None]
    atoms.set_velocities(per_fs / units.fs)


def _open(path: Path) -> Trajectory:
    """Velocities, or else momenta."""
    try:
        return open_trajectory(path, "velocities")
    except InputError as err:
        if not path.is_file():
            raise
        try:
            return open_trajectory(path, "momenta")
        except InputError:
            raise err from None


def velocities_xyz(atoms: Atoms) -> str:
    """The velocities of atoms as i-PI's xyz in atomic units, all digits."""
    from ase import units

    values = atoms.get_velocities() * units.fs / ATOMIC_VELOCITY_A_PER_FS
    lines = [f"{len(atoms)}", "# velocities{atomic_unit}"]
    rows = zip(atoms.get_chemical_symbols(), values, strict=True)
    lines += [f"{symbol} " + " ".join(f"{x:.17e}" for x in row) for symbol, row in rows]
    return "\n".join(lines) + "\n"


def structure_path(name_or_path: str) -> Path:
    """The file of a start structure."""
    if name_or_path in SYSTEMS:
        return shipped_file(SYSTEMS[name_or_path].structure)
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        raise InputError(
            f"structure {name_or_path!r} is neither a file nor a shipped system ({NAMES})"
        )
    return path


def _check_structure(atoms: Atoms, path: Path) -> None:
    from ase.neighborlist import neighbor_list

    if atoms.cell.rank < 3:
        raise InputError(f"{path} has no periodic cell; expected three lattice vectors in A")
    atoms.pbc = True
    close_A = neighbor_list("d", atoms, CLOSEST_A)
    if len(close_A):
        raise InputError(
            f"two atoms of {path} are {close_A.min():.3f} A apart; expected more than "
            f"{CLOSEST_A} A: is the file in another unit than A?"
        )
