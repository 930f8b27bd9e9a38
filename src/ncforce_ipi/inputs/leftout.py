"""What a file of a start structure says and no run uses.

Owns which words of a file are meant, and how each is said.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ncforce_ipi.reading.electrons import unseen
from ncforce_ipi.reading.images import Image

OTHER_FLAGS = ("fixed", "frozen", "fix", "constraints", "selective_dynamics", "movable")


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
    if said := unseen(name, image.atoms):
        yield said
