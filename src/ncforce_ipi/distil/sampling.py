"""Data: displaced copies, the teacher's own dynamics, and what the student's runs show.

Each function is one stage: it writes a data file and says how many frames it has.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from ncforce_ipi.distil import points
from ncforce_ipi.distil.displaced import displaced
from ncforce_ipi.distil.heldout import apart
from ncforce_ipi.distil.request import Condition
from ncforce_ipi.distil.selection import fingerprint, pick
from ncforce_ipi.distil.session import Session, dynamics, last_frame, slow_calls
from ncforce_ipi.distil.several import BATCH
from ncforce_ipi.distil.state import Result
from ncforce_ipi.distil.student import HELD_OUT
from ncforce_ipi.errors import RunError
from ncforce_ipi.inputs.ensembles import DEFAULT_TAU_FS, Ensemble, EnsembleName
from ncforce_ipi.inputs.outputs import Strides
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch.directory.claim import is_run
from ncforce_ipi.rundir import read_record

log = logging.getLogger(__name__)
TRAINED, HELD = 0.6, 0.7  # of the reference: up to here trained on, from there held out


def file_of(session: Session, name: str) -> Path:
    """A data file."""
    return session.data / f"{name}.extxyz"


def small(frames: Sequence[Atoms], limit: float) -> list[Atoms]:
    """Frames without a force component beyond a limit, eV/A."""
    return [a for a in frames if np.abs(a.get_forces()).max() <= limit]


def displace(session: Session) -> tuple[Result, int]:
    """Displaced and strained copies of every start, labelled by the teacher."""
    choices, frames = session.choices, []
    random = np.random.default_rng(session.request.seed)
    starts = {one.structure: one.atoms for one in session.systems}
    before = session.teacher.calls
    for start in starts.values():
        copies = displaced(
            start, choices.n_displaced, choices.displacement_A, choices.strain, random
        )
        frames += _labelled(session, list(copies))
    kept, file = small(frames, choices.force_limit_eV_per_A), file_of(session, "displaced")
    if kept:
        points.save(kept, file)
    else:
        file.unlink(missing_ok=True)
        log.warning(
            "all %d displaced copies have a force beyond %g eV/A and are left out: the pair learns "
            "from dynamics alone; is the start relaxed? --set displacement_A=%.2g displaces less",
            len(frames), choices.force_limit_eV_per_A, 0.5 * choices.displacement_A,
        )  # fmt: skip
    return {"n_frames": len(kept)}, session.teacher.calls - before


def _labelled(session: Session, frames: list[Atoms]) -> list[Atoms]:
    """Labels, some frames for each process at a time, so that it is seen how far they are."""
    size = BATCH * session.request.n_drivers
    done: list[Atoms] = []
    with session.progress("labels", len(frames), "frames") as advance:
        while len(done) < len(frames):
            done += session.teacher.label(frames[len(done) : len(done) + size])
            advance(len(done))
    return done


def teach(session: Session, system: Condition) -> tuple[Result, int]:
    """The teacher's own dynamics: a warm-up with a thermostat, then the reference of the tests.

    Raises
    ------
    RunError
        It ran away: with slow forces alone, that isn't the student's fault.  Or no frame is left.
    """
    choices, ensemble = session.choices, _warm_up(session)
    calls = 0
    warm, reference = f"warm-{system.name}", f"reference-{system.name}"
    for name, start, time_ps, kind in (
        (warm, system.structure, choices.warm_ps, ensemble),
        (reference, last_frame(session.run(warm)), choices.reference_ps, _tested(session)),
    ):
        plan = Plan.from_time("slow", 1, choices.timestep_fs, time_ps)
        record = dynamics(
            session, name, plan, start=start, temperature_K=system.temperature_K, ensemble=kind,
            write_forces=_stride(plan, choices.n_taught),
        )  # fmt: skip
        calls += slow_calls(record)
        if record["state"] != "finished":
            raise RunError(
                f"slow forces alone don't get through {name}: {record['reason']}; relax the start "
                "(ncforce optimize), or give a smaller --timestep-fs"
            )
    known = points.outer_points(session.run(warm))
    frames = _every(known, range(len(known)), "warm", choices.n_taught)
    known = points.outer_points(session.run(reference))
    n = len(known)
    frames += _every(known, range(int(TRAINED * n)), "reference", choices.n_taught)
    held_out = _every(known, range(int(HELD * n), n), "held-out", choices.n_held_out)
    kept = small(frames, choices.force_limit_eV_per_A)
    if not kept:
        raise RunError(
            f"all {len(frames)} frames of slow forces alone ({name}) have a force beyond "
            f"{choices.force_limit_eV_per_A:g} eV/A, so that there is nothing to learn from; relax "
            "the start (ncforce optimize), or give a larger --set force_limit_eV_per_A"
        )
    points.save(kept, file_of(session, f"teacher-{system.name}"))
    points.save(held_out, session.out / "held-out" / f"{system.name}.extxyz")
    return {"n_frames": len(kept), "n_held_out": len(held_out)}, calls


def _stride(plan: Plan, n_frames: int) -> int:
    """Steps between two frames of a run that is to have so many, or as many as any run has."""
    return min(Strides.of(plan).position, max(1, plan.n_outer // max(1, n_frames)))


def _every(known: points.Points, places: range, kind: str, most: int) -> list[Atoms]:
    """At most so many of the frames at these places, evenly spaced."""
    chosen = np.unique(np.linspace(places.start, places.stop - 1, min(most, len(places))).round())
    return [known.atoms(int(k), kind) for k in chosen]


def _tested(session: Session) -> Ensemble:
    """The ensemble of the reference and of the tests."""
    return Ensemble("npt" if session.request.npt else "nve")


def _warm_up(session: Session) -> Ensemble:
    """A crystal at rest has to take up as much again as its velocities have, in any time.

    Five time constants of the thermostat: harmonic oscillators of 50 to 1100 cm^-1 that start at
    rest then have 98 % of their energy after 0.13 ps; with 100 fs they have 93 % (87 % at constant
    pressure), with ten time constants the slow ones lag behind, or SVR overheats them.
    """
    name: EnsembleName = "npt" if session.request.npt else "langevin"
    tau_fs = min(DEFAULT_TAU_FS[name], 1e3 * session.choices.warm_ps / 5)
    return Ensemble(name, tau_fs=tau_fs)


def hold_out(session: Session) -> tuple[Result, int]:
    """One file of all frames that are held out."""
    frames = [a for path in sorted((session.out / "held-out").glob("*.extxyz"))
              for a in points.load(path)]  # fmt: skip
    points.save(frames, file_of(session, HELD_OUT))
    return {"n_frames": len(frames)}, 0


def test_run(
    session: Session, name: str, system: Condition, student: Path, mts: int, n_steps: int
) -> tuple[Path, int]:
    """The run that is compared with the reference: its directory, and calls of the teacher.

    One that was begun with more than ``n_steps`` outer steps, when more time was left, keeps them.
    """
    directory = session.run(name)
    plan = _plan(session, directory, mts, n_steps)
    start = last_frame(session.run(f"warm-{system.name}"))
    record = dynamics(
        session, name, plan, start=start, temperature_K=system.temperature_K,
        ensemble=_tested(session), student=student,
    )  # fmt: skip
    return directory, slow_calls(record)


def _plan(session: Session, directory: Path, mts: int, n_steps: int) -> Plan:
    if is_run(directory):
        n_steps = max(n_steps, int(read_record(directory)["plan"]["n_outer"]))
    return Plan("mts", mts, session.choices.timestep_fs, n_steps)


def heat(
    session: Session, name: str, system: Condition, student: Path, n_steps: int
) -> tuple[Result, int]:
    """A hot run of the pair, for frames beyond what a run meets."""
    choices = session.choices
    plan = _plan(session, session.run(name), session.request.mts, n_steps)
    start = last_frame(session.run(f"warm-{system.name}"))
    record = dynamics(
        session, name, plan, start=start, temperature_K=choices.hot * system.temperature_K,
        ensemble=Ensemble("langevin"), student=student,
    )  # fmt: skip
    return {"ended": record["reason"]}, slow_calls(record)


def not_held_out(session: Session, frames: Sequence[Atoms]) -> list[int]:
    """Places of the frames that aren't nearly held out."""
    files = sorted(session.data.glob("teacher-*.extxyz"))
    taught = [a for path in files for a in points.load(path) if a.info["kind"] == "reference"]
    return apart(frames, points.load(file_of(session, HELD_OUT)), taught)


def learn(session: Session, round_: int, runs: Sequence[str]) -> tuple[Result, int]:
    """Pick frames of runs of the pair, which become data without a call of the teacher."""
    choices, species = session.choices, session.species
    own = file_of(session, f"round-{round_:02d}")
    others = [path for path in sorted(session.data.glob("*.extxyz")) if path != own]
    known = np.array(
        [fingerprint(a, species, choices.cutoff_A) for path in others for a in points.load(path)]
    )
    frames: list[Atoms] = []
    for name in runs:
        found = points.outer_points(session.run(name))
        kind = name.split("-")[2]  # of round-01-hot-1-300K
        usable = found.below(choices.force_limit_eV_per_A)
        usable = [usable[k] for k in not_held_out(session, [found.atoms(k, kind) for k in usable])]
        candidates = [found.atoms(k, kind) for k in usable]
        prints = np.array([fingerprint(a, species, choices.cutoff_A) for a in candidates])
        chosen = pick(found.rms[usable], prints, known, choices.n_picked)
        frames += [candidates[k] for k in chosen]
        known = np.concatenate([known, prints[chosen]]) if chosen else known
    if frames:
        points.save(frames, own)
    return {"n_frames": len(frames)}, 0
