"""What a labelled structure says of its energy, forces and stress.

Owns which of a file's labels are taken.  Units are ASE's, signs too: stress is dE/dstrain over the
volume, so that a crystal under tension has a positive one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError

log = logging.getLogger(__name__)

WEIGHTS = (
    "config_weight",
    "config_energy_weight",
    "config_forces_weight",
    "config_stress_weight",
)  # MACE's
SAME_eV_PER_ATOM = 1e-6
Array = NDArray[np.float64]


def energy(atoms: Any) -> float:
    """The energy, eV, whose gradient the forces are: the free energy, where there is one.

    With smeared occupations DFT codes give the energy that is extrapolated to no smearing as well;
    ASE calls that ``energy``.
    """
    plain = float(atoms.get_potential_energy(apply_constraint=False))
    return float(atoms.calc.results.get("free_energy", plain))


def forces(atoms: Any) -> Array:
    """Stored forces ``(n_atoms, 3)``, eV/A, on atoms that a constraint holds too."""
    return np.asarray(atoms.get_forces(apply_constraint=False))


def strain_gradient(atoms: Any) -> Array:
    """dE/dstrain ``(3, 3)``, eV: stress x volume; of a molecule, symmetric -sum_i r_i (x) F_i."""
    if atoms.pbc.any():
        stress = atoms.get_stress(voigt=False, apply_constraint=False)
        return np.asarray(stress * atoms.get_volume())
    outer = (atoms.positions - atoms.positions.mean(axis=0)).T @ forces(atoms)
    return np.asarray(-0.5 * (outer + outer.T))


def check_labels(frames: Sequence[Any], name: str, needs_stress: bool) -> None:
    """Refuse labels that aren't numbers and frames of weight zero; say what is taken, or isn't.

    Parameters
    ----------
    frames : ``ase.Atoms`` with labels
    name : of their file
    """
    for k, atoms in enumerate(frames):
        labels: dict[str, Any] = {"energy": energy(atoms), "forces": forces(atoms)}
        if needs_stress and atoms.pbc.any():
            labels["stress"] = atoms.get_stress(apply_constraint=False)
        for label, value in labels.items():
            if not np.isfinite(value).all():
                raise InputError(
                    f"{name}, frame {k}: its {label} isn't finite; take the frame out of the file"
                )
        if zero := [word for word in WEIGHTS if atoms.info.get(word, 1.0) == 0.0]:
            raise InputError(
                f"{name}, frame {k}: {zero[0]} = 0, and weights of frames aren't used; take the "
                "frame out of the file"
            )
    _say_free_energies(frames, name)
    if weighed := {w for atoms in frames for w in WEIGHTS if atoms.info.get(w, 1.0) != 1.0}:
        log.warning(
            "%s: %s isn't used: frames of a pool count the same; weigh pools in the recipe",
            name, " and ".join(sorted(weighed)),
        )  # fmt: skip
    if others := {
        key for atoms in frames for key in (*atoms.info, *atoms.arrays) if _is_label(key)
    }:
        log.warning(
            "%s: the labels are energy and forces; not used: %s", name, ", ".join(sorted(others))
        )


def _say_free_energies(frames: Sequence[Any], name: str) -> None:
    apart = [abs(energy(one) - one.calc.results["energy"]) / len(one) for one in frames]
    if max(apart, default=0.0) > SAME_eV_PER_ATOM:
        log.warning(
            "%s: energies are free energies (free_energy), whose gradient the forces are; in %d "
            "of %d frames energy is another, by up to %.3g meV/atom",
            name, sum(one > SAME_eV_PER_ATOM for one in apart), len(apart), 1e3 * max(apart),
        )  # fmt: skip


def _is_label(key: str) -> bool:
    """Whether a name that ASE doesn't know is that of an energy or of forces (``REF_energy``)."""
    return key not in WEIGHTS and key.lower().endswith(("energy", "forces", "force"))
