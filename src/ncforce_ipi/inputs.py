"""A plan, a structure and the template parts in ``xml_inputs/`` become one complete i-PI input.

The parts are text with ``$names``; a name that stands alone on its line takes a whole part.  Each
part is a choice that a user can make (ensemble, transport, outputs), so that another ensemble is
another file.  Starts nothing and knows no launcher: the XML is all that a run is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from ncforce_ipi import __version__
from ncforce_ipi.errors import InputError
from ncforce_ipi.mts import Plan
from ncforce_ipi.units import PER_FS_PER_CM

if TYPE_CHECKING:
    from ase import Atoms

PREFIX = "simulation"
INPUT_FILE = "input.xml"
STRUCTURE_FILE = "init.xyz"
ENSEMBLES = ("nve",)
SHIPPED_STRUCTURES = {"water": "water.xyz"}

POSITION_INTERVAL_FS = 20.0
VELOCITY_INTERVAL_FS = 4.0  # at most: Nyquist 4169 cm^-1, above the O-H stretch
CHECKPOINT_INTERVAL_FS = 200.0
OLDER_CHECKPOINTS = 5
LATENCY_S = 1e-4
CLOSEST_A = 0.5  # two nuclei are never closer, but those of a file in nm are
KIND = {"slow": "conservative forces", "fast": "direct forces"}


@dataclass(frozen=True)
class Strides:
    """Outer steps between two writes of each output."""

    position: int
    velocity: int
    checkpoint: int

    @classmethod
    def of(cls, plan: Plan) -> Strides:
        """Positions for g(r), velocities for c_vv up to the O-H stretch where the step allows."""
        step_fs = plan.outer_step_fs
        return cls(
            position=max(1, round(POSITION_INTERVAL_FS / step_fs)),
            velocity=max(1, int(VELOCITY_INTERVAL_FS / step_fs + 1e-9)),
            checkpoint=max(1, round(CHECKPOINT_INTERVAL_FS / step_fs)),
        )


@dataclass(frozen=True)
class Transport:
    """Where i-PI listens: unix sockets, or TCP on ``port`` (slow) and ``port + 1`` (fast)."""

    port: int | None = None
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        if self.port is not None and not 1 <= self.port <= 65534:
            raise InputError(f"port must lie between 1 and 65534, got {self.port}")

    def port_of(self, component: str) -> int:
        """TCP port of a component."""
        if self.port is None:
            raise InputError("unix sockets have no port; expected an inet transport")
        return self.port + (component == "fast")


@dataclass(frozen=True)
class Recipe:
    """All that decides the input of a run but the structure.

    Attributes
    ----------
    ensemble : one of ``ENSEMBLES``
    temperature_K : of the start velocities (Maxwell-Boltzmann), K
    seed : of the start velocities and of i-PI's random numbers
    model : name or path as the user gave it; only for the text of the input
    """

    plan: Plan
    ensemble: str
    temperature_K: float
    seed: int
    model: str = "water"
    transport: Transport = Transport()

    def __post_init__(self) -> None:
        if self.ensemble not in ENSEMBLES:
            raise InputError(f"ensemble is {' or '.join(ENSEMBLES)}, got {self.ensemble!r}")
        if not 0 < self.temperature_K < 1e6:
            raise InputError(f"temperature must be positive, got {self.temperature_K} K")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must lie between 0 and 4294967295, got {self.seed}")


def read_structure(name_or_path: str) -> Atoms:
    """A shipped start structure by its name, or the last frame of any file that ASE reads.

    Returns
    -------
    Species, positions (A) and periodic cell (A) only.
    """
    import ase.io
    from ase import Atoms
    from ase.io.formats import UnknownFileTypeError

    path = _structure_path(name_or_path)
    try:
        atoms = ase.io.read(path)
    except (UnknownFileTypeError, OSError, ValueError, IndexError, KeyError) as err:
        raise InputError(f"ASE can't read a structure from {path}: {err}") from err
    if isinstance(atoms, list):
        atoms = atoms[-1]
    _check_structure(atoms, path)
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)


def input_xml(recipe: Recipe, species: list[str]) -> str:
    """The complete i-PI input for atoms of these species, in the order of the columns."""
    plan = recipe.plan
    names = plan.components
    return _fill(
        "simulation",
        {
            "title": f"{recipe.ensemble.upper()} of {', '.join(species)} with i-PI",
            "version": __version__,
            "plan_text": _plan_text(plan),
            "driver_command": _driver_command(recipe),
            "outputs": _outputs(plan, species),
            "n_outer": plan.n_outer,
            "seed": recipe.seed,
            "forcefields": "\n".join(_socket(recipe.transport, name) for name in names),
            "structure": STRUCTURE_FILE,
            "temperature_K": recipe.temperature_K,
            "components": "\n".join(_component(name, plan) for name in names),
            "ensemble": _ensemble(recipe),
        },
    )


def write_input(directory: Path, recipe: Recipe, atoms: Atoms) -> None:
    """Write ``input.xml`` and ``init.xyz`` into an existing directory."""
    import ase.io

    species = sorted(set(atoms.get_chemical_symbols()))
    text = input_xml(recipe, species)
    ase.io.write(directory / STRUCTURE_FILE, atoms, format="extxyz")
    (directory / INPUT_FILE).write_text(text, encoding="utf-8")


def _structure_path(name_or_path: str) -> Path:
    if name_or_path in SHIPPED_STRUCTURES:
        return _part(SHIPPED_STRUCTURES[name_or_path])
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        names = ", ".join(sorted(SHIPPED_STRUCTURES))
        raise InputError(
            f"structure {name_or_path!r} is neither a file nor a shipped system ({names})"
        )
    return path


def _check_structure(atoms: Atoms, path: Path) -> None:
    from ase.neighborlist import neighbor_list

    if atoms.cell.rank < 3:
        raise InputError(f"{path} has no periodic cell; expected three lattice vectors in A")
    atoms.pbc = True
    close_A = neighbor_list("d", atoms, CLOSEST_A)
    if len(close_A):
        raise InputError(
            f"two atoms of {path} are {close_A.min():.3f} A apart; expected more than "
            f"{CLOSEST_A} A: is the file in another unit than A?"
        )


def _plan_text(plan: Plan) -> str:
    if plan.forces == "mts":
        return (
            f"M = {plan.mts} inner steps of {plan.inner_step_fs} fs with the fast force, "
            "slow - fast once an outer step."
        )
    return f"Velocity Verlet with the {plan.forces} forces alone ({KIND[plan.forces]})."


def _step_text(plan: Plan) -> str:
    if plan.forces == "mts":
        return f"nmts = {plan.mts} inner steps of {plan.inner_step_fs} fs in each"
    return "inner and outer step are the same"


def _driver_command(recipe: Recipe) -> str:
    plan, transport = recipe.plan, recipe.transport
    role = "both" if plan.forces == "mts" else plan.forces
    words = ["ncforce driver metatomic", f"--model {recipe.model}", f"--role {role}"]
    words.append(f"--structure {STRUCTURE_FILE}")
    if transport.port is not None:
        words.append(f"--host {transport.host}")
        words += [f"--{name}-port {transport.port_of(name)}" for name in plan.components]
    if plan.forces == "mts":
        words.append(f"--mts {plan.mts}")
    if plan.forces == "fast":
        words.append("--direct-energy")
    return " ".join(words)


def _outputs(plan: Plan, species: list[str]) -> str:
    strides = Strides.of(plan)
    interval_fs = strides.velocity * plan.outer_step_fs
    return _fill(
        "outputs",
        {
            "outer_step_fs": plan.outer_step_fs,
            "velocity_interval_fs": interval_fs,
            "nyquist_per_cm": int(PER_FS_PER_CM / (2 * interval_fs)),
            "properties": ",\n".join(_properties(plan, species)),
            "position_stride": strides.position,
            "velocity_stride": strides.velocity,
            "checkpoint_stride": strides.checkpoint,
            "older_stride": OLDER_CHECKPOINTS * strides.checkpoint,
        },
    )


def _properties(plan: Plan, species: list[str]) -> list[str]:
    """i-PI's names of the columns of ``simulation.out``, each with its unit."""
    return [
        "step",
        "time{picosecond}",
        "conserved{electronvolt}",
        "temperature{kelvin}",
        *(f"temperature({symbol}){{kelvin}}" for symbol in species),
        "kinetic_md{electronvolt}",
        "potential{electronvolt}",
        *(f"pot_component({index}){{electronvolt}}" for index in range(len(plan.components))),
    ]


def _socket(transport: Transport, name: str) -> str:
    values: dict[str, object] = {"name": name, "kind_text": KIND[name], "latency_s": LATENCY_S}
    if transport.port is None:
        return _fill("socket_unix", values)
    values |= {"host": transport.host, "port": transport.port_of(name)}
    return _fill("socket_inet", values)


def _component(name: str, plan: Plan) -> str:
    return _fill("component", {"name": name, "weights": list(plan.weights[name])})


def _ensemble(recipe: Recipe) -> str:
    plan = recipe.plan
    return _fill(
        recipe.ensemble,
        {
            "temperature_K": recipe.temperature_K,
            "outer_step_fs": plan.outer_step_fs,
            "step_text": _step_text(plan),
            "nmts": list(plan.nmts),
        },
    )


def _fill(part: str, values: Mapping[str, Any]) -> str:
    """A template part with its names replaced; a lone name keeps its indentation on every line."""
    text = _part(f"{part}.xml").read_text(encoding="utf-8").rstrip()

    def block(match: re.Match[str]) -> str:
        lines = str(values[match["name"]]).replace("$", "$$").split("\n")
        return "\n".join(match["indent"] + line if line else line for line in lines)

    text = re.sub(r"^(?P<indent> +)\$(?P<name>\w+)$", block, text, flags=re.MULTILINE)
    return Template(text).substitute(values) + ("\n" if part == "simulation" else "")


def _part(name: str) -> Path:
    """A file of ``xml_inputs/``, which is installed beside the package."""
    return Path(str(resources.files("ncforce_ipi.xml_inputs"))) / name
