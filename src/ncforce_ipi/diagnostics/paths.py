"""Closed paths of all atoms: a molecule that moves and comes back, or the frames of a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Structure
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.structures import Frame, as_frames, to_atoms

if TYPE_CHECKING:
    from ase import Atoms
    from ase.neighborlist import NeighborList

FEWEST_FRAMES = 8


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

        if len(frames) < FEWEST_FRAMES:
            raise InputError(
                f"{name}: expected {FEWEST_FRAMES} frames or more along the path, got {len(frames)}"
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
    from ase.geometry import find_mic

    cell = frames[0].cell
    points = [frames[0].positions]
    for frame in [*frames[1:], frames[0]]:
        step, _ = find_mic(frame.positions - points[-1], cell, cell.any(axis=1))
        points.append(points[-1] + step)
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
    from ase.neighborlist import get_connectivity_matrix
    from scipy.sparse.csgraph import connected_components

    n_groups, labels = connected_components(get_connectivity_matrix(_bonds(structure).nl))
    return [np.flatnonzero(labels == k) for k in range(n_groups)]


def _bonds(structure: Structure) -> NeighborList:
    """Bonded neighbours, each bond once: ASE's covalent radii and 0.3 A at both ends."""
    from ase.neighborlist import build_neighbor_list, natural_cutoffs

    atoms = to_atoms(structure)
    return build_neighbor_list(atoms, natural_cutoffs(atoms), self_interaction=False)


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
        It is a single atom, which can be neither turned nor deformed, or it is bound to its own
        periodic images, as a crystal is, which would turn into itself.
    """
    whole = _in_one_piece(structure, group)
    if len(group) < 2:
        raise InputError(
            f"atom {group[0]} is bound to none: expected a molecule; give a path in a file"
        )
    positions = structure.positions.copy()
    positions[group] = whole
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


def random_paths(
    structures: Sequence[Frame | Structure | Atoms],
    n_paths: int,
    *,
    angle_deg: float | None = 30.0,
    strain: float = 0.1,
    atom: int | None = None,
    seed: int = 0,
) -> list[tuple[Frame, Path]]:
    """Loops of molecules drawn at random, each with the structure that it starts from.

    Parameters
    ----------
    structures : taken in turn
    angle_deg : amplitude of the swing, degrees; None: a whole turn
    strain : elongation
    atom : index of an atom whose molecule moves; None: any molecule
    seed : of molecules and axes

    Raises
    ------
    InputError
        There is no such atom, or a molecule is a single atom or has no end (`random_loop`).
    """
    if n_paths < 1:
        raise InputError(f"expected 1 loop or more, got {n_paths}")
    for name, value in (("angle", angle_deg), ("strain", strain)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"the {name} of a loop: expected a positive number, got {value}")
    random, frames = np.random.default_rng(seed), as_frames(structures)
    amplitude = None if angle_deg is None else math.radians(angle_deg)
    found: list[tuple[Frame, Path]] = []
    for k in range(n_paths):
        frame = frames[k % len(frames)]
        groups = molecules(frame.structure)
        if atom is not None:
            groups = [group for group in groups if atom in group]
            if not groups:
                raise InputError(
                    f"{frame.name} has no atom {atom}; expected 0 to "
                    f"{len(frame.structure.numbers) - 1}"
                )
        group = groups[random.integers(len(groups))]
        found.append((frame, random_loop(frame.structure, group, amplitude, strain, random)))
    return found


def _in_one_piece(structure: Structure, group: NDArray[np.intp]) -> Array:
    """Positions of a molecule along its bonds from its first atom ``(n_moved, 3)``, A."""
    bonded: dict[int, list[tuple[int, Array]]] = {int(k): [] for k in group}
    bonds = _bonds(structure)
    for i in bonded:
        for j, cells in zip(*bonds.get_neighbors(i), strict=True):
            bonded[i].append((int(j), cells))
            bonded[int(j)].append((i, -cells))
    first = int(group[0])
    images: dict[int, Array] = {first: np.zeros(3)}
    reached = [first]
    for i in reached:  # grows
        for j, cells in bonded[i]:
            image = images[i] + cells
            if j not in images:
                images[j] = image
                reached.append(j)
            elif not np.array_equal(images[j], image):
                raise InputError(
                    f"atom {first} and all bound to it ({len(group)} in all) reach their own "
                    "periodic images, as a crystal does: expected a molecule; choose one by its "
                    "atom with --molecule, or give a closed path in a file with --path"
                )
    return structure.positions[group] + np.array([images[int(k)] for k in group]) @ structure.cell
