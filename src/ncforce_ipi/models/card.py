"""``card.json`` beside the file of a model: what is known of it as the fast force of another model.

Owns what of a card a run uses, and whether it is of these models.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError

log = logging.getLogger(__name__)

CARD_FILE = "card.json"
BAND = "slow_minus_fast_rms_eV_per_A"
STUDENT, TEACHER = "student", "teacher"  # each with a name and a SHA-256, as far as known
Identity = Mapping[str, str | None]


@dataclass(frozen=True)
class Band:
    """Where the root mean square of slow - fast lies for the structures of a model's training.

    Attributes
    ----------
    expected : eV/A
    upper : beyond it the forces disagree more than they should, eV/A
    """

    expected: float
    upper: float


def read_band(model: Path, fast: Identity, slow: Identity) -> Band | None:
    """The band of a fast model; None without a card, or where it is of other models.

    Parameters
    ----------
    model : file of the fast model
    fast, slow : ``name`` and ``sha256`` of the run's models, None where there is none

    Raises
    ------
    InputError
        The card is damaged.
    """
    path = model.parent / CARD_FILE
    if not path.is_file():
        return None
    card = _read(path)
    if BAND not in card:
        return None
    band = _band(path, card[BAND])
    for role, key, now in (("fast", STUDENT, fast), ("slow", TEACHER, slow)):
        if (why := _other(card.get(key), now)) is not None:
            log.warning(
                "%s is of another %s model (%s): slow - fast is reported without a limit",
                path, role, why,
            )  # fmt: skip
            return None
    return band


def _other(then: object, now: Identity) -> str | None:
    """How a model isn't the one of the card; None where it is, or nothing says so.

    A file is known by its contents, wherever it lies; what a family knows by name, by that.
    """
    if not isinstance(then, dict):
        return None
    before, here = then.get("sha256"), now.get("sha256")
    if before and here:
        return None if before == here else f"SHA-256 {before!s:.12}, here {here:.12}"
    names = [str(one.get("name") or "").rpartition(":")[2] for one in (then, now)]
    if before or here or "" in names or names[0] == names[1]:
        return None
    return f"{names[0]}, here {names[1]}"


def _read(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise InputError(f"{path} is no card of a model: {err}; expected JSON, or no file") from err
    if not isinstance(card, dict):
        raise InputError(f"{path} is no card of a model: expected an object of JSON, or no file")
    return card


def _band(path: Path, value: object) -> Band:
    try:
        band = Band(float(value["expected"]), float(value["upper"]))  # type: ignore[index]
    except (TypeError, KeyError, ValueError, IndexError, OverflowError):
        band = Band(math.nan, math.nan)
    if not 0.0 <= band.expected <= band.upper < math.inf:
        raise InputError(
            f"{path}: {BAND} is {str(value)[:60]}; expected "
            '{"expected": X, "upper": Y} with 0 <= X <= Y, in eV/A'
        )
    return band
