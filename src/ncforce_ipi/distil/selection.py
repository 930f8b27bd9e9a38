"""Which frames of a run are worth learning: those where the forces disagree and that are new.

A frame is described by its atoms' surroundings: for each atom the density of neighbours of each
species over distance, Gaussians 0.25 A wide every 0.5 A up to the cutoff; for each species the mean
and the standard deviation over its atoms.  Each number is divided by its spread among the frames
that are known.  The novelty of a frame is its distance to the nearest frame that is known or has
been picked already.  Picked are, one after the other, the frames with the largest::

    (RMS of slow - fast) / its median  x  novelty / its median

so that neither a disagreement that is in the data already nor a new frame on which the forces agree
counts much.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

Array = NDArray[np.float64]
EVERY_A, WIDTH_A = 0.5, 0.25


def fingerprint(atoms: Atoms, species: Sequence[int], cutoff_A: float) -> Array:
    """``(n_numbers,)``: mean and spread of the surroundings of each species."""
    centres = np.arange(EVERY_A, cutoff_A + EVERY_A / 2, EVERY_A)
    i, j, r = neighbor_list("ijd", atoms, cutoff_A)
    weights = np.exp(-0.5 * ((r[:, None] - centres) / WIDTH_A) ** 2) / r[:, None]
    density = np.zeros((len(atoms), len(species), len(centres)))
    for k, z in enumerate(species):
        chosen = atoms.numbers[j] == z
        np.add.at(density[:, k], i[chosen], weights[chosen])
    flat = density.reshape(len(atoms), -1)
    parts = []
    for z in species:
        own = flat[atoms.numbers == z]
        nothing = np.zeros(flat.shape[1])
        parts += [own.mean(0), own.std(0)] if len(own) else [nothing, nothing]
    return np.concatenate(parts)


def pick(disagreement: Array, candidates: Array, known: Array, n: int) -> list[int]:
    """Up to ``n`` of the candidates, best first.

    Parameters
    ----------
    disagreement : ``(n_candidates,)``, eV/A, RMS of slow - fast
    candidates, known : ``(n_frames, n_numbers)``, fingerprints
    """
    if not len(candidates):
        return []
    spread = known.std(axis=0)
    spread[spread < 1e-9 + 1e-3 * spread.max(initial=0.0)] = np.inf  # numbers that never change
    nearest = np.sqrt(_nearest_square(candidates / spread, known / spread))
    size = disagreement / max(float(np.median(disagreement)), 1e-12)
    chosen: list[int] = []
    while len(chosen) < min(n, len(candidates)):
        score = size * nearest / max(float(np.median(nearest)), 1e-12)
        score[chosen] = -1.0
        best = int(score.argmax())
        if score[best] <= 0.0:
            break
        chosen.append(best)
        to_best = np.sqrt((((candidates - candidates[best]) / spread) ** 2).sum(axis=1))
        nearest = np.minimum(nearest, to_best)
    return chosen


def _nearest_square(points: Array, others: Array) -> Array:
    """``(n_points,)``: squared distance to the nearest of the others."""
    found = np.full(len(points), np.inf)
    for other in others:
        found = np.minimum(found, ((points - other) ** 2).sum(axis=1))
    return found
