"""What a result offers whoever prints, writes or draws it; and how it is written to files.

Owns the formats (aligned lines, JSON, CSV, a figure file) and that every file says where its
numbers come from.  Computes nothing.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi import durable
from ncforce_ipi.analysis.statistics import Mean
from ncforce_ipi.errors import InputError
from ncforce_ipi.provenance import Provenance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMULA = re.compile(r"[=@]|[+-](?![\d.]*$)")
"""What a spreadsheet takes for a formula; a quote before it makes it text there."""
PLOTS = (".png", ".pdf", ".svg")


@runtime_checkable
class Result(Protocol):
    """One observable of one run or of several replicas; each is a frozen dataclass."""

    def lines(self) -> list[tuple[str, str]]:
        """Label and text of each line for people; an empty label carries on the one before."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Numbers for programs; each key states its unit, None where there is no number."""
        ...

    def columns(self) -> dict[str, NDArray]:
        """Columns of one table, of one length; each name states its unit."""
        ...

    def figure(self) -> Figure:
        """The figure."""
        ...


class Printed:
    """A result that prints as its lines."""

    def __str__(self) -> str:
        """Aligned lines."""
        return table(self.lines()).rstrip()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Unavailable:
    """A result that can't be had, and why, in one line."""

    reason: str


@dataclass(frozen=True)
class Targets:
    """Files to write, None for none.

    Attributes
    ----------
    json, csv, plot : where to; the suffix of the plot says its format
    force : whether files that exist may be replaced
    """

    json: Path | None = None
    csv: Path | None = None
    plot: Path | None = None
    force: bool = False

    @property
    def paths(self) -> list[Path]:
        """Those that are asked for."""
        return [path for path in (self.json, self.csv, self.plot) if path is not None]

    def check(self) -> None:
        """Refuse what can't be written, before anything is computed.

        Raises
        ------
        InputError
            A file exists and isn't to be replaced, its folder is missing, or no such format.
        """
        for path in self.paths:
            if path.exists() and not self.force:
                raise InputError(f"{path} exists; expected none: give --force to replace it")
            if not path.absolute().parent.is_dir():
                raise InputError(f"{path.parent} is no directory; make it, or give another name")
        if self.plot is not None and self.plot.suffix not in PLOTS:
            raise InputError(f"--plot {self.plot}; expected a name in {', '.join(PLOTS)}")


def mean_numbers(name: str, unit: str, mean: Mean) -> dict[str, Any]:
    """For files: a mean, its standard error, its 95 % interval (half width, Student's t)."""
    half_width = mean.half_width(0.95)
    return {
        f"{name}_{unit}": mean.value,
        f"{name}_standard_error_{unit}": mean.error,
        f"{name}_ci95_{unit}": half_width if math.isfinite(half_width) else None,
        f"{name}_n_independent": mean.n_independent,
    }


def table(lines: Sequence[tuple[str, str]]) -> str:
    """Aligned lines of labels and texts."""
    width = max((len(label) for label, _ in lines), default=0) + 2
    return "".join(f"{plain_text(label):<{width}}{plain_text(text)}\n" for label, text in lines)


def plain_text(text: str) -> str:
    r"""Text without control characters, which a name may bring to a terminal: ``\x1b``."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def write(result: Result, targets: Targets, provenance: Provenance) -> list[Path]:
    """Write the files asked for; return their paths."""
    if targets.json is not None:
        write_json(targets.json, result.to_dict(), provenance)
    if targets.csv is not None:
        write_csv(targets.csv, result.columns(), provenance)
    if targets.plot is not None:
        from ncforce_ipi import plots

        with plots.style():
            plots.save(result.figure(), targets.plot, provenance.lines())
    return targets.paths


def write_json(path: Path, numbers: Mapping[str, Any], provenance: Provenance) -> Path:
    """The provenance, then the numbers; None in the place of NaN."""
    text = json.dumps(
        plain({"provenance": provenance.facts(), **numbers}), indent=2, allow_nan=False
    )
    durable.write_text(path, text + "\n")
    return path


def write_csv(path: Path, columns: Mapping[str, Any], provenance: Provenance) -> Path:
    """Comment lines with the provenance, one line of names, then columns of one length.

    Columns are arrays or lists of numbers or text; None is an empty cell.
    """
    text = io.StringIO()
    text.writelines(f"# {plain_text(line)}\n" for line in provenance.lines())
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_cell(name) for name in columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(_cell(value) for value in row)
    durable.write_text(path, text.getvalue())
    return path


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return f"{value:.10g}"
    text = plain_text(value)
    return f"'{text}" if FORMULA.match(text) else text


def plain(value: Any) -> Any:
    """For JSON, which has no NaN: None; numpy's numbers and arrays become Python's."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
