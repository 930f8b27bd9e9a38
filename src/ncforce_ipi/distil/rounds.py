"""Rounds: a student is trained, tested, and learns from its tests; and the M that are allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ncforce_ipi.distil import lengths, sampling
from ncforce_ipi.distil.inspection import forbids, inspect
from ncforce_ipi.distil.points import load
from ncforce_ipi.distil.request import Condition
from ncforce_ipi.distil.session import Session, longer, slow_calls
from ncforce_ipi.distil.state import Result
from ncforce_ipi.distil.student import (
    CHECKPOINT,
    HELD_OUT,
    MODEL,
    call_ms,
    errors,
    forces,
    open_student,
    recipe,
    train,
)
from ncforce_ipi.distil.trial import Trial, judge
from ncforce_ipi.training.fit import Watch


@dataclass(frozen=True)
class Round:
    """What one student is worth.

    Attributes
    ----------
    number : from 1
    errors : on held-out frames, see `student.Errors`
    inspection : see `inspection.inspect`
    trials : by the name of the system, at the M asked for
    """

    number: int
    errors: Result
    inspection: Result
    trials: dict[str, Trial]

    @property
    def passes(self) -> bool:
        """Whether the pair passes everywhere."""
        return all(one.passes for one in self.trials.values()) and not forbids(self.inspection)

    @property
    def reasons(self) -> list[str]:
        """Why it doesn't."""
        found = [f"{name}, {why}" for name, one in self.trials.items() for why in one.reasons]
        if forbids(self.inspection):
            rate = self.inspection["fastest_growth_per_ps"]
            found.append(f"a mode grows by {rate:.2g}/ps (inspect-pair)")
        return found


def rounds(session: Session) -> list[Round]:
    """Students one after the other, until one passes or the budget is spent."""
    tried: list[Round] = []
    first_free = _last_added(session) + 1
    while True:
        number = len(tried) + 1
        tried.append(_round(session, number))
        verdict = "passes" if tried[-1].passes else "; ".join(tried[-1].reasons)
        session.say(f"round {number}", f"M = {session.request.mts}: {verdict}")
        enough = tried[-1].passes and number >= first_free
        known = f"round-{number:02d}/learn" in session.state.stages
        if enough or not (known or _another(session, number, first_free)):
            if not enough:
                session.say("no more rounds", _why_no_more(session, number))
            return tried
        _learn(session, number)


def _last_added(session: Session) -> int:
    """The round after which frames were added last: at least one more is trained."""
    stages = session.state.stages
    return max((s["after_round"] for k, s in stages.items() if k.startswith("added-")), default=0)


def _another(session: Session, number: int, first_free: int) -> bool:
    """Whether the budget has room for another round: it takes what this one took."""
    if number < first_free:
        return True
    return number < session.choices.rounds and session.affords(*_cost(session, number))


def _cost(session: Session, number: int) -> tuple[int, float]:
    """Calls of the teacher and seconds of a round like this one, with the frames it learns from."""
    name, mts = f"round-{number:02d}", session.request.mts
    fast_ms = _fast_ms(session, number)
    steps = lengths.asked(session, fast_ms) + lengths.hot(session, fast_ms)
    seconds = session.state.took_s(f"{name}/train")
    for system in session.systems:
        trial = Trial.of(session.state.stages[f"{name}/mts{mts}-{system.name}"])
        step_s = lengths.outer_s(session, trial, mts)
        seconds += steps * step_s if math.isfinite(step_s) else 0.0
    return steps * len(session.systems), seconds


def _fast_ms(session: Session, number: int) -> float:
    """Of a call of a round's student."""
    return float(session.state.stages[f"round-{number:02d}/train"]["fast_ms"])


def _why_no_more(session: Session, number: int) -> str:
    """What ended the rounds before a student passed, and what would let them go on."""
    if number >= session.choices.rounds:
        return f"{number} are done, as many as were chosen (--set rounds=N when it begins)"
    calls, seconds = _cost(session, number)
    return (
        f"another takes about {math.ceil(seconds / 60.0)} min, which the budget hasn't; "
        f"{session.enough(calls, seconds)} with --resume is enough"
    )


def _round(session: Session, number: int) -> Round:
    once, name = session.state.once, f"round-{number:02d}"
    found = once(f"{name}/train", lambda: _train(session, number))
    direct = found["errors"]["direct_meV_per_A"]["all"]
    session.say(f"round {number} trained", f"direct forces {direct:.1f} meV/A off, held out")
    student = session.training(number) / MODEL
    inspection = once(f"{name}/inspect", lambda: inspect(session, student))
    mts, n_steps = session.request.mts, lengths.asked(session, _fast_ms(session, number))
    trials = {
        system.name: _trial(session, name, system, student, mts, n_steps)
        for system in session.systems
    }
    return Round(number, found["errors"], inspection, trials)


def _train(session: Session, number: int) -> tuple[Result, int]:
    request, out = session.request, session.training(number)
    session.say(f"round {number} training", "begins")
    initial = session.training(number - 1) / CHECKPOINT if number > 1 else None
    how = recipe(
        session.choices, session.species, session.data, seed=request.seed + number,
        again=initial is not None, teacher=session.known.description,
    )  # fmt: skip
    student = train(
        how, session.data, out, initial=initial, choices=session.choices,
        device=request.first_device, threads=request.threads, watch=_watch(session, number),
    )  # fmt: skip
    held_out = load(session.data / f"{HELD_OUT}.extxyz")
    with open_student(student, request.first_device, request.threads) as backend:
        fast_ms = call_ms(backend, max(held_out, key=len))
        found = errors(forces(backend, held_out), held_out)
    counts = {p.stem: len(load(p)) for p in session.data.glob("*.extxyz") if p.stem != HELD_OUT}
    return {"errors": found.to_dict(), "n_frames": counts, "fast_ms": fast_ms}, 0


def _watch(session: Session, number: int) -> Watch:
    """Say how far a training is."""

    def say(progress: float, row: Mapping[str, float | str]) -> None:
        off = f"direct forces {row['val_direct_meV_per_A']} meV/A off, held out"
        session.say(f"round {number} training", f"{min(progress, 1.0):.0%}, {off}")

    return say


def _trial(
    session: Session, prefix: str, system: Condition, student: Path, mts: int, n_steps: int
) -> Trial:
    name = f"{prefix}-mts{mts}-{system.name}"

    def make() -> tuple[Result, int]:
        reference = session.run(f"reference-{system.name}")
        tolerance = session.choices.tolerance_meV_per_atom_per_ps
        begin_s = session.state.seconds
        directory, calls = sampling.test_run(session, name, system, student, mts, n_steps)
        found, doubled = judge(directory, reference, tolerance), 0
        asked = mts == session.request.mts
        while doubled < session.choices.longer and undecided(found, doubled, asked=asked):
            # as many calls again as this stage took, which the record doesn't count yet
            if not session.affords(2 * calls, session.state.seconds - begin_s):
                break
            calls = slow_calls(longer(session, name, 2.0 * found.time_ps))
            found, doubled = judge(directory, reference, tolerance), doubled + 1
        return found.to_dict(), calls

    return Trial.of(session.state.once(f"{prefix}/mts{mts}-{system.name}", make))


def undecided(trial: Trial, doubled: int, *, asked: bool) -> bool:
    """Whether a run of twice the length is to tell what the drift is.

    Once where it is open: the time is better spent on a better student.  Where the change in the
    run is small but the interval is wide, the pair would be taken, so that more is done to be sure,
    at the M that was asked for.

    Parameters
    ----------
    doubled : how often it was already
    asked : whether it is the M asked for
    """
    if trial.ended:
        return False
    if trial.by_bound:
        return asked
    return trial.answers["drift"] == "open" and doubled < 1


def _learn(session: Session, number: int) -> None:
    """Frames of the test and of a hot run, for the next round."""
    name, student = f"round-{number:02d}", session.training(number) / MODEL
    n_steps, runs = lengths.hot(session, _fast_ms(session, number)), []
    for system in session.systems:
        hot = f"{name}-hot-{system.name}"
        session.state.once(
            f"{name}/hot-{system.name}",
            lambda h=hot, s=system: sampling.heat(session, h, s, student, n_steps),  # type: ignore[misc]
        )
        runs += [f"{name}-mts{session.request.mts}-{system.name}", hot]
    found = session.state.once(f"{name}/learn", lambda: sampling.learn(session, number, runs))
    session.say(f"round {number} learnt", f"{found['n_frames']} frames where the forces disagree")


Scan = dict[int, list[Trial]]


def allowed(session: Session, tried: Sequence[Round]) -> tuple[Round, Scan]:
    """The round whose student is taken, and its tests by M, as far as the budget allows.

    A round of which a smaller M is known to pass, from before, isn't given up for one of which none
    does: short tests are noisy, and what has passed stays a pair.
    """
    best = _best(tried)
    scan = _scan(session, best)
    if not _largest(scan):
        known = {one.number: _tested(session, one) for one in tried if one is not best}
        earlier = max(known, key=lambda number: (_largest(known[number]), number), default=0)
        if earlier and _largest(known[earlier]):
            best, scan = tried[earlier - 1], known[earlier]
    if best.number < len(tried):
        session.say(
            f"round {best.number}", "its student is taken: those of later rounds do no better"
        )
    return best, dict(sorted(scan.items()))


def _scan(session: Session, best: Round) -> Scan:
    """Tests of one student at other M than that asked for.

    Where that passes, at twice and half of it.  Else at halves until one passes, which leaves a
    pair however little time there is, and then between that and what didn't pass.
    """
    asked = session.request.mts
    scan = {asked: list(best.trials.values())}
    others = (_twice(session, best), asked // 2) if best.passes else _halves(asked)
    for mts in others:
        if _test(session, best, scan, mts) and not best.passes:
            _test(session, best, scan, _above(mts))
            break
    return scan


def _twice(session: Session, best: Round) -> int:
    """Twice the M asked for; 0 where modes grow there, so that a test is known to fail."""
    mts, known = 2 * session.request.mts, best.inspection.get("twice", {})
    if not forbids(known) or mts in _tested(session, best):
        return mts
    rate = known["fastest_growth_per_ps"]
    session.say(f"M = {mts}", f"not tested: a mode grows by {rate:.2g}/ps (inspect-pair)")
    return 0


def _test(session: Session, best: Round, scan: Scan, mts: int) -> bool:
    """Add the tests at M = ``mts``, if there is room for them; whether all pass."""
    student, prefix = session.training(best.number) / MODEL, f"round-{best.number:02d}"
    asked, fast_ms = session.request.mts, _fast_ms(session, best.number)
    slowest = max(best.trials.values(), key=lambda one: lengths.outer_s(session, one, asked))
    n_steps = lengths.another(session, slowest, fast_ms, mts, all_of_it=not best.passes)
    if mts < 2 or not (mts in _tested(session, best) or n_steps):
        return False
    scan[mts] = [_trial(session, prefix, one, student, mts, n_steps) for one in session.systems]
    passes = all(one.passes for one in scan[mts])
    session.say(f"M = {mts}", "passes" if passes else "doesn't pass")
    return passes


def _tested(session: Session, one: Round) -> Scan:
    """What is known of a student from before."""
    asked, stages = session.request.mts, session.state.stages
    found = {}
    halves = _halves(asked)
    for mts in (2 * asked, asked, *halves, *map(_above, halves)):
        names = [f"round-{one.number:02d}/mts{mts}-{system.name}" for system in session.systems]
        if all(name in stages for name in names):
            found[mts] = [Trial.of(stages[name]) for name in names]
    return found


def _largest(scan: Scan) -> int:
    """M that passes everywhere; 0 if none does."""
    return max((mts for mts, those in scan.items() if all(t.passes for t in those)), default=0)


def _halves(mts: int) -> list[int]:
    found = []
    while mts >= 4:
        mts //= 2
        found.append(mts)
    return found


def _above(mts: int) -> int:
    """Between an M and twice that."""
    return mts + mts // 2


def _best(rounds: Sequence[Round]) -> Round:
    """The last one that passes; else, of those whose drifts can't be told apart, the most exact."""
    if passed := [one for one in rounds if one.passes]:
        return passed[-1]

    def drift(one: Round) -> tuple[float, float]:
        """Its largest, and the half width of that."""
        pairs = [
            (trial.excess_meV_per_atom_per_ps, trial.excess_ci95_meV_per_atom_per_ps)
            for trial in one.trials.values()
        ]
        return max(
            (abs(x) if math.isfinite(x) else math.inf, half if math.isfinite(half) else 0.0)
            for x, half in pairs
        )

    known = [one for one in rounds if math.isfinite(drift(one)[0])]
    if not known:
        return rounds[-1]
    limit = min(sum(drift(one)) for one in known)
    like = [one for one in known if drift(one)[0] - drift(one)[1] <= limit]
    return min(reversed(like), key=lambda one: one.errors["direct_meV_per_A"]["all"])


def last_trained(session: Session) -> int:
    """The number of the last student."""
    trained = [int(k.split("/")[0][6:]) for k in session.state.stages if k.endswith("/train")]
    return max(trained, default=0)
