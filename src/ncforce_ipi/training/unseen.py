"""Validation frames that are trained on as well: found, said, and left out.

Errors of such frames say how well they were learnt by heart.  Two frames are the same where each
atom has the same surroundings, whatever the order of the atoms, the orientation, the digits of the
file and the labels: for each atom i and each element Z::

    sum over neighbours j of element Z of (1 - r_ij / cutoff)^p,   p = 2 and 4

must agree, each of these numbers sorted over the atoms of one element.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.training.dataset import Frame

log = logging.getLogger(__name__)

POWERS = (2, 4)
ALIKE = 2e-4  # positions of four decimals; 1 fs of dynamics changes more
NAMED = 5
Array = NDArray[np.float64]


def unseen(
    name: str, held_out: Sequence[Frame], trained: Sequence[Frame], cutoff_A: float
) -> list[Frame]:
    """Those of the validation frames that aren't among the trained ones; the others are said.

    Parameters
    ----------
    name : of the validation frames, for messages

    Raises
    ------
    InputError
        None is left.
    """
    known: dict[bytes, list[Frame]] = {}
    for frame in trained:
        known.setdefault(_atoms(frame), []).append(frame)
    means = {
        key: np.array([_mean(frame, cutoff_A) for frame in frames]) for key, frames in known.items()
    }
    seen = []
    for k, one in enumerate(held_out):
        if (key := _atoms(one)) in known:
            near = np.flatnonzero(np.abs(means[key] - _mean(one, cutoff_A)) <= 10 * ALIKE)
            if _is_one_of(one, [known[key][int(place)] for place in near], cutoff_A):
                seen.append(k)
    if not seen:
        return list(held_out)
    if len(seen) == len(held_out):
        raise InputError(
            f"all {len(seen)} validation frames ({name}) are trained on as well; expected frames "
            "that aren't, of other trajectories: name their file as validation in the recipe"
        )
    log.warning(
        "%d of %d validation frames (%s) are trained on as well, number %s of them, counted from "
        "0: left out of the validation",
        len(seen), len(held_out), name,
        ", ".join(map(str, seen[:NAMED])) + " ..." * (len(seen) > NAMED),
    )  # fmt: skip
    return [one for k, one in enumerate(held_out) if k not in set(seen)]


def _is_one_of(one: Frame, frames: Sequence[Frame], cutoff_A: float) -> bool:
    """Of frames with the same atoms."""
    own = _surroundings(one, cutoff_A) if frames else np.empty(0)
    return any(np.abs(own - _surroundings(f, cutoff_A)).max() <= ALIKE for f in frames)


def _atoms(frame: Frame) -> bytes:
    return np.sort(frame.types.numpy()).tobytes()


def _mean(frame: Frame, cutoff_A: float) -> float:
    """Of the surroundings with the lower power, whatever the element: tells most frames apart."""
    lengths = np.linalg.norm(frame.vectors.numpy().astype(float), axis=1)
    return float(2.0 * ((1.0 - lengths / cutoff_A) ** POWERS[0]).sum() / len(frame))


def _surroundings(frame: Frame, cutoff_A: float) -> Array:
    """``(n_atoms * n_elements * 2,)``: what must agree, sorted."""
    types, first, second = (one.numpy() for one in (frame.types, frame.first, frame.second))
    lengths = np.linalg.norm(frame.vectors.numpy().astype(float), axis=1)
    elements = np.unique(types)
    found = np.zeros((len(types), len(elements), len(POWERS)))
    for k, power in enumerate(POWERS):
        weights = (1.0 - lengths / cutoff_A) ** power
        np.add.at(found[:, :, k], (first, np.searchsorted(elements, types[second])), weights)
        np.add.at(found[:, :, k], (second, np.searchsorted(elements, types[first])), weights)
    return np.concatenate([np.sort(found[types == z], axis=0).ravel() for z in elements])
