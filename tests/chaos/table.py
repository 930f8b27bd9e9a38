"""The table of the manual."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from .world import Row

BEGIN = "<!-- table: python -m tests.chaos --table -->"
END = "<!-- end of the table -->"
HEAD = (
    "| fault | times | noticed after | steps lost | computed again | what the user reads | "
    "`--resume` bitwise |\n|---|---|---|---|---|---|---|\n"
)


def markdown(rows: Sequence[Row]) -> str:
    """One line for each fault."""
    return HEAD + "".join(map(_line, rows))


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
    noticed = f"{median(seconds):.1f} s (at most {seconds[-1]:.1f})" if seconds else "next command"
    line = row.line.replace("|", "\\|")
    return (
        f"| {row.fault} | {row.n} | {noticed} | {row.lost} | {row.again} | {line} | "
        f"{'yes' if row.bitwise else '**no**'} |\n"
    )
