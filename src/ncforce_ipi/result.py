"""What one measurement of files found: lines, numbers, columns, a figure; and writing them.

Owns the files that a verb may write; every one says where it comes from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi import __version__
from ncforce_ipi.errors import InputError
from ncforce_ipi.models import sha256

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOTS = (".png", ".pdf", ".svg")


@dataclass(frozen=True)
class Finding:
    """The result of one verb.

    Attributes
    ----------
    lines : label and text of each line for people
    numbers : for programs; each key states its unit, NaN where there is no number
    columns : of one table, of one length; each name states its unit
    draw : makes the figure
    """

    lines: Sequence[tuple[str, str]]
    numbers: Mapping[str, Any]
    columns: Mapping[str, NDArray]
    draw: Callable[[], Figure]


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


@dataclass(frozen=True)
class Origin:
    """Where a finding comes from."""

    command: str
    inputs: Sequence[Path]
    model_sha256: str = ""
    version: str = field(default=__version__)

    def facts(self) -> dict[str, str]:
        """Version, command, SHA-256 of each input file and of the model."""
        hashes = ", ".join(f"{path.name} {sha256(path)}" for path in self.inputs)
        return {
            "version": self.version,
            "command": self.command,
            "input_sha256": hashes,
            "model_sha256": self.model_sha256,
        }


def table(finding: Finding) -> str:
    """Aligned lines."""
    width = max((len(label) for label, _ in finding.lines), default=0) + 2
    return "".join(f"{label:<{width}}{text}\n" for label, text in finding.lines)


def write(finding: Finding, targets: Targets, origin: Origin) -> list[Path]:
    """Write the files asked for; return their paths."""
    if not targets.paths:
        return []
    facts = origin.facts()
    if targets.json is not None:
        numbers = {"provenance": facts, **finding.numbers}
        text = json.dumps(plain(numbers), indent=2, allow_nan=False)
        targets.json.write_text(text + "\n", encoding="utf-8")
    lines = [f"{key}: {value}" for key, value in facts.items()]
    if targets.csv is not None:
        write_csv(targets.csv, finding.columns, lines)
    if targets.plot is not None:
        from ncforce_ipi import plots

        with plots.style():
            plots.save(finding.draw(), targets.plot, lines)
    return targets.paths


def write_csv(path: Path, columns: Mapping[str, NDArray], lines: Sequence[str]) -> Path:
    """Comment lines with the provenance, one line of names, then the numbers."""
    header = "\n".join([f"# {line}" for line in lines] + [",".join(columns)])
    rows = np.column_stack(list(columns.values()))
    np.savetxt(path, rows, fmt="%.10g", delimiter=",", header=header, comments="")
    return path


def plain(value: Any) -> Any:
    """For JSON, which has no NaN: None; numpy's numbers become Python's."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
