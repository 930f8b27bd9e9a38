"""A plan, a structure and the parts in ``xml_inputs/parts`` become one complete i-PI input.

The parts are text with ``$names``; a name that stands alone on its line takes a whole part.  Each
part is a choice that a user can make (ensemble, transport, outputs), so that another ensemble is
another file.  Starts nothing and knows no launcher: the XML is all that a run is.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ncforce_ipi import __version__
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.motion import motion_xml, title
from ncforce_ipi.inputs.outputs import outputs_xml
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.structure import set_velocities, velocities_xyz
from ncforce_ipi.inputs.systems import NAMES, SYSTEMS
from ncforce_ipi.inputs.templates import fill, shipped_file
from ncforce_ipi.rundir import INPUT_FILE, STRUCTURE_FILE, VELOCITIES_FILE

if TYPE_CHECKING:
    from ase import Atoms


LATENCY_S = 1e-4
CLOSEST_A = 0.5  # two nuclei are never closer, but those of a file in nm are
ORDINALS = ("second", "third")  # of the drivers, after i-PI
KIND = {"slow": "conservative forces", "fast": "direct forces"}


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
    ensemble : thermostat, barostat, beads
    temperature_K : of the start velocities (Maxwell-Boltzmann) and of the ensemble, K
    seed : of the start velocities and of i-PI's random numbers
    force_stride : outer steps between two writes of the force components; None for no such files
    model, family : of the driver, as the user gave them
    program, options : ``ncforce`` of the driver's environment, and further options of the driver
    slow_driver : words of another driver for the slow forces; see ``launch.job.Service``

    From ``model`` to ``slow_driver`` only for the text of the input, which says how the drivers
    are started.
    """

    plan: Plan
    ensemble: Ensemble
    temperature_K: float
    seed: int
    model: str = "water"
    transport: Transport = Transport()
    family: str = "metatomic"
    program: str = "ncforce"
    options: tuple[str, ...] = ()
    slow_driver: tuple[str, ...] = ()
    force_stride: int | None = None

    def __post_init__(self) -> None:
        if self.force_stride is not None and self.force_stride < 1:
            raise InputError(f"forces are written every 1 or more steps, got {self.force_stride}")
        if not 0 < self.temperature_K < 1e6:
            raise InputError(f"temperature must be positive, got {self.temperature_K} K")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must lie between 0 and 4294967295, got {self.seed}")


def read_structure(name_or_path: str, velocities: str | None = None) -> Atoms:
    """A shipped start structure by its name, or the last frame of any file that ASE reads.

    Returns
    -------
    Species, positions (A), periodic cell (A), masses where the file has them; with the file
    ``velocities``, the momenta of its last frame, else none.
    """
    import ase.io
    from ase import Atoms
    from ase.io.formats import UnknownFileTypeError

    path = structure_path(name_or_path)
    try:
        atoms = ase.io.read(path)
    except (UnknownFileTypeError, OSError, ValueError, IndexError, KeyError) as err:
        raise InputError(f"ASE can't read a structure from {path}: {err}") from err
    if isinstance(atoms, list):
        atoms = atoms[-1]
    _check_structure(atoms, path)
    found = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    if atoms.has("masses"):
        found.set_masses(atoms.get_masses())
    if velocities is not None:
        set_velocities(found, Path(velocities))
    return found


def input_xml(recipe: Recipe, atoms: Atoms) -> str:
    """The complete i-PI input for these atoms."""
    species = sorted(set(atoms.get_chemical_symbols()))
    plan = recipe.plan
    names = plan.components
    text = fill(
        "simulation",
        {
            "title": f"{title(recipe.ensemble)} of {', '.join(species)} with i-PI",
            "version": __version__,
            "plan_text": _plan_text(plan),
            "driver_commands": "\n".join(
                f"<?{ordinal} {shlex.join(words)} ?>"
                for ordinal, words in zip(ORDINALS, _drivers(recipe), strict=False)
            ),
            "outputs": outputs_xml(plan, recipe.ensemble, species, recipe.force_stride),
            "n_outer": plan.n_outer,
            "seed": recipe.seed,
            "forcefields": "\n".join(_socket(recipe.transport, name) for name in names),
            "structure": STRUCTURE_FILE,
            "velocities": _velocities(recipe, atoms),
            "components": "\n".join(_component(name, plan) for name in names),
            "n_beads": recipe.ensemble.beads,
            "motion": motion_xml(plan, recipe.ensemble, recipe.temperature_K, atoms),
        },
    )
    return text + "\n"


def write_input(directory: Path, recipe: Recipe, atoms: Atoms) -> None:
    """Write ``input.xml``, ``init.xyz`` and given velocities into an existing directory."""
    import ase.io

    text = input_xml(recipe, atoms)
    columns = ["symbols", "positions", *["masses"] * atoms.has("masses")]
    ase.io.write(directory / STRUCTURE_FILE, atoms, format="extxyz", columns=columns)
    if atoms.has("momenta"):
        (directory / VELOCITIES_FILE).write_text(velocities_xyz(atoms), encoding="utf-8")
    (directory / INPUT_FILE).write_text(text, encoding="utf-8")


def _velocities(recipe: Recipe, atoms: Atoms) -> str:
    if not atoms.has("momenta"):
        return f'<velocities mode="thermal" units="kelvin"> {recipe.temperature_K} </velocities>'
    if recipe.ensemble.beads > 1:
        raise InputError("a path integral starts from random velocities; leave --velocities out")
    return f'<velocities mode="xyz"> {VELOCITIES_FILE} </velocities>'


def structure_path(name_or_path: str) -> Path:
    """The file of a start structure."""
    if name_or_path in SYSTEMS:
        return shipped_file(SYSTEMS[name_or_path].structure)
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        raise InputError(
            f"structure {name_or_path!r} is neither a file nor a shipped system ({NAMES})"
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


def _drivers(recipe: Recipe) -> list[list[str]]:
    """Command line of each driver that the plan needs, in the directory of the input."""
    forces, other = recipe.plan.forces, recipe.slow_driver
    if not other or forces == "fast":
        return [_driver(recipe, "both" if forces == "mts" else forces)]
    slow = [*other, *_role(recipe, "slow")]
    return [_driver(recipe, "fast"), slow] if forces == "mts" else [slow]


def _driver(recipe: Recipe, role: str) -> list[str]:
    plan = recipe.plan
    words = [recipe.program, "driver", recipe.family, "--model", recipe.model]
    words += _role(recipe, role)
    if role == "both":
        words += ["--mts", str(plan.mts)]
    if plan.forces == "fast":
        words.append("--direct-energy")
    if recipe.ensemble.has_pressure and "fast" in plan.components:
        words.append("--direct-virial")
    return [*words, *recipe.options]


def _role(recipe: Recipe, role: str) -> list[str]:
    """What is the same in all families: role, species, addresses."""
    transport, words = recipe.transport, ["--role", role, "--structure", STRUCTURE_FILE]
    if transport.port is None:
        return words
    words += ["--host", transport.host]
    for name in recipe.plan.components:
        words += [f"--{name}-port", str(transport.port_of(name))]
    return words


def _socket(transport: Transport, name: str) -> str:
    values: dict[str, object] = {"name": name, "kind_text": KIND[name], "latency_s": LATENCY_S}
    if transport.port is None:
        return fill("socket_unix", values)
    values |= {"host": transport.host, "port": transport.port_of(name)}
    return fill("socket_inet", values)


def _component(name: str, plan: Plan) -> str:
    return fill("component", {"name": name, "weights": list(plan.weights[name])})
