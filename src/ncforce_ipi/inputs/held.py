"""Atoms that don't move: from ASE's constraints to i-PI's fixed degrees of freedom.

Owns which constraints i-PI can hold, and in which frame of reference.  On atoms that are ready for
a run the array ``held``, ``(n_atoms, 3)``, says which of their coordinates stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

HELD = "held"
Flags = NDArray[np.bool_]
TURNED = (
    "give a cell with a along x and b in the xy plane, hold such atoms as a whole, or let them go"
)


def take_constraints(atoms: Atoms, turned: bool, name: str) -> None:
    """Put what ASE's constraints hold into the array ``held``, and take the constraints away.

    Parameters
    ----------
    atoms : in i-PI's frame
    turned : whether that is another frame than that of the constraints
    name : of the file, for messages

    Raises
    ------
    InputError
        A constraint that i-PI can't hold, or coordinates of another frame.
    """
    flags = np.zeros((len(atoms), 3), bool)
    for constraint in atoms.constraints:
        indices, mask = _of_constraint(constraint, atoms, name)
        flags[indices] |= mask
    if flags.any() and any(type(one).__name__ == "FixCom" for one in atoms.constraints):
        raise InputError(
            f"{name} has a constraint FixCom and held atoms, and i-PI holds either the centre of "
            "mass or atoms: take one of them away"
        )
    atoms.set_constraint()
    if not flags.any():
        return
    if flags.all():
        raise InputError(f"all atoms of {name} are held: nothing can move; let some of them go")
    partly = flags.any(axis=1) & ~flags.all(axis=1)
    if turned and partly.any():
        raise InputError(
            f"atom {int(np.argmax(partly))} of {name} is held along some directions only, and the "
            f"crystal has to be turned for i-PI; {TURNED}"
        )
    atoms.set_array(HELD, flags)


def held(atoms: Atoms) -> Flags:
    """Which coordinates stay, ``(n_atoms, 3)``."""
    flags: Flags = atoms.arrays.get(HELD, np.zeros((len(atoms), 3), bool))
    return flags


def _of_constraint(constraint: Any, atoms: Atoms, name: str) -> tuple[Any, Flags]:
    """Atoms and which of their coordinates it holds, ``(3,)``."""
    kind = type(constraint).__name__
    if kind == "FixAtoms":
        return constraint.index, np.ones(3, bool)
    if kind == "FixCartesian":
        return constraint.index, np.asarray(constraint.mask, bool)
    if kind == "FixScaled":
        mask = np.asarray(constraint.mask, bool)
        skewed = np.count_nonzero(atoms.cell.array - np.diag(np.diagonal(atoms.cell.array))) > 0
        if mask.all() or not mask.any() or not skewed:
            return constraint.index, mask
        raise InputError(
            f"atom {constraint.index[0]} of {name} is held along some lattice vectors only "
            "(selective dynamics), which i-PI does in a cell of right angles; hold it as a whole, "
            "or let it go"
        )
    if kind == "FixCom":
        return [], np.zeros(3, bool)  # i-PI does that anyway
    raise InputError(
        f"{name} has a constraint {kind}, which i-PI can't hold; expected FixAtoms, FixCartesian "
        "or a column move_mask: take it away"
    )


def held_xml(atoms: Atoms) -> str:
    """i-PI's elements for what stays: the centre of mass, or atoms and coordinates."""
    flags = held(atoms)
    if not flags.any():
        return "<fixcom> True </fixcom>"
    if np.array_equal(flags.any(axis=1), flags.all(axis=1)):
        name, numbers = "fixatoms", np.flatnonzero(flags.all(axis=1))
    else:
        name, numbers = "fixatoms_dof", np.flatnonzero(flags)
    listed = ", ".join(str(number) for number in numbers)
    return f"<fixcom> False </fixcom>\n<{name}> [ {listed} ] </{name}>"
