"""Where an adsorbed atom sits on a close-packed surface: on top, on a bridge, or in a hollow.

Owns the geometry of one atom over one layer.  Knows no file and no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError

REACH = 1.25
"""Neighbours are surface atoms up to this times the shortest distance: 2.5 A for 2.0 A, between
the bonds of a hollow in thermal motion and the second neighbours of a top site."""
BELOW = 0.29
"""A second-layer atom within this times the side of the hollow is below it; an ideal hcp hollow has
one at 0, an fcc hollow at 0.58."""
KINDS = ("", "top", "bridge", "hollow")


@dataclass(frozen=True)
class Sites:
    """The site of one adsorbed atom in each frame.

    Attributes
    ----------
    kind : ``(n_frames,)``, "top", "bridge", "fcc", "hcp", or "other" with more than 3 neighbours
    neighbours : ``(n_frames,)``, element symbols of the neighbours, sorted: "Al Cu Cu"
    height_A : ``(n_frames,)``, A, of the atom above the mean of its neighbours along the normal
    bond_A : ``(n_frames,)``, A, mean distance to the neighbours
    """

    kind: NDArray[np.str_]
    neighbours: NDArray[np.str_]
    height_A: NDArray[np.float64]
    bond_A: NDArray[np.float64]

    def occupancy(self) -> dict[str, float]:
        """Share of frames in each site, "fcc Al Cu Cu" for instance, the largest first."""
        names = np.char.add(np.char.add(self.kind, " "), self.neighbours)
        found, counts = np.unique(names, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {str(found[k]): float(counts[k] / len(names)) for k in order}


def layers(heights_A: NDArray[np.float64], n_layers: int) -> list[NDArray[np.int64]]:
    """Indices of the atoms of each layer, the lowest first: cut at the widest gaps in height.

    Parameters
    ----------
    heights_A : ``(n_atoms,)``, A, along the normal of the surface

    Raises
    ------
    InputError
        Fewer atoms than layers.
    """
    if not 1 <= n_layers <= len(heights_A):
        raise InputError(
            f"{n_layers} layers of {len(heights_A)} atoms; expected 1 atom or more each"
        )
    order = np.argsort(heights_A)
    gaps = np.diff(heights_A[order])
    cuts = np.sort(np.argsort(gaps)[len(gaps) - (n_layers - 1) :]) + 1
    return [np.sort(part) for part in np.split(order, cuts)]


def adsorption_sites(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    species: Sequence[str],
    *,
    adsorbate: int,
    top: NDArray[np.int64],
    second: NDArray[np.int64],
) -> Sites:
    """The site of one atom in each frame, by its distances to the atoms of the top layer.

    Its neighbours are the top atoms within ``REACH`` times the shortest distance: 1 top, 2 bridge,
    3 a hollow, of which hcp has an atom of the second layer below.  Distances are those of nearest
    images in the surface plane; the third vector of the cell crosses the vacuum.

    Parameters
    ----------
    positions : ``(n_frames, n_atoms, 3)``, A
    cell : ``(3, 3)``, A, one lattice vector a row, the first two in the surface
    species : ``(n_atoms,)``, element symbols
    adsorbate : index of the atom
    top, second : indices of the atoms of the first and of the second layer
    """
    normal = np.cross(cell[0], cell[1])
    normal /= np.linalg.norm(normal)
    found = [
        _site(_from(frame, adsorbate, top, cell), _from(frame, adsorbate, second, cell), normal)
        for frame in positions
    ]
    names = np.array(species)[top]
    return Sites(
        np.array([kind for kind, _, _, _ in found]),
        np.array([" ".join(sorted(names[chosen])) for _, chosen, _, _ in found]),
        np.array([height for _, _, height, _ in found]),
        np.array([bond for _, _, _, bond in found]),
    )


def _from(
    frame: NDArray[np.float64], origin: int, others: NDArray[np.int64], cell: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``(n_others, 3)``, A: from one atom to the nearest images of others, in the plane."""
    vectors = frame[others] - frame[origin]
    fractions = vectors @ np.linalg.inv(cell)
    vectors = vectors - np.round(fractions) @ cell
    steps = np.array([[i, j, 0] for i in (-1, 0, 1) for j in (-1, 0, 1)]) @ cell
    images = vectors[:, None, :] + steps  # (n_others, 9, 3)
    nearest = np.linalg.norm(images, axis=2).argmin(axis=1)
    return images[np.arange(len(others)), nearest]


def _site(
    to_top: NDArray[np.float64], to_second: NDArray[np.float64], normal: NDArray[np.float64]
) -> tuple[str, NDArray[np.int64], float, float]:
    """Kind, rows of ``to_top`` that are neighbours, height and mean distance (A)."""
    distances = np.linalg.norm(to_top, axis=1)
    chosen = np.flatnonzero(distances < REACH * distances.min())
    height, bond = -float((to_top[chosen] @ normal).mean()), float(distances[chosen].mean())
    if len(chosen) >= len(KINDS):
        return "other", chosen, height, bond
    kind = KINDS[len(chosen)]
    if kind == "hollow":
        corners = to_top[chosen]
        side = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).mean()
        away = to_second - corners.mean(axis=0)
        lateral = np.linalg.norm(away - np.outer(away @ normal, normal), axis=1)
        kind = "hcp" if lateral.min() < BELOW * side else "fcc"
    return kind, chosen, height, bond
