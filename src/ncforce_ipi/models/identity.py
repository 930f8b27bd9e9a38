"""What an input of ours says to a driver in i-PI's INIT: role, model, atoms, what must be sent.

Owns these words and nothing of a socket.  The writer of inputs puts them into ``<parameters>`` of
an ``<ffsocket>``; i-PI sends them to every client that connects, other programs pass them over, and
our driver refuses what it doesn't fit to.  They hold no blank, comma, colon or brace, with which
i-PI separates them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike

from ncforce_ipi.provenance import sha256

ROLE = "ncforce_role"
MODEL = "ncforce_model"
ATOMS = "ncforce_atoms"
NEEDS = "ncforce_needs"
AND = "+"  # between the things that are needed
SENT = ("direct-energy", "direct-virial")  # options of a driver, and what may be needed
VIRIAL = "virial"  # the same of conservative forces, which have no option for it
DIGITS = 12  # of SHA-256: INIT strings are short, some programs take 1024 bytes


def of_file(path: Path) -> str:
    """Identity of a model that is a file: the same wherever it lies and whatever it is called."""
    return f"sha256-{sha256(path)[:DIGITS]}"


def of_name(family: str, name: str) -> str:
    """Identity of a model that its family knows by name."""
    return quote(f"{family}/{name}", safe="/-._")


def of_atoms(numbers: ArrayLike) -> str:
    """Identity of atomic numbers ``(n_atoms,)`` in their order, of which the protocol says none."""
    data = np.ascontiguousarray(numbers, "<i4").tobytes()
    return f"sha256-{hashlib.sha256(data).hexdigest()[:DIGITS]}"
