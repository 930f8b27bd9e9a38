"""Start velocities from a file instead of random ones: read, and written as i-PI reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.trajectory import Trajectory, open_trajectory
from ncforce_ipi.units import ATOMIC_VELOCITY_A_PER_FS

if TYPE_CHECKING:
    from ase import Atoms


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
