"""Whether a slow and a fast force go together in multiple time steps, before a run."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ncforce_ipi.backend import Structure
from ncforce_ipi.diagnostics import bonds, resonance
from ncforce_ipi.diagnostics.equipartition import kinetic_shares, species_temperatures
from ncforce_ipi.diagnostics.estimators import estimate
from ncforce_ipi.diagnostics.inspection import Inspection, Point
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.diagnostics.progress import Progress, silent
from ncforce_ipi.diagnostics.sides import Side, agreement, cost
from ncforce_ipi.diagnostics.stability import (
    Growth,
    exact_or_differences,
    growths,
    measure_stiffness,
)
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.structures import Frame, as_frames
from ncforce_ipi.species import NUMBERS

if TYPE_CHECKING:
    from ase import Atoms

log = logging.getLogger(__name__)
MOST_ATOMS = 400  # whose normal modes are taken
MOST_BONDS = 40
PROBES = 8
ModesOf = Literal["auto", "normal", "bonds"]


def inspect_pair(
    slow: Side,
    fast: Side,
    structures: Sequence[Frame | Structure | Atoms],
    *,
    step_fs: float = 0.5,
    most_mts: int = 16,
    modes: ModesOf = "auto",
    n_modes_structures: int = 1,
    masses_u: Mapping[str, float] | None = None,
    progress: Progress = silent,
) -> Inspection:
    """Compare two forces, time them, and say at which M modes would grow.

    Parameters
    ----------
    slow, fast : metatomic models are turned to float64 after the timing
    structures : ours or ASE's, with their masses; forces are compared on all
    step_fs : inner step, fs
    modes : normal modes (auto: up to 400 atoms) or stretches of 40 of the lightest bonds
    n_modes_structures : modes of so many of the structures, evenly spaced
    masses_u : by element symbol, u; those of all others are the structure's, else ASE's, which
        i-PI takes

    Raises
    ------
    InputError
        The two forces are the same, a model lacks the kind of force, or too many atoms for
        normal modes; a mass of an element that no structure has.
    """
    _check(slow, fast)
    if n_modes_structures < 1:
        raise InputError(f"expected modes of 1 structure or more, got {n_modes_structures}")
    frames = as_frames(structures)
    all_of_them = [frame.structure for frame in frames]
    present = {int(z) for each in all_of_them for z in each.numbers}
    if strange := [s for s in masses_u or {} if s in NUMBERS and NUMBERS[s] not in present]:
        raise InputError(f"a mass of {strange[0]}, which no structure has; leave it out")
    if n_modes_structures > len(all_of_them):
        log.warning(
            "modes of %d structures, not %d: there are no more",
            len(all_of_them), n_modes_structures,
        )  # fmt: skip
    n = min(n_modes_structures, len(all_of_them))
    places = np.linspace(0, len(all_of_them) - 1, n).round().astype(int)
    chosen = [
        (all_of_them[k], masses(all_of_them[k], masses_u or {}, frames[k].masses_u)) for k in places
    ]
    if held := [frames[k].name for k in places if frames[k].held]:
        log.warning("%s has atoms that are held; its modes here are those of free atoms", held[0])
    compared = agreement(slow, fast, all_of_them)
    timed = cost(slow, fast, all_of_them[0])  # before anything is turned to float64
    points = []
    for structure, mass in chosen:
        small = len(mass) <= MOST_ATOMS
        if modes == "normal" and not small:
            raise InputError(
                f"normal modes of {len(mass)} atoms are too many, expected {MOST_ATOMS} or fewer; "
                "use --modes bonds"
            )
        if modes == "bonds" or not small:
            points.append(_of_bonds(slow, fast, structure, mass, most_mts, step_fs))
        else:
            points.append(_of_modes(slow, fast, structure, mass, most_mts, step_fs, progress))
    slow_name, fast_name = (f"{s.backend.description}, {s.kind} forces" for s in (slow, fast))
    return Inspection(
        slow_name,
        fast_name,
        len(all_of_them),
        len(all_of_them[0].numbers),
        compared,
        timed,
        points,
        step_fs,
    )


def _check(slow: Side, fast: Side) -> None:
    for side in (slow, fast):
        if side.kind not in side.backend.kinds:
            raise InputError(
                f"{side.backend.description} has no {side.kind} forces, only "
                f"{' and '.join(side.backend.kinds)}"
            )
    if slow.backend is fast.backend and slow.kind == fast.kind:
        raise InputError(
            f"slow and fast are both the {fast.kind} forces of {slow.backend.description}; "
            "expected two different forces"
        )


def masses(
    structure: Structure, given_u: Mapping[str, float], known_u: Array | None = None
) -> Array:
    """Masses ``(n_atoms,)``, u: those given by element symbol, else those known, else ASE's.

    Raises
    ------
    InputError
        No such element.
    """
    from ase.data import atomic_masses

    found: Array = np.array(atomic_masses[structure.numbers] if known_u is None else known_u)
    for symbol, mass in given_u.items():
        if symbol not in NUMBERS:
            raise InputError(f"a mass of {symbol!r}; expected the symbol of an element")
        found[structure.numbers == NUMBERS[symbol]] = mass
    return found


def _of_modes(
    slow: Side,
    fast: Side,
    structure: Structure,
    masses_u: Array,
    most_mts: int,
    step_fs: float,
    progress: Progress,
) -> Point:
    matrices = []
    for side, name in ((slow, "slow"), (fast, "fast")):
        with progress(f"stiffness, {name}", 3 * len(masses_u), "products") as advance:
            matrices.append(measure_stiffness(side, structure, masses_u, advance))
    d_slow, d_fast = matrices
    return Point(
        resonance.modes(d_slow.matrix, d_fast.matrix),
        growths(d_slow, d_fast, most_mts, step_fs),
        d_fast.asymmetry,
        d_fast.noise,
        d_slow.noise,
        [
            species_temperatures(shares, structure.numbers, masses_u)
            for shares in kinetic_shares(d_slow.matrix, d_fast.matrix, most_mts, step_fs)
        ],
    )


def _of_bonds(
    slow: Side, fast: Side, structure: Structure, masses_u: Array, most_mts: int, step_fs: float
) -> Point:
    """Each of the lightest bonds alone; lambda is an estimate."""
    pairs = bonds.bonds(structure, masses_u, MOST_BONDS)
    modes = bonds.stretches(slow.at(structure), fast.at(structure), structure, masses_u, pairs)
    products, noise = exact_or_differences(fast, structure)
    asymmetry, _ = estimate(products, structure.numbers, PROBES).total
    found = []
    for mts in range(1, most_mts + 1):
        a = resonance.half_trace(modes.omega, modes.delta, mts, step_fs).astype(complex)
        found.append(Growth(resonance.growth(a, mts, step_fs)))
    return Point(modes, found, asymmetry, noise / math.sqrt(2) if noise else math.nan)
