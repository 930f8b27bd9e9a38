"""What a distillation has done, in ``distil.json``: a stage that stands there is not done again.

Each stage writes its files first and is noted afterwards, in one move, so that a crash or Ctrl-C
costs no more than the stage that was going on.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ncforce_ipi import __version__
from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.directory.files import check_name, contents, write_atomically
from ncforce_ipi.launch.directory.tails import last_step
from ncforce_ipi.provenance import command_line
from ncforce_ipi.rundir import PROPERTIES_FILE

FILE = "distil.json"
RUNS = "runs"
Result = dict[str, Any]


def done_in(directory: Path) -> tuple[int, int, int]:
    """How much of a distillation is done: stages, outer steps of all its runs, validations."""
    record = directory / FILE
    stages = len(State.read(directory).stages) if record.is_file() else 0
    runs = directory.glob(f"{RUNS}/*/{PROPERTIES_FILE}")
    curves = directory.glob("rounds/*/curve.csv")  # what a training goes on after
    validations = sum(len(path.read_text().splitlines()) for path in curves)
    return stages, sum(last_step(path) + 1 for path in runs), validations


def plain(value: Any) -> Any:
    """For JSON, which knows no NaN: null in its place."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_free(out: Path, *, force: bool) -> list[Path]:
    """Refuse a directory in which nothing may begin; what there is to be moved aside.

    Parameters
    ----------
    force : an earlier distillation may be moved aside
    """
    check_name(out)
    there = contents(out)
    if there and not (force and (out / FILE).is_file()):
        what = "--resume the distillation in it, or --force to move it aside and begin anew"
        raise InputError(
            f"{out} is not empty; choose another --out" + f", {what}" * (out / FILE).is_file()
        )
    return there


class State:
    """The record of a directory, kept in step with its file."""

    def __init__(self, path: Path, record: Result) -> None:
        self.path, self.record = path, record
        self._begin_s, self._before_s = time.monotonic(), float(record["seconds"])

    @classmethod
    def new(cls, directory: Path, request: Result) -> State:
        """Of a distillation that begins."""
        record: Result = {
            "version": __version__,
            "command": command_line(),
            "request": request,
            "calls": 0,
            "seconds": 0.0,
            "stages": {},
        }
        return cls(directory / FILE, record)

    @classmethod
    def read(cls, directory: Path) -> State:
        """Of one that goes on.

        Raises
        ------
        InputError
            There is none, or it is damaged.
        """
        path = directory / FILE
        if not path.is_file():
            raise InputError(
                f"{path} is missing: no distillation is in {directory}; give the --out of one"
            )
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            _ = record["request"]["teacher"], record["stages"].keys(), int(record["calls"])
            return cls(path, record)
        except (
            ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
        ) as err:  # fmt: skip
            raise InputError(
                f"{path} is damaged ({type(err).__name__}: {err}); restore it, or begin anew with "
                "--force"
            ) from err

    @property
    def stages(self) -> dict[str, Result]:
        """Results of what is done."""
        found: dict[str, Result] = self.record["stages"]
        return found

    @property
    def calls(self) -> int:
        """Evaluations of the teacher so far."""
        return int(self.record["calls"])

    @property
    def seconds(self) -> float:
        """Wall time so far, of all parts."""
        return self._before_s + time.monotonic() - self._begin_s

    def once(self, name: str, make: Callable[[], tuple[Result, int]]) -> Result:
        """What a stage gave, done now if it isn't done yet.

        Parameters
        ----------
        make : gives the result and how many evaluations of the teacher it took
        """
        if name not in self.stages:
            begin_s = time.monotonic()
            result, calls = make()
            took_s = self.record.get("took_s", {}) | {name: round(time.monotonic() - begin_s, 1)}
            stages = {**self.stages, name: plain(result)}
            new = {"stages": stages, "took_s": took_s, "calls": self.calls + calls}
            self.record |= new  # all at once: a signal may come
            self.save()
        return self.stages[name]

    def took_s(self, *names: str) -> float:
        """Wall time of stages whose names begin like this, s; what is unknown counts nothing."""
        known: dict[str, float] = self.record.get("took_s", {})
        return sum(seconds for name, seconds in known.items() if name.startswith(names))

    def save(self) -> None:
        """Write the file."""
        self.record["seconds"] = round(self.seconds, 1)
        write_atomically(
            self.path, json.dumps(plain(self.record), indent=2, allow_nan=False) + "\n"
        )
