"""What `inspect-pair` says of teacher and student at one frame, for what the budget allows."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.diagnostics.inspection import Inspection
from ncforce_ipi.diagnostics.pair import MOST_ATOMS, MOST_BONDS, ModesOf, inspect_pair
from ncforce_ipi.diagnostics.sides import Cost, Side
from ncforce_ipi.distil.points import load
from ncforce_ipi.distil.session import Session
from ncforce_ipi.distil.state import Result
from ncforce_ipi.distil.student import HELD_OUT, open_student
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.held import held
from ncforce_ipi.reading.structures import Frame, to_structure

log = logging.getLogger(__name__)
SHARE = 0.12  # of the calls
FIXED = 108 + 10  # calls of the search for a step, and of the timing
INSTEAD = "all modes take too many calls of the teacher for this budget"
TOO_FAST_PER_PS = 1.0  # a mode that grows by e in a picosecond outpaces what a liquid carries off


def inspect(session: Session, student: Path) -> tuple[Result, int]:
    """Modes, margins and growth up to twice the M asked for; empty where it costs too much.

    The frame is the same in each round, so that the teacher is asked only in the first.
    """
    frame = inspected(session)
    modes = _affordable(session, len(frame.structure.numbers))
    if modes is None:
        return {"why_not": "too many calls of the teacher for this budget"}, 0
    before = session.teacher.calls
    with open_student(student, session.request.first_device, session.request.threads) as backend:
        try:
            found = inspect_pair(
                Side(session.teacher, "conservative"), Side(backend, "direct"),
                [frame], step_fs=session.choices.timestep_fs,
                most_mts=2 * session.request.mts, modes=modes, progress=session.progress,
            )  # fmt: skip
        except InputError as err:  # no bonds
            return {"why_not": why_not(err)}, session.teacher.calls - before
    # of the teacher, later rounds know the answers: what a call takes was measured before
    cost = Cost(1e3 * session.known.seconds, found.cost.fast_ms, None)
    return _record(replace(found, cost=cost), session.request.mts), session.teacher.calls - before


def inspected(session: Session) -> Frame:
    """The first that was held out, with the masses of its system, as data files have none."""
    atoms = load(session.data / f"{HELD_OUT}.extxyz")[0]
    systems = sorted(session.systems, key=lambda one: f"{one.name}.extxyz")  # as files were read
    system = next(one for one in systems if np.array_equal(one.atoms.numbers, atoms.numbers))
    masses_u, fixed = system.atoms.get_masses(), bool(held(system.atoms).any())
    return Frame(system.name, to_structure(atoms), fixed, masses_u)


def why_not(err: InputError) -> str:
    """What stands in the way of modes, without an option that isn't one of a distillation."""
    return str(err).replace("give --modes normal", INSTEAD)


def _affordable(session: Session, n_atoms: int) -> ModesOf | None:
    """The better way that keeps within a share of the calls."""
    most = SHARE * session.choices.calls
    if n_atoms <= MOST_ATOMS and 6 * n_atoms + FIXED <= most:
        return "normal"
    return "bonds" if most >= 2 * MOST_BONDS + 10 else None


def _record(found: Inspection, mts: int) -> dict[str, Any]:
    row, twice = found.rows[mts - 1], found.rows[2 * mts - 1]
    return {
        "modes": len(found.modes[0].omega),
        "largest_M_without_growth": found.largest,
        "margin": row.margin,
        "stability": row.stability,
        "fastest_growth_per_ps": row.worst_per_ps,
        "twice": {"stability": twice.stability, "fastest_growth_per_ps": twice.worst_per_ps},
        "slow_ms": found.cost.slow_ms,
        "fast_ms": found.cost.fast_ms,
        "largest_delta": float(abs(found.modes[0].delta).max()),
    }


def forbids(record: Result) -> bool:
    """Whether a mode grows faster than anything could make up for."""
    return record.get("stability") == "grows" and record["fastest_growth_per_ps"] > TOO_FAST_PER_PS
