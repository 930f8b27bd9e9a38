"""``card.json`` beside the file of a model: what is known of it as the fast force of another model.

Owns what of a card a run uses, and whether it is of these models.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError

log = logging.getLogger(__name__)

CARD_FILE = "card.json"
BAND = "slow_minus_fast_rms_eV_per_A"
STUDENT = "model_sha256"
TEACHER = "slow_model_sha256"


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


def read_band(model: Path, sha256: str | None, slow_sha256: str | None) -> Band | None:
    """The band of a fast model; None without a card, or where it is another model's.

    Parameters
    ----------
    model : its file
    sha256 : of it
    slow_sha256 : of the model of the slow force; None where that is no file

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
    for key, now, whose in ((STUDENT, sha256, "fast"), (TEACHER, slow_sha256, "slow")):
        then = card.get(key)
        if then and now and then != now:
            log.warning(
                "%s is of another %s model (SHA-256 %.12s, here %.12s): slow - fast is reported "
                "without a limit", path, whose, str(then), now,
            )  # fmt: skip
            return None
    return band


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
    except (TypeError, KeyError, ValueError, IndexError):
        band = Band(math.nan, math.nan)
    if not 0.0 <= band.expected <= band.upper < math.inf:
        raise InputError(
            f"{path}: {BAND} is {str(value)[:60]}; expected "
            '{"expected": X, "upper": Y} with 0 <= X <= Y, in eV/A'
        )
    return band
