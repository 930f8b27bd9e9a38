"""A distillation from end to end: sample, train, test, learn from the test, until a pair passes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ase import Atoms

from ncforce_ipi.diagnostics.progress import Progress, silent
from ncforce_ipi.distil import card, sampling
from ncforce_ipi.distil.choices import Choices, choose
from ncforce_ipi.distil.points import of_run, save
from ncforce_ipi.distil.request import Request, conditions
from ncforce_ipi.distil.rounds import allowed, last_trained, rounds
from ncforce_ipi.distil.session import Session
from ncforce_ipi.distil.state import FILE, State, check_free
from ncforce_ipi.distil.student import HELD_OUT
from ncforce_ipi.distil.taught import check_taught
from ncforce_ipi.distil.teacher import Known, Teacher
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.structure import structure_path
from ncforce_ipi.launch.between import Between
from ncforce_ipi.launch.directory.files import locked, make, set_aside
from ncforce_ipi.provenance import sha256

START = "start"  # copies of structures
MORE = 0.5  # of the first budget, for frames that are added later


def _teacher(request: Request) -> Teacher:
    return Teacher(request.teacher, request.devices, request.threads, request.n_drivers)


def preview(request: Request) -> tuple[Known, Choices]:
    """What would be chosen; nothing is written."""
    with tempfile.TemporaryDirectory() as folder:
        systems = conditions(request, Path(folder))
        with _teacher(request) as teacher:
            known = teacher.check([one.atoms for one in systems], npt=request.npt)
    return known, choose(request, systems, known.seconds)


def begin(
    request: Request,
    out: Path,
    *,
    force: bool = False,
    between: Between | None = None,
    progress: Progress = silent,
) -> card.Card:
    """A new distillation in a directory.

    Parameters
    ----------
    between : when it is to stop
    progress : how it is shown what many calls of the teacher have done

    Raises
    ------
    InputError
        Something is missing or makes no sense; nothing was written but the directory.
    RunError
        No M passes; the data and the students stay, and ``--resume`` goes on.
    """
    there = check_free(out, force=force)
    make(out)
    with locked(out), _nothing_left(out):
        set_aside(out, there)
        state = State.new(out, request.to_dict())
        with _teacher(request) as teacher:
            systems = conditions(request, out / START)
            known = teacher.check([one.atoms for one in systems], npt=request.npt)
            choices = choose(request, systems, known.seconds)
            state.record |= {"teacher": vars(known), "choices": choices.to_dict()}
            state.record["starts"] = _starts(request)
            state.record["calls"] = teacher.calls
            state.save()
            return _distil(
                Session(
                    out, request, systems, choices, state, known, teacher,
                    between or Between(), progress,
                )
            )  # fmt: skip


def go_on(
    out: Path,
    added: Sequence[Path],
    *,
    minutes: float | None,
    teacher_calls: int | None,
    where: Mapping[str, Any] | None = None,
    between: Between | None = None,
    progress: Progress = silent,
) -> card.Card:
    """Go on with a distillation, with frames of runs added if any are given.

    Parameters
    ----------
    minutes, teacher_calls : new totals; None: as they were, and with ``added`` half as much again
    where : another device, threads or drivers, by their names in `Request`
    between : when it is to stop
    progress : how it is shown what many calls of the teacher have done
    """
    State.read(out)
    with locked(out):
        state = State.read(out)
        request = replace(Request.of(state.record["request"]), **(where or {}))
        choices, known = Choices(**state.record["choices"]), Known(**state.record["teacher"])
        more = 1.0 + MORE * bool(added)
        minutes = minutes or (more * request.minutes if request.minutes else None)
        if teacher_calls is None and request.teacher_calls:
            teacher_calls = int(more * request.teacher_calls)
        choices = replace(choices, calls=teacher_calls or int(more * choices.calls))
        request = replace(request, minutes=minutes, teacher_calls=teacher_calls)
        with _teacher(request) as teacher:
            _check_same(state, request, teacher)
            systems = conditions(request, out / START)
            session = Session(
                out, request, systems, choices, state, known, teacher,
                between or Between(), progress,
            )  # fmt: skip
            _add(session, added)
            state.record |= {"request": request.to_dict(), "choices": choices.to_dict()}
            state.save()
            return _distil(session)


@contextmanager
def _nothing_left(out: Path) -> Iterator[None]:
    """What was stopped before there is anything to go on with can be begun again."""
    try:
        yield
    except BaseException:
        if not (out / FILE).exists():
            shutil.rmtree(out / START, ignore_errors=True)
        raise


def _starts(request: Request) -> dict[str, str]:
    """SHA-256 of every start's file."""
    return {source: sha256(structure_path(source)) for source in request.structures}


def _check_same(state: State, request: Request, teacher: Teacher) -> None:
    """Refuse to go on with another teacher or start than what the data are of."""
    then = state.record["teacher"]["sha256"]
    if teacher.digest != then:
        raise InputError(
            f"the file of {request.teacher} is another one than when this distillation began "
            f"(SHA-256 {teacher.digest or 'none':.12}, expected {then or 'none':.12}); begin anew"
        )
    for source, digest in _starts(request).items():
        if digest != state.record["starts"][source]:
            raise InputError(f"{source} has changed since this distillation began; begin anew")


def _add(session: Session, runs: Sequence[Path]) -> None:
    """Data from runs of the pair; the rounds go on with them."""
    stages = session.state.stages
    found = {path: _frames(session, path) for path in runs}  # all are refused, or none
    for path, frames in found.items():
        name = f"added-{sum(key.startswith('added-') for key in stages) + 1}"
        save(frames, sampling.file_of(session, name))
        stages[name] = {
            "n_frames": len(frames),
            "from": str(path),
            "after_round": last_trained(session),
        }
        session.say(name, f"{len(frames)} frames of {path}")


def _frames(session: Session, path: Path) -> list[Atoms]:
    """Of a run with the teacher's slow forces, those with forces below the limit."""
    check_taught(path, session.request.teacher)
    frames = sampling.small(of_run(path, session.species), session.choices.force_limit_eV_per_A)
    if not frames:
        raise InputError(f"{path} has no frame with forces below the limit; nothing to learn")
    if not sampling.file_of(session, HELD_OUT).is_file():
        return frames
    apart = sampling.not_held_out(session, frames)
    if not apart:
        raise InputError(
            f"the frames of {path} are nearly those that are held out, which nothing is trained "
            "on; add runs from other starts or with other velocities (--seed)"
        )
    if len(apart) < len(frames):
        n = len(frames) - len(apart)
        session.say("left out", f"{n} frames of {path}, which are nearly those held out")
    return [frames[k] for k in apart]


def _distil(session: Session) -> card.Card:
    try:
        _sample(session)
        tried = rounds(session)
        best, scan = allowed(session, tried)
        return card.publish(session, tried, best, scan)
    except KeyboardInterrupt:
        session.state.save()  # the time that was spent
        raise


def _sample(session: Session) -> None:
    once = session.state.once
    found = once("displaced", lambda: sampling.displace(session))
    session.say("displaced copies", f"{found['n_frames']} frames")
    for system in session.systems:
        found = once(f"teacher-{system.name}", lambda one=system: sampling.teach(session, one))  # type: ignore[misc]
        session.say(f"teacher's own run, {system.name}", f"{found['n_frames']} frames")
    once("held-out", lambda: sampling.hold_out(session))
