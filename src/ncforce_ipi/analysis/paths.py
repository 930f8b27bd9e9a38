"""Places of atoms made continuous over time: across the boundary of the cell, in a cell that
changes, and about the centre of mass.

Owns what is done to positions before displacements are taken.  A sample of neighbouring frames
says what is needed (`manner_of`); `Follower` does it, block by block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.openings import complete
from ncforce_ipi.errors import InputError

FARTHEST, TYPICAL = 0.4, 0.1
"""Share of the cell that atoms may move between frames for a jump across it to be told: at most,
and on average (root mean square).  Of Gaussian moves of 0.1 one in two million is beyond 0.5."""
ONE_CELL = 1.5
"""Coordinates that span more cells than this were not wrapped into one."""
SAME_CELL = 1e-5
NO_CELL_JUMP, NO_CELL_MOVE = 0.5, 0.05
"""Without a cell: a move over half of the range of all coordinates, where most move a twentieth of
it at most, is a jump across a boundary that the file doesn't state."""


@dataclass(frozen=True)
class Manner:
    """How places are made continuous.

    Attributes
    ----------
    moving : ``(n_atoms,)``, False for atoms that are at one place in all frames
    reference : ``(3, 3)``, A, the cell that displacements are relative to; None where there is no
        cell, or one that doesn't matter
    periodic : ``(3,)``, along which lattice vectors there are jumps
    unwrap : whether moves over half a cell are jumps across its boundary
    relative : whether the cell changes
    weights : ``(n_atoms,)``, masses, whose centre is taken off; None where it isn't
    """

    moving: NDArray[np.bool_]
    reference: NDArray[np.float64] | None
    periodic: NDArray[np.bool_]
    unwrap: bool
    relative: bool
    weights: NDArray[np.float64] | None


def manner_of(
    pairs: NDArray[np.float64],
    cells: NDArray[np.float64],
    masses_u: NDArray[np.float64] | None,
    pbc: Sequence[bool] = (True, True, True),
) -> Manner:
    """What a sample of neighbouring frames says.

    Atoms at exactly one place are fixed; then the frame of reference is theirs, else the centre of
    mass is taken off.  A cell that changes takes its share of every displacement with it, which is
    no diffusion: fractional coordinates times the mean cell are followed.

    Parameters
    ----------
    pairs : ``(n_pairs, 2, n_atoms, 3)``, A, positions of two frames that follow each other
    cells : ``(n_pairs, 2, 3, 3)``, A
    masses_u : ``(n_atoms,)``, any unit; None where nothing says them
    pbc : whether the system is periodic along each lattice vector: only there atoms jump

    Raises
    ------
    InputError
        Jumps in a file without a cell.
    """
    every = pairs.reshape(-1, *pairs.shape[2:])
    along = np.array(pbc, dtype=bool)
    cells = np.array([complete(cell) for cell in cells.reshape(-1, 3, 3)]).reshape(cells.shape)
    boxes = cells.reshape(-1, 3, 3)
    held = (every == every[0]).all(axis=(0, 2))
    moving = ~held if len(every) > 1 and not held.all() else np.ones(len(held), dtype=bool)
    weights = masses_u if moving.all() and len(moving) > 1 else None
    if not along.any():
        moves = abs(pairs[:, 1] - pairs[:, 0])
        if len(pairs):
            _refuse_jumps(
                moves.max(axis=(0, 1)), np.median(moves, axis=(0, 1)), np.ptp(pairs, axis=(0, 1, 2))
            )
        return Manner(moving, None, along, False, False, weights)
    reference = boxes.mean(axis=0)
    changes = bool(abs(boxes - reference).max() > SAME_CELL * abs(reference).max())
    fractions = pairs @ np.linalg.inv(cells)
    moves = fractions[:, 1] - fractions[:, 0]
    spread = float(np.ptp(fractions, axis=(0, 1, 2))[along].max())
    unwrap = not (spread > ONE_CELL and _ambiguous((moves - np.rint(moves))[..., along]))
    return Manner(moving, reference, along, unwrap, changes, weights)


class Follower:
    """Follows the atoms of one trajectory from block to block."""

    def __init__(self, manner: Manner, name: str) -> None:
        """``name``: of the file, for messages."""
        self.manner, self._name = manner, name
        self._last: NDArray[np.float64] | None = None  # fractions, places without a cell
        self._images: NDArray[np.float64] | None = None
        self.n_jumps = 0
        self._farthest, self._squares, self._n_moves = 0.0, np.zeros(3), 0
        self._longest_A, self._way_A = np.zeros(3), np.zeros(3)
        self._low_A, self._high_A = np.full(3, np.inf), np.full(3, -np.inf)
        self._centre: list[NDArray[np.float64]] = []

    def anew(self) -> Follower:
        """One that has seen no frame yet."""
        return Follower(self.manner, self._name)

    def follow(
        self, positions: NDArray[np.float64], cells: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Continuous places ``(n_frames, n_moving, 3)``, A, of the next block of frames.

        Parameters
        ----------
        positions : ``(n_frames, n_atoms, 3)``, A, as in the file
        cells : ``(n_frames, 3, 3)``, A
        """
        manner = self.manner
        places = positions if manner.moving.all() else positions[:, manner.moving]
        if manner.reference is not None:
            places = self._in_one_cell(places, cells)
        else:
            self._watch(places)
        if manner.weights is not None:
            centre = np.einsum("fac,a->fc", places, manner.weights / manner.weights.sum())
            self._centre.append(centre)
            places = places - centre[:, None]
        return places

    def notes(self) -> list[str]:
        """What was done.

        Raises
        ------
        InputError
            Atoms move so far between frames that jumps across the cell can't be told from moves;
            jumps in a file without a cell, which the sample didn't hold.
        """
        if self.manner.reference is None and self._n_moves:
            _refuse_jumps(
                self._longest_A, self._way_A / self._n_moves, self._high_A - self._low_A, self._name
            )
        typical = np.sqrt(self._squares / max(self._n_moves, 1)).max()
        if self.n_jumps and (self._farthest > FARTHEST or typical > TYPICAL):
            raise InputError(
                f"{self._name}: atoms move up to {self._farthest:.2g} of the cell between frames, "
                "and whether they cross its boundary can't be told; give unwrapped positions, or "
                "write them more often"
            )
        found = []
        if self.n_jumps:
            found.append(
                f"{self._name} is wrapped into the cell: {self.n_jumps} jumps by a cell vector "
                "were undone"
            )
        if self.manner.relative:
            found.append("the cell changes: displacements are relative to it, its own part is none")
        if (fixed := int(np.count_nonzero(~self.manner.moving))) > 0:
            found.append(f"{fixed} atoms never move and are left out")
        return found

    def centre_A(self) -> NDArray[np.float64]:
        """``(n_frames, 3)``, A, the places of the centre of mass that was taken off."""
        return np.concatenate(self._centre) if self._centre else np.zeros((1, 3))

    def _watch(self, places: NDArray[np.float64]) -> None:
        """How far atoms without a cell move between frames, and where they are."""
        before = places[:1] if self._last is None else self._last
        moves = abs(np.diff(np.concatenate([before, places]), axis=0))
        self._last = places[-1:]
        self._longest_A = np.maximum(self._longest_A, moves.max(axis=(0, 1), initial=0.0))
        self._way_A += moves.sum(axis=(0, 1))
        self._n_moves += moves.shape[0] * moves.shape[1]
        self._low_A = np.minimum(self._low_A, places.min(axis=(0, 1)))
        self._high_A = np.maximum(self._high_A, places.max(axis=(0, 1)))

    def _in_one_cell(self, places: NDArray, cells: NDArray) -> NDArray[np.float64]:
        """Without jumps, and where the cell changes in the reference cell."""
        manner = self.manner
        if not (manner.unwrap or manner.relative):
            return places
        same = not manner.relative
        cells = cells if cells.any(axis=2).all() else np.array([complete(one) for one in cells])
        fractions = places @ np.linalg.inv(cells[0] if same else cells)
        if manner.unwrap:
            images = self._jumps(fractions)
            if same and not images.any():
                return places
            if same:
                return places + images @ cells[0]
            fractions = fractions + images
        return np.asarray(fractions @ manner.reference)

    def _jumps(self, fractions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Whole cells to add to each place, ``(n_frames, n_atoms, 3)``."""
        before = fractions[:1] if self._last is None else self._last
        moves = np.diff(np.concatenate([before, fractions]), axis=0)
        jumps = np.rint(moves) * self.manner.periodic
        self._last = fractions[-1:]
        moves = (moves - jumps) * self.manner.periodic
        self.n_jumps += int(np.count_nonzero(jumps))
        self._farthest = max(self._farthest, float(abs(moves).max(initial=0.0)))
        self._squares += np.einsum("fac,fac->c", moves, moves)
        self._n_moves += moves.shape[0] * moves.shape[1]
        images = -np.cumsum(jumps, axis=0)
        if self._images is not None:
            images += self._images
        self._images = images[-1:]
        return images


def _ambiguous(moves: NDArray[np.float64]) -> bool:
    """Whether moves ``(..., 3)``, in units of the cell, are comparable with half of it."""
    typical = np.sqrt((moves**2).mean(axis=tuple(range(moves.ndim - 1)))).max()
    return bool(abs(moves).max() > FARTHEST or typical > TYPICAL)


def _refuse_jumps(
    longest_A: NDArray[np.float64],
    typical_A: NDArray[np.float64],
    span_A: NDArray[np.float64],
    name: str = "",
) -> None:
    """Raise where moves ``(3,)`` are jumps across a boundary that the file doesn't state."""
    far = (longest_A > NO_CELL_JUMP * span_A).any()
    if far and (typical_A <= NO_CELL_MOVE * span_A).all():
        raise InputError(
            f"{f'{name}: ' * bool(name)}positions jump by {longest_A.max():.3g} A between two "
            "frames and the file has no cell: they look wrapped; give a file with its cell, or "
            "unwrapped positions"
        )
