"""What a distillation leaves: the student, ``card.json`` and ``card.md``, figures, the command.

Owns what is said of a pair.  Where no M passes there is a card that says why, and no student.
"""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncforce_ipi.distil import figures
from ncforce_ipi.distil.rounds import Round
from ncforce_ipi.distil.session import Session
from ncforce_ipi.distil.state import plain
from ncforce_ipi.distil.student import HELD_OUT, MODEL
from ncforce_ipi.distil.trial import Trial
from ncforce_ipi.errors import RunError
from ncforce_ipi.inputs.service import parse_model
from ncforce_ipi.launch.directory.files import write_atomically
from ncforce_ipi.provenance import Provenance, sha256

CARD, PAGE, COMMAND = "card.json", "card.md", "run.txt"
ROOM = 1.1  # the band's upper end, of the largest RMS of a frame in the tests
Scan = Mapping[int, Sequence[Trial]]


@dataclass(frozen=True)
class Card:
    """What is said at the end.

    Attributes
    ----------
    mts : the largest M that passed
    speed_up : measured, against slow forces alone
    command : a run with the pair
    path : of the page
    """

    mts: int
    speed_up: float
    command: str
    path: Path


def publish(session: Session, tried: Sequence[Round], best: Round, scan: Scan) -> Card:
    """Write everything.

    Raises
    ------
    RunError
        No M passes.
    """
    mts = largest(scan, best)
    out, student = session.out, session.out / MODEL
    student.unlink(missing_ok=True)
    if mts is not None:
        partial = student.with_name(f"partial-{MODEL}")
        shutil.copyfile(session.training(best.number) / MODEL, partial)
        partial.replace(student)
    facts = _facts(session, tried, best, scan, mts)
    provenance = Provenance.of([])
    record = {"provenance": provenance.facts(), **facts}
    write_atomically(out / CARD, json.dumps(plain(record), indent=2, allow_nan=False) + "\n")
    write_atomically(out / PAGE, page(facts))
    figures.draw(session, tried, best, scan, provenance.lines())
    session.state.save()
    if mts is None:
        (out / COMMAND).unlink(missing_ok=True)
        raise RunError(_no_pair(scan, best))
    write_atomically(out / COMMAND, facts["command"] + "\n")
    return Card(mts, facts["speed_up"]["measured"] or math.nan, facts["command"], out / PAGE)


def largest(scan: Scan, best: Round) -> int | None:
    """The largest M that passes where no smaller one that was tried is shown to fail.

    The M asked for also needs what `inspect-pair` says.  Resonances are not monotonic in M: a step
    that fails is no base for a longer one.
    """
    found = None
    for mts in sorted(scan):
        if any(one.fails for one in scan[mts]) or (not best.passes and mts == max(scan)):
            break
        if all(one.passes for one in scan[mts]):
            found = mts
    return found


def _no_pair(scan: Scan, best: Round) -> str:
    tried = ", ".join(map(str, sorted(scan, reverse=True)))
    return (
        f"no pair: M = {tried} was tried and doesn't pass ({'; '.join(best.reasons)}); go on with "
        "--resume and more --minutes or --teacher-calls, begin anew with a smaller --timestep-fs, "
        "or run the slow forces alone"
    )


def _facts(
    session: Session, tried: Sequence[Round], best: Round, scan: Scan, mts: int | None
) -> dict[str, Any]:
    request, known, state = session.request, session.known, session.state
    model = parse_model(request.teacher)
    trials = scan[mts if mts is not None else request.mts]
    student = session.out / MODEL
    speed = [one.speed_up for one in trials if math.isfinite(one.speed_up)]
    return {
        "allowed_mts": mts,
        "asked_mts": request.mts,
        "why_not": [] if mts is not None and mts >= request.mts else best.reasons,
        "inner_step_fs": session.choices.timestep_fs,
        "teacher": {
            "name": f"{model.family}:{model.model}",
            "spec": request.teacher,
            **vars(known),
        },
        "student": {"file": MODEL, "sha256": sha256(student)} if mts is not None else None,
        "structures": list(request.structures),
        "temperatures_K": list(request.temperatures_K),
        "npt": request.npt,
        "slow_minus_fast_rms_eV_per_A": {
            "expected": math.sqrt(sum(t.rms_eV_per_A**2 for t in trials) / len(trials)),
            "upper": ROOM * max(one.largest_rms_eV_per_A for one in trials),
        },
        "held_out_errors": best.errors,
        "inspection": best.inspection,
        "tests": {
            str(m): {
                system.name: one.to_dict() | {"passes": one.passes}
                for system, one in zip(session.systems, ones, strict=True)
            }
            for m, ones in scan.items()
        },
        "speed_up": {
            "measured": min(speed) if speed else None,
            "predicted": _predicted(session, best, mts or request.mts),
        },
        "rounds": len(tried),
        "round_taken": best.number,
        "teacher_calls": state.calls,
        "minutes": round(state.seconds / 60.0, 1),
        "data": state.stages[f"round-{best.number:02d}/train"]["n_frames"]
        | {HELD_OUT: state.stages["held-out"]["n_frames"]},
        "choices": session.choices.to_dict(),
        "command": command(session, mts or request.mts),
    }


def _predicted(session: Session, best: Round, mts: int) -> float:
    """From the times of single calls: M slow ones against M fast ones and a slow one."""
    fast_ms = session.state.stages[f"round-{best.number:02d}/train"]["fast_ms"]
    slow_ms = 1e3 * session.known.seconds
    return float(mts * slow_ms / (mts * fast_ms + slow_ms))


def command(session: Session, mts: int) -> str:
    """A run with the pair, as a shell takes it."""
    request, system = session.request, session.systems[0]
    words = ["ncforce", "run", "--fast", str(session.out / MODEL), "--slow", request.teacher]
    words += ["--structure", system.structure, "--mts", str(mts)]
    words += ["--timestep-fs", f"{session.choices.timestep_fs:g}"]
    words += ["--temperature-K", f"{system.temperature_K:g}", "--time-ps", "10", "--out", "run"]
    words += ["--ensemble", "npt" if request.npt else "svr"]
    return shlex.join(words)


def page(facts: Mapping[str, Any]) -> str:
    """The card in Markdown."""
    mts, teacher = facts["allowed_mts"], facts["teacher"]
    head = "# Fast partner of " + teacher["description"]
    if mts is None:
        verdict = "**No M passes: there is no pair.** " + "; ".join(facts["why_not"])
    else:
        verdict = f"**Passes at M = {mts}** with inner steps of {facts['inner_step_fs']:g} fs."
        if facts["why_not"]:
            verdict += f" Not at the M = {facts['asked_mts']} asked for: "
            verdict += "; ".join(facts["why_not"])
    parts = [head, verdict, _of_what(facts), _tests(facts), _error_table(facts), _limits(facts)]
    if mts is not None:
        parts.append(f"```bash\n{facts['command']}\n```")
    return "\n\n".join(parts) + "\n"


def _of_what(facts: Mapping[str, Any]) -> str:
    teacher, speed = facts["teacher"], facts["speed_up"]
    band = facts["slow_minus_fast_rms_eV_per_A"]
    data = ", ".join(f"{name} {n}" for name, n in facts["data"].items())
    rows = [
        ("teacher", f"`{teacher['spec']}`, SHA-256 {teacher['sha256'] or 'none: known by name'}"),
        ("structures", ", ".join(f"`{Path(s).name}`" for s in facts["structures"])),
        ("temperatures", ", ".join(f"{t:g} K" for t in facts["temperatures_K"])
         + (", constant pressure" if facts["npt"] else "")),
        ("spent", f"{facts['teacher_calls']} teacher calls, {facts['minutes']:g} minutes, "
         f"{facts['rounds']} round{'s' * (facts['rounds'] > 1)}; the student is of round "
         f"{facts['round_taken']}"),
        ("frames", data),
        ("speed-up against slow only", f"{_number(speed['measured'], '.1f')} measured, "
         f"{_number(speed['predicted'], '.1f')} from the times of single calls"),
        ("slow - fast in the tests", f"RMS {1e3 * band['expected']:.3g} meV/A; a run beyond "
         f"{1e3 * band['upper']:.3g} meV/A is where the student wasn't trained"),
    ]  # fmt: skip
    return _table(("", ""), rows)


def _tests(facts: Mapping[str, Any]) -> str:
    """A line for each M and system."""
    rows = []
    for mts, systems in facts["tests"].items():
        for name, one in systems.items():
            drift = _number(one["excess_meV_per_atom_per_ps"], ".2g")
            ci95, bound = (one[f"{k}_meV_per_atom_per_ps"] for k in ("excess_ci95", "bound"))
            drift += f" +- {_number(ci95, '.2g')}" if ci95 else ""
            own = one["drift_ci95_meV_per_atom_per_ps"]
            if ci95 and own and own < 0.5 * ci95:  # slow forces alone ran for too short a time
                drift += f"; its own {_number(one['drift_meV_per_atom_per_ps'], '.2g')}"
                drift += f" +- {_number(own, '.2g')}"
            if one["by_bound"] or not ci95:
                drift += f"; changed by {_number(bound, '.2g')} at most"
            words = {a: [k for k, v in one["answers"].items() if v == a] for a in ("fails", "open")}
            said = "; ".join(f"{a}: {', '.join(k)}" for a, k in words.items() if k)
            speed = one["reference_ms_per_inner_step"], one["ms_per_inner_step"]
            ratio = speed[0] / speed[1] if all(speed) else None
            rows.append(
                (mts, name, _number(one["time_ps"], ".3g"), drift, _number(ratio, ".1f"),
                 "yes" if one["passes"] else "no", one["ended"] or said or "all alike")
            )  # fmt: skip
    names = ("M", "system", "ps", "drift beyond slow only, meV/atom/ps", "speed-up", "passes",
             "against slow only")  # fmt: skip
    return "## Tests from the same start\n\n" + _table(names, rows)


def _error_table(facts: Mapping[str, Any]) -> str:
    errors = facts["held_out_errors"]
    columns = ("direct_meV_per_A", "conservative_meV_per_A", "force_meV_per_A")
    rows = [
        (name, *(f"{errors[column][name]:.1f}" for column in columns))
        for name in errors["direct_meV_per_A"]
    ]
    names = ("RMS, meV/A", "direct - teacher", "conservative - teacher", "the force itself")
    inspected = facts["inspection"]
    text = "## Errors on held-out frames of the teacher's own run\n\n" + _table(names, rows)
    if "why_not" in inspected:
        return text + f"\n\nModes weren't looked at: {inspected['why_not']}."
    largest = inspected["largest_M_without_growth"]
    found = f"none grows up to M = {largest}" if largest else "some grow at every M"
    if inspected["stability"] == "grows":
        found += f"; at M = {facts['asked_mts']} the fastest by "
        found += f"{inspected['fastest_growth_per_ps']:.2g}/ps"
    return text + f"\n\n`inspect-pair`, {inspected['modes']} modes of one frame: {found}."


def _limits(facts: Mapping[str, Any]) -> str:
    hottest = max(facts["temperatures_K"])
    if any(name.startswith("round-") for name in facts["data"]):  # hot runs were learnt
        hottest *= facts["choices"]["hot"]
    return (
        "## Limits\n\nThe student knows what is listed above and nothing else: these elements, "
        f"densities and phases, up to about {hottest:.0f} K. Beside its "
        "teacher a run keeps the teacher's averages as long as slow - fast stays in the band; "
        "alone it is no substitute for it. Its stress was not trained. What is open above was too "
        "short to tell."
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None or not math.isfinite(value) else format(value, form)
