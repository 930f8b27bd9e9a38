"""The table of the manual, and what is kept of it before it is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from .world import Row

BEGIN = "<!-- table: python -m tests.chaos --table -->"
END = "<!-- end of the table -->"
HEAD = (
    "| fault | times | noticed after | steps lost | computed again | what the user reads | "
    "`--resume` bitwise |\n|---|---|---|---|---|---|---|\n"
)


@dataclass
class Kept:
    """Rows by the names of their faults, in a file if there is one.

    Parameters
    ----------
    settings : rows of others are no use
    """

    path: Path | None
    settings: str
    rows: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path and self.path.is_file():
            found = json.loads(self.path.read_text())
            if found["settings"] == self.settings:
                self.rows = {name: Row(**row) for name, row in found["rows"].items()}

    def add(self, name: str, row: Row) -> None:
        """One more."""
        self.rows[name] = row
        if self.path:
            rows = {name: asdict(row) for name, row in self.rows.items()}
            self.path.write_text(json.dumps({"settings": self.settings, "rows": rows}))

    def forget(self) -> None:
        """The next begins anew."""
        if self.path:
            self.path.unlink(missing_ok=True)


def markdown(rows: Sequence[Row], n_steps: int, seed: int) -> str:
    """One line for each fault, and on what machine that was."""
    loads = [row.load for row in rows] or [0.0]
    return (
        HEAD
        + "".join(map(_line, rows))
        + f"\nSeed {seed}, runs of {n_steps} outer steps, {os.cpu_count()} cores with a load of "
        f"{min(loads):.1f} to {max(loads):.1f}, of which the faulty run itself makes about 1.5.\n"
    )


def inserted(page: str, table: str) -> str:
    """A page with this table between its marks, instead of an older one."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"expected a page with {BEGIN} and {END}")
    return f"{head}{begin}\n{table}{end}{tail}"


def _line(row: Row) -> str:
    if not row.n:
        return f"| {row.fault} | 0 | | | | not possible here: {row.line} | |\n"
    seconds = sorted(row.noticed_s)
    noticed = f"{median(seconds):.1f} s (at most {seconds[-1]:.1f})" if seconds else row.unnoticed
    line = row.line.replace("|", "\\|")
    return (
        f"| {row.fault} | {row.n} | {noticed} | {row.lost} | {row.again} | {line} | "
        f"{'yes' if row.bitwise else '**no**'} |\n"
    )
