"""Who computes: what our drivers have answered, against what the steps that are done have asked.

A driver counts an answer before it sends it (``serve.pulse``), and i-PI writes a step after it has
got the answers.  So fewer answers than the steps need mean that somebody else has given some:
whoever can reach i-PI's socket may do that, for its protocol asks nobody who he is.  More mean
nothing: answers of a driver that died on the way are asked for again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.rundir import Record
from ncforce_ipi.serve.pulse import Beat, live_file, read

ROLES = {"slow": ("slow",), "fast": ("fast",), "both": ("slow", "fast"), "all": ("slow", "fast")}


@dataclass
class Heard:
    """What a driver has said of itself, over all processes that it was.

    Attributes
    ----------
    report : that it writes when it ends; its pulse lies beside it until then
    ours : whether it is a program of this installation, which has a pulse as soon as it serves
    before : sums of the processes that ended; None where one said nothing
    """

    report: Path | None = None
    ours: bool = False
    before: Beat | None = field(default_factory=Beat)

    @property
    def now(self) -> Beat | None:
        """Of the present process; None if it isn't known."""
        if self.report is None:
            return None
        pulse = live_file(self.report)
        if pulse.exists():
            return read(pulse)
        if ended := self.last_words():
            slow, fast = (_evaluations(ended, role) for role in ("slow", "fast"))
            return None if slow is None or fast is None else Beat(slow=slow, fast=fast)
        return Beat() if self.ours else None  # ours hasn't reached i-PI yet

    @property
    def beat(self) -> Beat | None:
        """With all answers so far, and the longest call; None if they aren't known."""
        now, before = self.now, self.before
        if now is None or before is None:
            return None
        return replace(
            now,
            slow=now.slow + before.slow,
            fast=now.fast + before.fast,
            longest_s=max(now.longest_s, before.longest_s),
        )

    def last_words(self) -> Record:
        """The report; empty as long as there is none, or none that can be read."""
        try:
            found = json.loads(self.report.read_text("utf-8")) if self.report else {}
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def end(self) -> str:
        """How it ended by its own report; empty if there is none."""
        return str(self.last_words().get("end", ""))

    @property
    def error(self) -> str:
        """Kind of the error with which it ended; empty if that was none."""
        kind = self.end.partition(":")[0]
        return kind if kind.endswith("Error") else ""

    def starts_again(self) -> None:
        """Keep what a process that ended has answered; the next one begins at 0."""
        self.before = self.beat
        self.forget()

    def forget(self) -> None:
        """Remove what it has written."""
        if self.report is not None:
            self.report.unlink(missing_ok=True)
            live_file(self.report).unlink(missing_ok=True)


def _evaluations(report: Record, role: str) -> int | None:
    """Of a role; None if the report doesn't say it as we do."""
    try:
        return int(report.get("roles", {}).get(role, {}).get("evaluations", 0))
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Demand:
    """What i-PI asks at least: at the start once for each bead and role, then in every outer step.

    Attributes
    ----------
    structures : of each role for which forces are asked at once: beads, and the copies with which
        i-PI fills up the last batch
    in_a_step : how often they are, in an outer step
    """

    structures: Mapping[str, int]
    in_a_step: Mapping[str, int]

    @classmethod
    def of(cls, plan: Plan, beads: int, input_file: Path) -> Demand:
        """The slow force is asked for once in an outer step, the fast one in each inner step.

        Parameters
        ----------
        input_file : of i-PI, which may be a checkpoint; it says how many beads go at once
        """
        sizes = batch_sizes(input_file)
        return cls(
            {role: math.ceil(beads / sizes.get(role, 1)) * sizes.get(role, 1)
             for role in plan.components},
            {role: plan.mts if role == "fast" else 1 for role in plan.components},
        )  # fmt: skip

    def until(self, n_steps: int) -> dict[str, int]:
        """Requests of each role up to the end of the n-th outer step."""
        return {
            role: n * (1 + self.in_a_step[role] * n_steps) for role, n in self.structures.items()
        }


def batch_sizes(input_file: Path) -> dict[str, int]:
    """How many structures each socket of an i-PI input sends at once."""
    text = input_file.read_text(encoding="utf-8")
    root = ElementTree.fromstring(
        text[max(0, text.find("<simulation")) :]
    )  # i-PI's comment may have a --
    return {
        str(socket.get("name")): int(socket.findtext("batch_size", "1"))
        for socket in root.findall("ffsocket")
    }


def given(drivers: Sequence[tuple[str, Beat | None]]) -> dict[str, int | None]:
    """Answers of our drivers for each role; None where a driver of that role doesn't say.

    Parameters
    ----------
    drivers : what each serves, and its beat
    """
    return {
        role: _sum([beat for serves, beat in drivers if role in ROLES[serves]], role)
        for role in ("slow", "fast")
    }


def _sum(beats: Sequence[Beat | None], role: str) -> int | None:
    known = [beat.answers(role) for beat in beats if beat is not None]
    return sum(known) if len(known) == len(beats) else None


def stranger(needed: Mapping[str, int], answers: Mapping[str, int | None]) -> str | None:
    """Why not all forces were ours, in one line; None if they were, or it can't be known."""
    for role, n in needed.items():
        got = answers[role]
        if got is not None and got < n:
            return (
                f"our drivers answered {got} of the {n} requests for {role} forces that these "
                "steps took: another program has connected to i-PI and computed the others; "
                "these steps can't be trusted, begin anew (unix sockets, without --port, are "
                "private)"
            )
    return None
