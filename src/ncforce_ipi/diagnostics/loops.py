"""Work of a force along a closed path: 0 if it is a gradient, whatever the path.

    W = oint F . dr = integral_0^1 F(r(s)) . dr/ds ds  ~  (1/n) sum_k F(r(k/n)) . dr/ds(k/n)

Equal steps are the best there is for a smooth periodic integrand: their error falls faster than any
power of 1/n (Simpson's rule, which weighs points differently, gains nothing and falls as n^-4).
Steps of 2/n, 4/n, ... are among the same points, so that convergence is seen at no cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Structure
from ncforce_ipi.diagnostics.frames import to_atoms
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.errors import InputError

FEWEST_POINTS = 8


class Path(Protocol):
    """A closed path of all atoms: r(1) = r(0)."""

    @property
    def name(self) -> str:
        """What moves how, in a few words."""
        ...

    def at(self, s: float) -> tuple[Array, Array]:
        """Positions r(s) and dr/ds ``(n_atoms, 3)``, A."""
        ...


@dataclass(frozen=True)
class MoleculeLoop:
    """One molecule rotated and deformed and brought back, all other atoms at rest::

        r(s) = c + R(n, phi(s)) (1 + e(s) m m^T) x      of its atoms, x = r(0) - c
        phi(s) = a sin(2 pi s)  or  2 pi s,     e(s) = d (1 - cos(2 pi s)) / 2

    A swing of amplitude a (or a whole turn) around the axis n, and an elongation by the fraction d
    along m, a quarter of a period apart: the path encloses an area.

    Attributes
    ----------
    positions : ``(n_atoms, 3)``, A, of all atoms; the molecule in one piece
    atoms : ``(n_moved,)``, indices of the molecule
    axis, elongated : ``(3,)``, unit vectors n and m
    amplitude : a, radians; None: a whole turn
    strain : d
    name : see ``Path``
    """

    positions: Array
    atoms: NDArray[np.intp]
    axis: Array
    elongated: Array
    amplitude: float | None
    strain: float
    name: str

    def at(self, s: float) -> tuple[Array, Array]:
        """See ``Path``."""
        angle = 2 * np.pi * s
        phi, slope = angle, 2 * np.pi
        if self.amplitude is not None:
            phi, slope = self.amplitude * np.sin(angle), 2 * np.pi * self.amplitude * np.cos(angle)
        strain = self.strain * (1 - np.cos(angle)) / 2
        strain_slope = self.strain * np.pi * np.sin(angle)
        whole = self.positions[self.atoms]
        centre = whole.mean(axis=0)
        x = whole - centre
        along = np.outer(x @ self.elongated, self.elongated)  # (atom, xyz)
        rotation = _rotation(self.axis, phi)
        turned = (x + strain * along) @ rotation.T
        positions, tangent = self.positions.copy(), np.zeros_like(self.positions)
        positions[self.atoms] = centre + turned
        swirl = slope * np.cross(self.axis, turned)
        tangent[self.atoms] = swirl + strain_slope * along @ rotation.T
        return positions, tangent


class FramesLoop:
    """A path through given frames and back to the first, smooth: a periodic cubic spline.

    Atoms go to the nearest image of themselves in the next frame.
    """

    def __init__(self, frames: list[Structure], name: str) -> None:
        from scipy.interpolate import CubicSpline

        if len(frames) < FEWEST_POINTS:
            raise InputError(
                f"{name}: expected {FEWEST_POINTS} frames or more along the path, got {len(frames)}"
            )
        if any(not np.array_equal(f.numbers, frames[0].numbers) for f in frames):
            raise InputError(f"{name}: the frames of a path must have the same atoms in one order")
        if any(not np.allclose(f.cell, frames[0].cell) for f in frames):
            raise InputError(f"{name}: the frames of a path must have the same cell")
        self.name = f"{name}, {len(frames)} frames"
        points = _continuous(frames)
        self._spline = CubicSpline(np.linspace(0, 1, len(points)), points, bc_type="periodic")

    def at(self, s: float) -> tuple[Array, Array]:
        """See ``Path``."""
        return self._spline(s), self._spline(s, 1)


def _continuous(frames: list[Structure]) -> Array:
    """Positions of all frames and of the first again ``(n_frames + 1, n_atoms, 3)``, A."""
    cell = frames[0].cell
    inverse = np.linalg.pinv(cell)
    points = [frames[0].positions]
    for frame in [*frames[1:], frames[0]]:
        step = frame.positions - points[-1]
        points.append(points[-1] + step - np.round(step @ inverse) @ cell)
    if np.abs(points[-1] - points[0]).max() > 1e-6:
        raise InputError(
            "the path ends in another image of the cell than it began in; expected a closed path"
        )
    points[-1] = points[0]
    return np.array(points)


def _rotation(axis: Array, angle: float) -> Array:
    """Rodrigues' matrix ``(3, 3)``."""
    k = np.cross(np.eye(3), axis)  # k v = axis x v
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def molecules(structure: Structure) -> list[NDArray[np.intp]]:
    """Groups of atoms that covalent bonds hold together, by ASE's radii."""
    from ase.neighborlist import build_neighbor_list, get_connectivity_matrix, natural_cutoffs
    from scipy.sparse.csgraph import connected_components

    atoms = to_atoms(structure)
    neighbours = build_neighbor_list(atoms, natural_cutoffs(atoms), self_interaction=False)
    n_groups, labels = connected_components(get_connectivity_matrix(neighbours.nl))
    return [np.flatnonzero(labels == k) for k in range(n_groups)]


def random_loop(
    structure: Structure,
    group: NDArray[np.intp],
    amplitude: float | None,
    strain: float,
    random: np.random.Generator,
) -> MoleculeLoop:
    """A loop of one molecule around a random axis, elongated along another.

    Raises
    ------
    InputError
        It is a single atom, which can be neither turned nor deformed.
    """
    if len(group) < 2:
        raise InputError(
            f"atom {group[0]} is bound to none: expected a molecule; give a path in a file"
        )
    positions = structure.positions.copy()
    positions[group] = _in_one_piece(structure, group)
    axis, elongated = random.normal(size=(2, 3))
    motion = "turned" if amplitude is None else f"swung by {np.degrees(amplitude):g} degrees"
    return MoleculeLoop(
        positions,
        group,
        axis / np.linalg.norm(axis),
        elongated / np.linalg.norm(elongated),
        amplitude,
        strain,
        f"molecule of atoms {' '.join(str(k) for k in group)} {motion}, strained by {strain:g}",
    )


def _in_one_piece(structure: Structure, group: NDArray[np.intp]) -> Array:
    """Positions of a molecule smaller than half the cell, at the images nearest to its first."""
    cell = structure.cell
    d = structure.positions[group] - structure.positions[group[0]]
    return structure.positions[group[0]] + d - np.round(d @ np.linalg.pinv(cell)) @ cell


@dataclass(frozen=True)
class Work:
    """Work along a path.

    Attributes
    ----------
    power : ``(n_points,)``, eV, F . dr/ds at equal steps of s
    """

    power: Array

    @property
    def total(self) -> float:
        """Work of the whole loop, eV."""
        return float(self.power.mean())

    @property
    def convergence(self) -> list[tuple[int, float]]:
        """Numbers of points n, n/2, n/4, ... as far as they are whole, and their work, eV."""
        found, every = [], 1
        while len(self.power) % every == 0 and len(self.power) // every >= FEWEST_POINTS:
            found.append((len(self.power) // every, float(self.power[::every].mean())))
            every *= 2
        return found

    @property
    def error(self) -> float:
        """Difference of work with half as many points, eV: more than the error of the total."""
        steps = self.convergence
        return abs(steps[0][1] - steps[1][1]) if len(steps) > 1 else float("nan")

    @property
    def cumulative(self) -> Array:
        """Work from 0 to s at each point and at 1 ``(n_points + 1,)``, eV.

        The integral of the trigonometric polynomial through all points.
        """
        n = len(self.power)
        c = np.fft.rfft(self.power) / n
        k = np.arange(1, len(c))
        c[1:] /= 2j * np.pi * k
        c[0] = 0.0
        if n % 2 == 0:
            c[-1] = 0.0  # the highest frequency's phase isn't known
        periodic = np.fft.irfft(c * n, n)
        line = self.total * np.arange(n + 1) / n
        return line + np.append(periodic, periodic[0]) - periodic[0]


def points(path: Path, n_points: int) -> list[tuple[Array, Array]]:
    """Positions and tangents at equal steps of s.

    Raises
    ------
    InputError
        Fewer than 16 points, or an odd number: nothing would be said of convergence.
    """
    if n_points < 2 * FEWEST_POINTS or n_points % 2:
        raise InputError(
            f"expected an even number of points, {2 * FEWEST_POINTS} or more, got {n_points}"
        )
    return [path.at(k / n_points) for k in range(n_points)]
