"""Momenta of a checkpoint, changed in their last bits so that i-PI goes on bitwise.

Whenever it starts, i-PI 3.3.1 removes the momentum of the centre of mass, C(p) = p - m v with
v = sum(p) / sum(m).  After a restart that is once more than in the uninterrupted run, and rounding
lets v be 1e-21 instead of 0: momenta change in their last bits and the two runs part.  Hence the
checkpoint gets the p' for which C(p'), in floating point, is exactly the p that it held.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MOMENTA = re.compile(r"(<p\b[^>]*>)[^<]*(</p>)")
MAX_ITERATIONS = 20


def undo_constraint(checkpoint: str) -> str:
    """The checkpoint's text with p' instead of p; unchanged where there is nothing to undo."""
    system = ElementTree.fromstring(checkpoint).find("system")
    if system is None or (p_text := system.findtext("beads/p")) is None:
        return checkpoint
    if system.findtext("motion/fixcom", default="True").strip().lower() != "true":
        return checkpoint
    momenta = _numbers(p_text)
    masses = _numbers(system.findtext("beads/m", default=""))
    preimage = before_constraint(momenta, masses)
    text = "[ " + ", ".join(f"{value:.17e}" for value in preimage) + " ]"
    return MOMENTA.sub(lambda match: match[1] + text + match[2], checkpoint)


def before_constraint(momenta: Array, masses: Array) -> Array:
    """p' with C(p') = p, to the last bit.

    The error p - C(p') is added to p' until it is zero.  It is of the size of one rounding, so v
    hardly changes and a few turns suffice.  Should they not, p itself is returned: the run goes on
    correctly, but not bitwise.

    Parameters
    ----------
    momenta : ``(n_beads * n_atoms * 3,)``, any unit; they sum to zero but for rounding
    masses : ``(n_atoms,)``, any unit
    """
    n_beads = len(momenta) // (3 * len(masses))
    remove = _constraint(masses, n_beads)
    guess = momenta
    for _ in range(MAX_ITERATIONS):
        error = momenta - remove(guess)
        if not error.any():
            return guess
        guess = guess + error
    return momenta


def _constraint(masses: Array, n_beads: int) -> Callable[[Array], Array]:
    """C, in the order of operations of i-PI's ``DummyIntegrator.pconstraints``."""
    m3 = np.tile(np.repeat(masses, 3), n_beads).reshape(-1, 3)  # (beads * atoms, xyz)
    total = masses.sum() * n_beads

    def remove(momenta: Array) -> Array:
        velocity = np.sum(momenta.reshape(-1, 3), axis=0) / total
        return momenta - (m3 * velocity).reshape(-1)

    return remove


def _numbers(text: str) -> Array:
    return np.array(text.strip().strip("[]").split(","), dtype=np.float64)
