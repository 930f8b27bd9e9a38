"""What can be known of a run before it starts: refusals, warnings and what it will write.

Looks at a recipe and a structure only; knows no model and starts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import Recipe
from ncforce_ipi.units import PER_FS_PER_CM
from ncforce_ipi.written import Strides

if TYPE_CHECKING:
    from ase import Atoms

VACUUM_A = 6.0  # along a lattice vector; a sheet's own thickness and a liquid's holes are less
FASTEST_PER_CM = {1: 3700.0, 6: 1650.0, 7: 1650.0, 8: 1650.0}  # X-H stretch; C=C, C=O, O=O
OTHER_PER_CM = 700.0
LONGEST_PERIODS = 0.55  # outer step: resonance at half a period; 5 fs for X-H
BYTES_PER_ATOM = {"position": 53.0, "velocity": 48.0, "force": 48.0}  # of a frame
BYTES_PER_ROW = 250.0
LARGE_MB = 2000.0


@dataclass(frozen=True)
class Preflight:
    """What a user should know before a run.

    Attributes
    ----------
    warnings : one line each; the run may start all the same
    disk_MB : size of the outputs at the end, MB
    """

    warnings: tuple[str, ...]
    disk_MB: float


def check(recipe: Recipe, atoms: Atoms) -> Preflight:
    """Look at a run before it starts.

    Raises
    ------
    InputError
        The barostat would close the vacuum of a slab or sheet.
    """
    _check_vacuum(recipe, atoms)
    warnings = [*_step_warnings(recipe, atoms), *_thermostat_warnings(recipe)]
    size_MB = disk_MB(recipe, len(atoms))
    if size_MB > LARGE_MB:
        warnings.append(f"outputs will take {1e-3 * size_MB:.1f} GB of disk")
    return Preflight(tuple(warnings), size_MB)


def vacuum_A(atoms: Atoms) -> np.ndarray:
    """``(3,)``, A: widest layer without atoms normal to each pair of lattice vectors."""
    cell = atoms.cell.array
    heights_A = atoms.cell.volume / np.linalg.norm(
        np.cross(np.roll(cell, -1, axis=0), np.roll(cell, -2, axis=0)), axis=1
    )
    fractions = np.sort(atoms.get_scaled_positions(wrap=True), axis=0)
    gaps = np.diff(fractions, axis=0, append=fractions[:1] + 1.0)
    return gaps.max(axis=0) * heights_A


def disk_MB(recipe: Recipe, n_atoms: int) -> float:
    """Size of properties and trajectories at the end of the run, MB, within some per cent."""
    plan, strides = recipe.plan, Strides.of(recipe.plan)
    per_step = BYTES_PER_ROW
    per_step += n_atoms * BYTES_PER_ATOM["position"] / strides.position
    per_step += n_atoms * BYTES_PER_ATOM["velocity"] / strides.velocity
    if recipe.force_stride is not None:
        n_values = n_atoms * len(plan.components)
        per_step += n_values * BYTES_PER_ATOM["force"] / recipe.force_stride
    return 1e-6 * per_step * plan.n_outer


def fastest_per_cm(atoms: Atoms) -> float:
    """The highest vibration to expect of these elements, cm^-1."""
    return max(FASTEST_PER_CM.get(number, OTHER_PER_CM) for number in set(atoms.numbers.tolist()))


def _check_vacuum(recipe: Recipe, atoms: Atoms) -> None:
    ensemble = recipe.ensemble
    if not ensemble.has_pressure or ensemble.barostat == "in-plane":
        return
    gaps_A = vacuum_A(atoms)
    if gaps_A.max() > VACUUM_A:
        axis = "abc"[int(np.argmax(gaps_A))]
        raise InputError(
            f"the cell has {gaps_A.max():.1f} A of vacuum along {axis}, which barostat "
            f"{ensemble.barostat or 'isotropic'} would close; use --barostat in-plane for a sheet "
            "with its vacuum along c, or another ensemble"
        )


def _step_warnings(recipe: Recipe, atoms: Atoms) -> list[str]:
    """Time steps against the fastest vibration."""
    plan = recipe.plan
    fastest = fastest_per_cm(atoms)
    period_fs = PER_FS_PER_CM / fastest
    found = []
    if plan.inner_step_fs > period_fs / 8:
        found.append(
            f"inner step {plan.inner_step_fs:g} fs: the fastest vibration to expect has a period "
            f"of {period_fs:.1f} fs; {period_fs / 18:.1g} fs is safe"
        )
    longest_fs = LONGEST_PERIODS * period_fs
    if plan.forces == "mts" and plan.outer_step_fs > longest_fs:
        found.append(
            f"outer step {plan.outer_step_fs:g} fs: above {longest_fs:.1f} fs multiple time steps "
            f"resonate with the fastest vibration to expect ({fastest:.0f} cm^-1); take a smaller M"
        )
    return found


def _thermostat_warnings(recipe: Recipe) -> list[str]:
    tau_fs, step_fs = recipe.ensemble.thermostat_tau_fs, recipe.plan.outer_step_fs
    if tau_fs is None or tau_fs >= step_fs:
        return []
    return [
        f"thermostat of {tau_fs:g} fs: it acts once an outer step of {step_fs:g} fs and can't be "
        "stronger than one of that time scale"
    ]
