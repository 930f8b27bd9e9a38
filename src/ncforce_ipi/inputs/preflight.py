"""What can be known of a run before it starts: refusals, warnings and what it will write.

Looks at a recipe, a structure and what a model's file says of itself; loads no model and starts
nothing.  A cell may be smaller than twice the cutoff: every family takes all periodic images
(``tests/drivers/test_contract.py``, a cell of one atom).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.held import held
from ncforce_ipi.inputs.outputs import Strides
from ncforce_ipi.inputs.recipe import Recipe
from ncforce_ipi.inputs.velocities import kept_warnings
from ncforce_ipi.inputs.vibrations import ISOTOPE, fastest_per_cm
from ncforce_ipi.models import SHIPPED, model_path
from ncforce_ipi.models.modelfile import Capabilities, capabilities, named_model, what_instead
from ncforce_ipi.species import SYMBOLS
from ncforce_ipi.units import PER_FS_PER_CM

if TYPE_CHECKING:
    from ase import Atoms

VACUUM_A = 6.0  # along a lattice vector; a sheet's own thickness and a liquid's holes are less
LONGEST_PERIODS = 0.55  # outer step: resonance at half a period; 5 fs for X-H
BYTES_PER_ATOM = {"position": 53.0, "velocity": 48.0, "force": 48.0}  # of a frame
BYTES_PER_ROW = 250.0
SHORTEST_BONDS = 0.7  # of the sum of covalent radii; N2 has 0.77, H2 more
LARGE_MB = 2000.0
DIRECT_FORCE, DIRECT_STRESS = "non_conservative_force", "non_conservative_stress"


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
        An element that the model doesn't know or that has no mass, a virial that nobody
        gives, or a barostat that would close the vacuum of a slab or sheet, or move held atoms.
    """
    _check_masses(atoms, recipe.ensemble.beads)
    _check_models(recipe, atoms)
    _check_vacuum(recipe, atoms)
    _check_held(recipe, atoms)
    warnings = [
        *_distance_warnings(atoms),
        *_mass_warnings(atoms),
        *_step_warnings(recipe, atoms),
        *_spectrum_warnings(recipe, atoms),
        *_thermostat_warnings(recipe),
        *(kept_warnings(atoms, recipe.temperature_K) if recipe.ensemble.name == "nve" else ()),
        *recipe.transport.warnings(recipe.plan.components),
    ]
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
    plan, strides = recipe.plan, Strides.of(recipe.plan, recipe.force_stride)
    per_step = BYTES_PER_ROW
    per_step += n_atoms * BYTES_PER_ATOM["position"] / strides.position
    per_step += n_atoms * BYTES_PER_ATOM["velocity"] / strides.velocity
    if recipe.force_stride is not None:
        n_values = n_atoms * len(plan.components)
        per_step += n_values * BYTES_PER_ATOM["force"] / recipe.force_stride
    return 1e-6 * per_step * plan.n_outer


def space_warnings(directory: Path, size_MB: float) -> list[str]:
    """One line if outputs of this size don't fit where ``directory`` is, or will be."""
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    free_MB = 1e-6 * shutil.disk_usage(there).free
    if size_MB <= free_MB:
        return []
    return [f"outputs will take {1e-3 * size_MB:.1f} GB, {there} has {1e-3 * free_MB:.1f} GB free"]


def _check_masses(atoms: Atoms, n_beads: int) -> None:
    """Positive masses, u: i-PI takes those of the file or else of ASE's table."""
    if len(atoms) == 1 and n_beads == 1:
        raise InputError(
            "a single atom can't move: the centre of mass is held at rest; expected two atoms or "
            "more, or a path integral (--beads)"
        )
    if 0 in atoms.numbers:
        first = int(np.argmin(atoms.numbers))
        raise InputError(f"atom {first} is X, which has no mass; expected chemical elements")
    masses = atoms.get_masses()
    wrong = ~((masses > 0.0) & (masses < np.inf))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(
            f"atom {first} ({atoms.symbols[first]}) has a mass of {masses[first]:g} u; expected a "
            "positive number"
        )


def _mass_warnings(atoms: Atoms) -> list[str]:
    """Species of which one atom has another mass than the other by more than bonds can give."""
    found = []
    for symbol in sorted(set(atoms.get_chemical_symbols())):
        masses = atoms.get_masses()[atoms.symbols == symbol]
        if symbol == "H" and masses.max() > ISOTOPE * masses.min():
            found.append(
                f"{symbol} has masses from {masses.min():g} to {masses.max():g} u: all results of "
                f"{symbol} are means over them; isotopes can't be told apart"
            )
    return found


def _models(recipe: Recipe) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Role, model, family and further words of everything that serves forces."""
    service = recipe.service
    for role in recipe.plan.components:
        if role == "slow" and service.slow_driver:
            yield role, *named_model(service.slow_driver), service.slow_driver
        else:
            yield role, service.model, service.family, service.options


def _check_models(recipe: Recipe, atoms: Atoms) -> None:
    """Refuse what a model is known not to do; drivers of other families find out when they load."""
    for role, model, family, words in _models(recipe):
        if recipe.ensemble.has_pressure and "--no-virial" in words:
            raise InputError(
                f"constant pressure needs the virial of the {role} forces: leave --no-virial out, "
                "or take another ensemble"
            )
        known = _capabilities(model) if family == "metatomic" else None
        if known is None and family == "metatomic" and (is_what := what_instead(Path(model))):
            raise InputError(f"{model} is no metatomic model: {is_what}")
        if known is not None:
            _check_species(model, known, atoms)
            _check_outputs(role, model, known, recipe)


def _check_species(model: str, known: Capabilities, atoms: Atoms) -> None:
    unknown = sorted(set(atoms.numbers.tolist()) - known.species)
    if unknown:
        raise InputError(
            f"model {model} doesn't know {_symbols(unknown)}, only {_symbols(known.species)}; "
            "give another --model"
        )


def _check_outputs(role: str, model: str, known: Capabilities, recipe: Recipe) -> None:
    """Refuse a fast model without direct forces, or without a direct stress where it's needed."""
    if role != "fast" or "--fast-kind" in recipe.service.options:
        return
    if not (known.has(DIRECT_FORCE) or known.has(f"{DIRECT_FORCE}s")):
        raise InputError(
            f"the fast model {model} has no output {DIRECT_FORCE}, only "
            f"{', '.join(sorted(known.outputs))}: give another one with --fast, or run its forces "
            "alone with --forces slow"
        )
    if recipe.ensemble.has_pressure and not known.has(DIRECT_STRESS):
        raise InputError(
            f"constant pressure needs the virials of both forces, and the fast model {model} "
            f"has no output {DIRECT_STRESS}; take another --fast-model or ensemble"
        )


def _capabilities(model: str) -> Capabilities | None:
    """None also for a file that isn't here: an input may be written for another machine."""
    here = model in SHIPPED or Path(model).is_file()
    return capabilities(model_path(model)) if here else None


def _symbols(numbers: Iterable[int]) -> str:
    return " ".join(SYMBOLS[number] for number in sorted(numbers))


def _check_vacuum(recipe: Recipe, atoms: Atoms) -> None:
    """Refuse a barostat that would close the vacuum; in-plane leaves that along c alone."""
    ensemble = recipe.ensemble
    if not ensemble.has_pressure:
        return
    in_plane = ensemble.barostat == "in-plane"
    gaps_A = vacuum_A(atoms)[: 2 if in_plane else 3]
    if gaps_A.max() <= VACUUM_A:
        return
    axis = "abc"[int(np.argmax(gaps_A))]
    advice = "use --barostat in-plane for a sheet with its vacuum along c, or another ensemble"
    if in_plane:
        order = {"a": "b, c, a", "b": "c, a, b"}[axis]
        advice = f"give a sheet's lattice vectors in the order {order}, so that c is across it"
    raise InputError(
        f"the cell has {gaps_A.max():.1f} A of vacuum along {axis}, which barostat "
        f"{ensemble.barostat or 'isotropic'} would close; {advice}"
    )


def _check_held(recipe: Recipe, atoms: Atoms) -> None:
    """A barostat of i-PI moves every atom with the cell, those that are held too."""
    flags = held(atoms)
    if recipe.ensemble.has_pressure and flags.any():
        raise InputError(
            f"{np.count_nonzero(flags.any(axis=1))} atoms are held, and a barostat would move them "
            "with the cell; take another ensemble than npt, or let them go"
        )


def _distance_warnings(atoms: Atoms) -> list[str]:
    """The closest pair, as a part of a bond's length, if it is closer than any molecule has it."""
    from ase.data import covalent_radii
    from ase.neighborlist import neighbor_list

    i, j, d_A = neighbor_list("ijd", atoms, SHORTEST_BONDS * covalent_radii[atoms.numbers])
    if not len(d_A):
        return []
    bonds_A = covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]]
    k = int(np.argmin(d_A / bonds_A))
    first, second = sorted((int(i[k]), int(j[k])))
    return [
        f"atoms {first} ({atoms.symbols[first]}) and {second} ({atoms.symbols[second]}) are "
        f"{d_A[k]:.2f} A apart, a bond has about {bonds_A[k]:.2f} A: the run may start with a blow"
    ]


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


def _spectrum_warnings(recipe: Recipe, atoms: Atoms) -> list[str]:
    """Velocities against the fastest vibration: above their Nyquist frequency it folds back."""
    plan = recipe.plan
    interval_fs = Strides.of(plan).velocity * plan.outer_step_fs
    nyquist, fastest = PER_FS_PER_CM / (2 * interval_fs), fastest_per_cm(atoms)
    if nyquist >= fastest:
        return []
    return [
        f"velocities are written once an outer step, every {interval_fs:g} fs: spectra end at "
        f"{nyquist:.0f} cm^-1, and vibrations above it (up to {fastest:.0f} cm^-1) show up below"
    ]


def _thermostat_warnings(recipe: Recipe) -> list[str]:
    tau_fs, step_fs = recipe.ensemble.thermostat_tau_fs, recipe.plan.outer_step_fs
    if tau_fs is None or tau_fs >= step_fs:
        return []
    return [
        f"thermostat of {tau_fs:g} fs: it acts once an outer step of {step_fs:g} fs and can't be "
        "stronger than one of that time scale"
    ]
