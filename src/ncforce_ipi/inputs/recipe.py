"""A plan, a structure and the parts in ``xml_inputs/parts`` become one complete i-PI input.

The parts are text with ``$names``; a name that stands alone on its line takes a whole part.  Each
part is a choice that a user can make (ensemble, transport, outputs), so that another ensemble is
another file.  Starts nothing and knows no launcher: the XML is all that a run is.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi import __version__, durable
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.commands import Transport, by_hand, needs
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.held import held
from ncforce_ipi.inputs.motion import motion_xml, title
from ncforce_ipi.inputs.numbers import settle
from ncforce_ipi.inputs.outputs import outputs_xml
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.service import Service
from ncforce_ipi.inputs.templates import fill, in_instruction, require_xml
from ncforce_ipi.inputs.velocities import velocities_xyz
from ncforce_ipi.models import identity
from ncforce_ipi.provenance import printable
from ncforce_ipi.rundir import INPUT_FILE, STRUCTURE_FILE, VELOCITIES_FILE

if TYPE_CHECKING:
    from ase import Atoms


LATENCY_S, LONGEST_LATENCY_S = 1e-4, 1e-3
ORDINALS = ("second", "third", "fourth")  # of the drivers, after i-PI
ONE_MORE = "another"
KIND = {"slow": "conservative forces", "fast": "direct forces"}


@dataclass(frozen=True)
class Recipe:
    """All that decides the input of a run but the structure.

    Attributes
    ----------
    plan : which forces, how many steps
    ensemble : thermostat, barostat, beads
    temperature_K : of the start velocities (Maxwell-Boltzmann) and of the ensemble, K
    seed : of the start velocities and of i-PI's random numbers
    force_stride : outer steps between two writes of the force components; None for no such files
    service : the drivers, which the text of the input says how to start
    transport : where i-PI listens
    n_beside : i-PIs that run side by side: each looks for answers ten thousand times a second over
        their number, so that together they leave the processors to the model
    """

    plan: Plan
    ensemble: Ensemble
    temperature_K: float
    seed: int
    service: Service = field(default_factory=lambda: Service("water"))
    transport: Transport = field(default_factory=Transport)
    force_stride: int | None = None
    n_beside: int = 1

    def __post_init__(self) -> None:
        settle(self, whole=("seed", "force_stride"), real=("temperature_K",))
        if self.force_stride is not None and self.force_stride < 1:
            raise InputError(f"forces are written every 1 or more steps, got {self.force_stride}")
        if not 0 < self.temperature_K < 1e6:
            raise InputError(f"temperature must be positive, got {self.temperature_K} K")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must lie between 0 and 4294967295, got {self.seed}")


def input_xml(recipe: Recipe, atoms: Atoms) -> str:
    """The complete i-PI input for these atoms."""
    species = sorted(set(atoms.get_chemical_symbols()))
    plan = recipe.plan
    names = plan.components
    commands = by_hand(recipe.service, plan, recipe.ensemble, recipe.transport)
    text = fill(
        "simulation",
        {
            "title": f"{title(recipe.ensemble)} of {', '.join(species)} with i-PI",
            "version": __version__,
            "plan_text": _plan_text(plan),
            "driver_commands": "\n".join(
                f"<?{ordinal} {in_instruction(shlex.join(words))} ?>"
                for ordinal, words in zip(chain(ORDINALS, repeat(ONE_MORE)), commands, strict=False)
            ),
            "outputs": outputs_xml(plan, recipe.ensemble, species, recipe.force_stride),
            "n_outer": plan.n_outer,
            "seed": recipe.seed,
            "forcefields": "\n".join(_socket(recipe, name, atoms) for name in names),
            "structure": STRUCTURE_FILE,
            "velocities": _velocities(recipe, atoms),
            "components": "\n".join(_component(name, plan) for name in names),
            "n_beads": recipe.ensemble.beads,
            "motion": motion_xml(plan, recipe.ensemble, recipe.temperature_K, atoms),
        },
    )
    return require_xml(printable(text) + "\n")


def write_input(directory: Path, recipe: Recipe, atoms: Atoms) -> None:
    """Write ``input.xml``, ``init.xyz`` and given velocities into an existing directory."""
    text = input_xml(recipe, atoms)
    durable.write_text(directory / STRUCTURE_FILE, structure_xyz(atoms))
    if atoms.has("momenta"):
        durable.write_text(directory / VELOCITIES_FILE, velocities_xyz(atoms))
    durable.write_text(directory / INPUT_FILE, text)


def structure_xyz(atoms: Atoms) -> str:
    """Species, positions, cell, and masses and what is held if they are given, as extxyz.

    ASE writes 8 decimals.  i-PI doesn't read what is held here: a run that starts from this file
    does.
    """
    masses = atoms.get_masses()[:, None] if atoms.has("masses") else np.empty((len(atoms), 0))
    free = _move_mask(atoms)
    lattice = " ".join(f"{value:.17g}" for value in atoms.cell.array.ravel())
    properties = "species:S:1:pos:R:3" + ":masses:R:1" * masses.shape[1]
    properties += f":move_mask:L:{free.shape[1]}" if free.size else ""
    periodic = " ".join("FT"[int(one)] for one in atoms.pbc)
    lines = [f"{len(atoms)}", f'Lattice="{lattice}" Properties={properties} pbc="{periodic}"']
    numbers = np.hstack([atoms.positions, masses])
    for symbol, row, moves in zip(atoms.get_chemical_symbols(), numbers, free, strict=True):
        words = [f"{x:18.12f}" for x in row] + ["FT"[int(one)] for one in moves]
        lines.append(f"{symbol:2s} " + " ".join(words))
    return "\n".join(lines) + "\n"


def _move_mask(atoms: Atoms) -> NDArray[np.bool_]:
    """ASE's column: of each atom, or of each coordinate ``(n_atoms, 3)``; empty if all are free."""
    flags = held(atoms)
    if not flags.any():
        return np.empty((len(atoms), 0), bool)
    whole = np.array_equal(flags.any(axis=1), flags.all(axis=1))
    return ~flags[:, :1] if whole else ~flags


def _velocities(recipe: Recipe, atoms: Atoms) -> str:
    if not atoms.has("momenta"):
        return f'<velocities mode="thermal" units="kelvin"> {recipe.temperature_K} </velocities>'
    if recipe.ensemble.beads > 1:
        raise InputError("a path integral starts from random velocities; leave --velocities out")
    return f'<velocities mode="xyz"> {VELOCITIES_FILE} </velocities>'


def _plan_text(plan: Plan) -> str:
    if plan.forces == "mts":
        return (
            f"M = {plan.mts} inner steps of {plan.inner_step_fs} fs with the fast force, "
            "slow - fast once an outer step."
        )
    return f"Velocity Verlet with the {plan.forces} forces alone ({KIND[plan.forces]})."


def _socket(recipe: Recipe, name: str, atoms: Atoms) -> str:
    transport = recipe.transport
    values: dict[str, object] = {
        "name": name,
        "kind_text": KIND[name],
        "latency_s": min(LATENCY_S * recipe.n_beside, LONGEST_LATENCY_S),
        "batch": _batch(recipe, name),
        "parameters": _parameters(recipe, name, atoms),
    }
    if transport.port is None:
        return fill("socket_unix", values)
    values |= {"host": transport.host, "port": transport.port_of(name)}
    return fill("socket_inet", values)


def _batch(recipe: Recipe, name: str) -> str:
    """All beads in one request, or as many requests as there are GPUs; empty for one bead.

    Several drivers on a CPU get one bead after the other: who is free first takes the next.
    """
    service = recipe.service
    other = name == "slow" and service.slow_driver
    n_drivers = 1 if other else service.n_drivers
    if n_drivers > 1 and set(service.devices) <= {"cpu"}:
        return ""
    size = math.ceil(recipe.ensemble.beads / n_drivers)
    return f"<batch_size> {size} </batch_size>" if size > 1 else ""


def _parameters(recipe: Recipe, name: str, atoms: Atoms) -> str:
    """What i-PI tells a driver that connects, which then refuses what it doesn't fit to."""
    found = {identity.ROLE: name, identity.ATOMS: identity.of_atoms(atoms.numbers)}
    if model := recipe.service.identity(name):
        found[identity.MODEL] = model
    if name == "fast" and (needed := needs(recipe.plan, recipe.ensemble)):
        found[identity.NEEDS] = identity.AND.join(needed)
    if name == "slow" and recipe.ensemble.has_pressure:
        found[identity.NEEDS] = identity.VIRIAL
    return ", ".join(f"{key}: {value}" for key, value in found.items())


def _component(name: str, plan: Plan) -> str:
    return fill("component", {"name": name, "weights": list(plan.weights[name])})
