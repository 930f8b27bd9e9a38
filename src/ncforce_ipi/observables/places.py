"""Positions of replicas as continuous paths: unwrapped, in one cell, about the centre of mass.

Owns the sample that says what is needed, and what a reader is told of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.paths import Follower, manner_of
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.passes import blocks_of, frames_at_once, groups
from ncforce_ipi.observables.replica import Replica

PAIRS = 32
"""Neighbouring frames, spread over the run, that show how atoms move."""
SEEN_A = 0.01
"""A centre of mass that moves less is not worth a word."""
NO_MASSES = (
    "nothing says the masses: the motion of the centre of mass is not taken off (--masses-u would)"
)


class Places:
    """Continuous paths of the atoms that move, of several replicas."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        """The replicas are of one system.

        Raises
        ------
        InputError
            Jumps in a file without a cell.
        """
        self._replicas = replicas
        manners = [manner_of(*_pairs(one), _weights(one), one.trajectory.pbc) for one in replicas]
        self.moving = np.any([one.moving for one in manners], axis=0)
        self._followers = [
            Follower(replace(manner, moving=self.moving), str(one.trajectory.path))
            for manner, one in zip(manners, replicas, strict=True)
        ]

    @property
    def species(self) -> NDArray[np.str_]:
        """``(n_moving,)``."""
        return self._replicas[0].species[self.moving]

    def groups(
        self, per_block: int, n_kept: int
    ) -> Iterator[tuple[slice, Iterator[Iterator[NDArray[np.float64]]]]]:
        """Atoms that are followed together, and of each replica blocks of their places.

        Blocks are ``(per_block, n_group, 3)``, A; all atoms that move are in one group, unless
        ``n_kept`` of their frames are too many to be kept.
        """
        for atoms in groups(len(self.species), n_kept):
            self._followers = [follower.anew() for follower in self._followers]
            yield atoms, self._runs(per_block, atoms)

    def _runs(self, per_block: int, atoms: slice) -> Iterator[Iterator[NDArray[np.float64]]]:
        at_once = frames_at_once(len(self.moving), per_block)
        for replica, follower in zip(self._replicas, self._followers, strict=True):
            frames = replica.blocks(at_once)
            places = (follower.follow(one.values, one.cells) for one in frames)
            yield blocks_of(places, per_block, atoms)

    def notes(self) -> list[str]:
        """What was done, once all blocks have passed.

        Raises
        ------
        InputError
            Jumps across the cell can't be told from moves.
        """
        found = [note for follower in self._followers for note in follower.notes()]
        found += [one.bead.of_positions for one in self._replicas if one.bead]
        far_A = max(float(np.ptp(one.centre_A(), axis=0).max()) for one in self._followers)
        if far_A > SEEN_A:
            found.append(f"about the centre of mass, which moved by {far_A:.3g} A")
        if self.moving.all() and any(_weights(one) is None for one in self._replicas):
            found.append(NO_MASSES)
        return list(dict.fromkeys(found))


def _pairs(replica: Replica) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions ``(n_pairs, 2, n_atoms, 3)`` and cells of neighbouring frames."""
    whole = replica.trajectory
    firsts = np.unique(np.linspace(0, max(len(whole.steps) - 2, 0), PAIRS).astype(np.int64))
    chosen = np.stack([firsts, np.minimum(firsts + 1, len(whole.steps) - 1)], axis=1)
    flat, back = np.unique(chosen, return_inverse=True)
    few = replace(whole, steps=whole.steps[flat], spans=whole.spans[flat])
    frames = list(few.blocks(1))
    values, cells = (np.concatenate(part) for part in zip(
        *((one.values, one.cells) for one in frames), strict=True
    ))  # fmt: skip
    back = back.reshape(chosen.shape)
    return values[back], cells[back]


def _weights(replica: Replica) -> NDArray[np.float64] | None:
    """Masses; alike where there is one species only; None where nothing says them."""
    if len(np.unique(replica.species)) == 1:
        return np.ones(len(replica.species))
    try:
        return replica.masses_u()
    except InputError:
        return None
