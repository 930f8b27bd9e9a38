"""What a file of a start structure says and no run uses.

Owns which words of a file are meant, and how each is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ncforce_ipi.reading.images import Image

if TYPE_CHECKING:
    from ase import Atoms

OTHER_FLAGS = ("fixed", "frozen", "fix", "constraints", "selective_dynamics", "movable")
# of the whole system, and the values that mean none
CHARGES = {"charge": (0.0,), "total_charge": (0.0,)}
SPINS = {"spin": (0.0, 1.0), "multiplicity": (0.0, 1.0), "spin_multiplicity": (0.0, 1.0)}
ION = 0.5  # e: partial charges in a file sum to less, by their digits


def left_out(image: Image, velocities: str | None) -> Iterator[str]:
    """One line for each thing that is left out.

    Parameters
    ----------
    image : the structure as its file has it
    velocities : file of start velocities, if there is one
    """
    name, arrays = image.name.rpartition("@")[0], image.atoms.arrays
    moving = [
        key for key in ("momenta", "velocities", "velo") if arrays.get(key, np.zeros(1)).any()
    ]
    if velocities is None and moving:
        yield (
            f"{name} has {moving[0]}, which are not used: velocities are random; give "
            f"--velocities {name} to start with them, in commands that have it"
        )
    for key in sorted(set(OTHER_FLAGS) & {key.lower() for key in arrays}):
        yield (
            f"{name} has a column {key}, which is not understood: no atom is held for it; "
            "move_mask:L:1 (F for atoms that are held) is"
        )
    if said := ", ".join(_electrons(image.atoms)):
        yield (
            f"{name} says {said}, which no model sees: it has the charge and spin of its own "
            "options (--charge and --spin of orb and fairchem, --info of ase), else those that it "
            "takes for granted, mostly none"
        )


def _electrons(atoms: Atoms) -> Iterator[str]:
    """What is said of charge and spin that isn't none, as ``charge=-1``."""
    words = {str(key).lower(): value for key, value in atoms.info.items()}
    for key, none in (CHARGES | SPINS).items():
        value = _number(words.get(key))
        if value is not None and value not in none:
            yield f"{key}={value:g}"
    for key, what in (("initial_charges", "charges"), ("initial_magmoms", "magnetic moments")):
        values = atoms.arrays.get(key, np.zeros(1))
        total = float(values.sum()) if values.ndim == 1 else 0.0
        if abs(total) > ION:
            yield f"{what} of {total:g} in all"


def _number(value: object) -> float | None:
    """A number, or None for anything else."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
