"""What all stages of a distillation share, and molecular dynamics as one of them.

Owns the budget, the names of directories, and the line that says how far it is.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path

from ncforce_ipi.diagnostics.progress import Progress, silent
from ncforce_ipi.distil.choices import Choices
from ncforce_ipi.distil.request import Condition, Request
from ncforce_ipi.distil.state import RUNS, State
from ncforce_ipi.distil.teacher import Known, Teacher
from ncforce_ipi.errors import RunError
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch import compare
from ncforce_ipi.launch.between import Between, Stopped
from ncforce_ipi.launch.jobs.job import new_job
from ncforce_ipi.launch.progress.ending import Ending, Limits
from ncforce_ipi.rundir import TRAJECTORY_FILES, Record, read_record

log = logging.getLogger(__name__)
KEPT = 0.15  # of the budget, or as many calls as a test takes: for smaller M
HOT = 3.0  # a run that is hotter than so many times its temperature is given up


@dataclass
class Session:
    """A distillation that goes on: what was asked and chosen, what is done, and the teacher.

    Attributes
    ----------
    out : its directory
    known : what was found out of the teacher
    between : when the whole of it is to stop
    progress : how it is shown what many calls of the teacher have done
    """

    out: Path
    request: Request
    systems: list[Condition]
    choices: Choices
    state: State
    known: Known
    teacher: Teacher
    between: Between = field(default_factory=Between)
    progress: Progress = silent

    @property
    def data(self) -> Path:
        """Folder of the data files."""
        return self.out / "data"

    @property
    def species(self) -> list[int]:
        """Atomic numbers of all systems, ascending."""
        return sorted({int(z) for one in self.systems for z in one.atoms.numbers})

    def run(self, name: str) -> Path:
        """Directory of a run."""
        return self.out / RUNS / name

    def training(self, round_: int) -> Path:
        """Directory of a round's student."""
        return self.out / "rounds" / f"round-{round_:02d}"

    @property
    def most_calls(self) -> int | None:
        """Calls of the teacher that may be spent; None where only time counts.

        The number that was made from ``--minutes`` is for the lengths of runs: it knows nothing of
        what else takes time.
        """
        by_time = self.request.minutes and not self.request.teacher_calls
        return None if by_time else self.choices.calls

    @property
    def spent(self) -> float:
        """The share of the budget that is spent, of calls or of time, whichever is more."""
        shares = [self.state.calls / self.most_calls] if self.most_calls else []
        if self.request.minutes:
            shares.append(self.state.seconds / (60.0 * self.request.minutes))
        return max(shares)

    def affords(self, calls: int, seconds: float, *, all_of_it: bool = False) -> bool:
        """Whether so many more calls of the teacher, and so much time, are left.

        A part is kept for smaller M, unless this is what it was kept for (``all_of_it``).
        """
        by_calls = calls <= self.left_calls(all_of_it=all_of_it)
        return by_calls and seconds <= self.left_s(all_of_it=all_of_it)

    def left_calls(self, *, all_of_it: bool = False) -> float:
        """Calls of the teacher that are left, see `affords`; infinite without a limit."""
        if not self.most_calls:
            return math.inf
        kept = self.choices.test_steps * len(self.systems)
        most = min((1.0 - KEPT) * self.most_calls, self.most_calls - kept)
        return (self.most_calls if all_of_it else most) - self.state.calls

    def left_s(self, *, all_of_it: bool = False) -> float:
        """Time that is left, see `affords`, s; infinite without a limit."""
        if not self.request.minutes:
            return math.inf
        part = 1.0 if all_of_it else 1.0 - KEPT
        return part * 60.0 * self.request.minutes - self.state.seconds

    def enough(self, calls: int, seconds: float) -> str:
        """Options of a budget that has room for so much more."""
        words = []
        if self.request.minutes:
            minutes = (self.state.seconds + seconds) / (1.0 - KEPT) / 60.0
            words.append(f"--minutes {max(math.ceil(minutes) + 1, self.request.minutes):g}")
        if self.most_calls:
            kept = self.choices.test_steps * len(self.systems)
            wanted = self.state.calls + calls
            most = max(math.ceil(wanted / (1.0 - KEPT)), wanted + kept, self.most_calls)
            words.append(f"--teacher-calls {most}")
        return " ".join(words)

    def say(self, stage: str, detail: str = "") -> None:
        """One line: stage, what came of it, calls, time, and how long at most it will go on."""
        minutes = self.state.seconds / 60.0
        left = minutes / self.spent - minutes if self.spent > 0 else math.nan
        budget = f" of {self.request.minutes:g}" if self.request.minutes else ""
        most = f" of {self.most_calls}" if self.most_calls else ""
        log.info(
            "distil %s%s | %d%s teacher calls, %.0f%s min, at most %s min to go",
            stage, f": {detail}" * bool(detail), self.state.calls, most,
            minutes, budget, f"{max(left, 0.0):.0f}" if math.isfinite(left) else "?",
        )  # fmt: skip


def dynamics(
    session: Session,
    name: str,
    plan: Plan,
    *,
    start: str,
    temperature_K: float,
    ensemble: Ensemble,
    student: Path | None = None,
    write_forces: int | bool = True,
) -> Record:
    """Run, or go on with, one run in the session's directory; its record.

    ``write_forces`` : steps between two writes of the forces; True: as often as positions are
    written in any run

    Raises
    ------
    Stopped
        Somebody asked for an end, or the time limit did; the run can go on.
    RunError
        It failed otherwise than by its physics.
    """
    request = session.request
    alone = student is None
    directory = session.run(name)
    job = new_job(
        directory,
        plan,
        model=request.teacher if alone else None,
        slow=None if alone else request.teacher,
        fast=None if student is None else str(student.absolute()),
        structure=start,
        ensemble=ensemble,
        temperature_K=temperature_K,
        seed=request.seed,
        write_forces=write_forces,
        device=request.first_device,
        threads=request.threads,
        limits=Limits(hot=HOT),
    )
    with session.between.run():
        outcome = compare.run_one(job, None, session.between.limit)
    if outcome is not None:
        _check_stop(session, outcome.ending)
        if outcome.ending.state == "failed":
            raise RunError(f"{directory}: {outcome.ending.reason}")
    return read_record(directory)


def longer(session: Session, name: str, time_ps: float) -> Record:
    """Go on with a finished run to a longer time."""
    from ncforce_ipi.launch import run as runs

    record = read_record(session.run(name))
    if record["plan"]["time_ps"] < time_ps or record["state"] != "finished":
        with session.between.run():
            outcome = runs.go_on(session.run(name), time_ps, session.between.limit)
        _check_stop(session, outcome.ending)
    return read_record(session.run(name))


def _check_stop(session: Session, ending: Ending) -> None:
    """Stop where a run was stopped; one without a step in the rest of the limit can go on too."""
    if ending.out_of_time:
        raise session.between.out_of_time()
    if ending.on_request:
        raise Stopped(ending)


def last_frame(directory: Path) -> str:
    """The last positions of a run, as the start of another one."""
    return f"{(directory / TRAJECTORY_FILES[0][0]).absolute()}@-1"


def slow_calls(record: Record) -> int:
    """Evaluations of the slow force in a run: one a step, and one at the start."""
    return int(record["steps_done"]) + 1
