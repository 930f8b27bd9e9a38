"""Where a training stands, so that one that was cut off goes on.

Owns ``progress.pt``, which is written with every checkpoint and removed at the end: the weights as
they are (a checkpoint has their running average), what the optimisers remember, where the sequence
of batches is, and what the training was begun with.
"""

from __future__ import annotations

import csv
import json
import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ncforce_ipi import durable
from ncforce_ipi.errors import InputError
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.optimise import Optimisation

log = logging.getLogger(__name__)

FILE = "progress.pt"


@dataclass(frozen=True)
class Standing:
    """How far a training is.

    Attributes
    ----------
    steps : that were taken
    seconds : of training alone, as on its curve
    spent_s : by the clock, with validations
    """

    steps: int = 0
    seconds: float = 0.0
    spent_s: float = 0.0


def keep(
    out: Path,
    begun_with: Mapping[str, Any],
    standing: Standing,
    net: HybridNet,
    optimisation: Optimisation,
    random: np.random.Generator,
) -> None:
    """Write all that the next step depends on, in one move."""
    state = {
        "begun_with": json.dumps(begun_with),
        "standing": vars(standing),
        "weights": {name: tensor.cpu() for name, tensor in net.state_dict().items()},
        "optimisation": optimisation.state(),
        "random": json.dumps(random.bit_generator.state),
    }
    with durable.replacing(out / FILE) as partial:
        torch.save(state, partial)


def read(out: Path, begun_with: Mapping[str, Any]) -> dict[str, Any]:
    """What `keep` wrote.

    Raises
    ------
    InputError
        There is none, or it is of a training that was begun with something else.
    """
    path = out / FILE
    if not path.exists():
        raise InputError(
            f"nothing to go on with in {out}: no {FILE}, so that no training was cut off there "
            "after its first validation; leave out --resume"
        )
    try:
        state = dict(torch.load(path, weights_only=True, map_location="cpu"))
        before = json.loads(state["begun_with"])
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as err:
        raise InputError(f"{path} can't be read; begin anew with --force") from err
    now = json.loads(json.dumps(begun_with))
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            raise InputError(
                f"the training in {out} was begun with {name} = {before.get(name)}, now it is "
                f"{now.get(name)}; give what it was begun with, or begin anew with --force"
            )
    return state


def standing_of(state: Mapping[str, Any]) -> Standing:
    """How far the training was."""
    return Standing(**state["standing"])


def go_on(
    state: Mapping[str, Any],
    out: Path,
    net: HybridNet,
    optimisation: Optimisation,
    random: np.random.Generator,
) -> Standing:
    """Put everything back where it was, in place; where that is."""
    net.load_state_dict(state["weights"])
    optimisation.restore(state["optimisation"])
    random.bit_generator.state = json.loads(state["random"])
    standing = standing_of(state)
    _shorten(out / "curve.csv", standing.steps)
    log.info("going on after step %d", standing.steps)
    return standing


def _shorten(curve: Path, steps: int) -> None:
    """Leave out rows of steps that will be taken again."""
    with curve.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if int(row["step"]) <= steps]
        names = reader.fieldnames or []
    with durable.replacing(curve) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=names)
        writer.writeheader()
        writer.writerows(rows)


def is_kept(out: Path, begun_with: Mapping[str, Any]) -> bool:
    """Whether a training that was begun like this can go on there."""
    try:
        read(out, begun_with)
    except InputError:
        return False
    return True


def forget(out: Path) -> None:
    """It ended, or another begins."""
    (out / FILE).unlink(missing_ok=True)
