"""Files of results: JSON and CSV with their provenance, and numbers that JSON can hold."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def number(value: float | None) -> float | None:
    """None for what isn't a number."""
    return float(value) if value is not None and math.isfinite(value) else None


def numbers(values: np.ndarray) -> list[float | None]:
    """A list for JSON, with None for what isn't a number."""
    return [number(float(value)) for value in values]


def lines(provenance: Mapping[str, Any]) -> list[str]:
    """Provenance as text, for the head of a CSV file and the metadata of a figure."""
    return [f"{key}: {value}" for key, value in provenance.items()]


def write_json(path: Path, provenance: Mapping[str, Any], results: Any) -> Path:
    """Write ``{"provenance": ..., "results": ...}``."""
    text = json.dumps({"provenance": provenance, "results": results}, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def write_csv(path: Path, provenance: Mapping[str, Any], columns: Mapping[str, Any]) -> Path:
    """Write columns of one length, headed by provenance behind ``#``; empty where no number is."""
    text = io.StringIO()
    text.writelines(f"# {line}\n" for line in lines(provenance))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(_cell(value) for value in row)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer | bool):
        return str(value)
    return f"{value:.9g}" if value is not None and math.isfinite(value) else ""
