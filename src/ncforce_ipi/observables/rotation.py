"""Temperatures of an isolated system, whose rotation may hold no heat.

Owns who is asked: the ensemble, the periodicity that files state, and a few frames of positions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ncforce_ipi.analysis.freedom import Freedom
from ncforce_ipi.analysis.rotation import Spin, about_centre, is_isolated, spin_of
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.freedom import SAMPLE, sample_frames
from ncforce_ipi.observables.replica import Replica
from ncforce_ipi.observables.source import Source
from ncforce_ipi.observables.velocities import Kinetics
from ncforce_ipi.reading.directory import trajectory_in
from ncforce_ipi.reading.firstframe import read_first
from ncforce_ipi.reading.metadata import RunMetadata
from ncforce_ipi.reading.trajectory import Trajectory

FEWEST = 8
"""Frames, at least, that show whether something is constant."""


def note_of(one: Kinetics) -> tuple[str, ...]:
    """What the angular momentum does to the temperatures, in lines; none where it does nothing.

    That is so where a thermostat kicks single atoms, where some are held, in a system that is
    periodic along a vector and has no vacuum there, and where no file says what it is.
    """
    freedom = one.freedom
    along = freedom.moving.any(axis=0)  # of atoms that all move in one plane, two axes
    n_rotations = {3: 2 if len(freedom.moving) == 2 else 3, 2: 1}.get(int(along.sum()), 0)
    held = freedom.n_constraints > 0 or (along & ~freedom.moving.all(axis=0)).any()
    if len(freedom.moving) < 2 or not n_rotations or held:
        return ()
    if _kicked(one.replica.source.metadata, freedom):
        return ()
    isolated, spin = _look(one.replica)
    return _lines(freedom.dof(), n_rotations, spin) if isolated else ()


def _kicked(metadata: RunMetadata, freedom: Freedom) -> bool:
    """Whether a thermostat acts on single atoms; where nothing says it, the centre of mass does."""
    if metadata.kicks is not None:
        return metadata.kicks
    return set(freedom.centre) == {"free"}


def _look(replica: Replica) -> tuple[bool, Spin | None]:
    """Whether the system is isolated, and its angular momentum where positions show it.

    Of a periodic system without vacuum one frame is read.
    """
    trajectory, masses_u = replica.trajectory, replica.masses_u()
    said = False
    try:
        pbc = read_first(trajectory.path, trajectory.quantity, trajectory.unit).pbc
        said = pbc is not None and not any(pbc)
        first = read_first(trajectory_in(replica.source.path, "positions"), "positions")
        if len(first.values) != len(masses_u):
            return said, None
        vacuum_A = about_centre(
            first.values[None], first.cell[None], first.pbc or (False,) * 3, masses_u
        )[1]
        if not said and not is_isolated(vacuum_A):
            return False, None
        roomy, spin = _of_frames(replica)
    except (InputError, np.linalg.LinAlgError):  # none, or damaged: who needs all frames is told
        return said, None
    sure = first.pbc is not None or (spin is not None and spin.constant)
    return said or (roomy and sure), spin


def _of_frames(replica: Replica) -> tuple[bool, Spin | None]:
    """Whether vacuum is all around in all of a few frames, and the angular momentum in them."""
    source, velocities, masses_u = replica.source, replica.trajectory, replica.masses_u()
    run = source if source.is_run else Source(source.path, source.options, whole=True)
    positions = run.all_frames("positions")
    numbered = velocities.numbered and positions.numbered
    both = np.intersect1d(velocities.steps, positions.steps)
    alike = np.array_equal(velocities.species, positions.species)
    if len(both) < FEWEST or not alike or not (numbered or velocities.path == positions.path):
        return True, None
    steps = both[np.unique(np.linspace(0, len(both) - 1, SAMPLE).astype(np.int64))]
    pairs = list(zip(*(sample_frames(_at(one, steps)) for one in (positions, velocities)),
                     strict=False))  # fmt: skip
    places, cells, moves = (
        np.concatenate(part)
        for part in zip(*((at.values, at.cells, move.values) for at, move in pairs), strict=True)
    )
    if velocities.quantity == "momenta":
        moves = moves / masses_u[:, None]
    about, vacuum_A = about_centre(places, cells, positions.pbc, masses_u)
    if not is_isolated(vacuum_A):
        return False, None
    known = replica.bead is None and len(pairs) >= FEWEST
    return True, spin_of(about, moves, masses_u) if known else None


def _at(trajectory: Trajectory, steps: np.ndarray) -> Trajectory:
    """Its frames at some of its steps."""
    rows = np.searchsorted(trajectory.steps, steps)
    return replace(trajectory, steps=steps, spans=trajectory.spans[rows])


def _lines(dof: float, n_rotations: int, spin: Spin | None) -> tuple[str, ...]:
    as_heat = min(n_rotations / max(dof, 1.0), 1.0)  # share of the kinetic energy
    some = f"up to {n_rotations} of the {dof:.6g} degrees of freedom"
    if spin is None or not spin.constant:
        return (
            "an isolated system keeps its angular momentum, unless a thermostat kicks single atoms "
            "(Langevin, PILE, GLE)",
            f"without one, {some} hold no heat, or one fixed amount",
            f"T is then too low by up to {100.0 * as_heat:.2g} %, or too high if the system spins "
            "fast, and each species is off by another amount",
        )
    off = (1.0 - as_heat) / max(1.0 - spin.share, 1e-3) - 1.0  # of T, from that of all else
    return (
        f"the angular momentum of this isolated system is constant in {spin.n_frames} frames",
        f"its rotation, {some}, holds {round(100.0 * spin.share, 1):g} % of the kinetic energy, "
        f"which isn't heat ({100.0 * as_heat:.2g} % would be)",
        f"T is about {100.0 * abs(off):.2g} % too {'low' if off < 0.0 else 'high'}, and each "
        "species is off by another amount",
    )
