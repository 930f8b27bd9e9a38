"""Metadata of a run: what lies beside its output files and says what they don't.

Owns where the time of a step, the masses, the temperature of the ensemble and the number of beads
are found: ``run.json`` of our launcher, i-PI's checkpoints (``RESTART``) and inputs.  Atomic units
of a checkpoint end here.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ncforce_ipi import units
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.ipixml import (
    Element,
    Simulation,
    has_atoms,
    number,
    simulations,
    unit_of,
    words,
)
from ncforce_ipi.rundir import DISAGREEING_FILE, STRUCTURE_FILE, Record, find_record

log = logging.getLogger(__name__)
LOCAL = frozenset({"langevin", "pile_l", "gle", "nm_gle", "cl", "ffl"})
"""i-PI's thermostats that act on single atoms; the others rescale all velocities."""


@dataclass(frozen=True)
class RunMetadata:
    """Facts of a run, None where nothing says them.

    Attributes
    ----------
    step_fs : time of one of i-PI's steps (outer steps), fs
    masses_u : of each species, u; the mean where its atoms differ
    atom_masses_u : of each atom, u, where atoms of one species differ
    counts : atoms of each species
    n_atoms : number of atoms
    temperature_K : of the ensemble, K
    isolated : whether nothing keeps that temperature: NVE
    kicks : whether a thermostat acts on single atoms, so that the system's momenta change
    n_beads : of the path integral, 1 for a classical run
    fixed_com : whether the centre of mass is held at rest
    held_cell : whether a barostat holds parts of the cell (``hfix``): i-PI's conserved quantity
        gains energy then, whatever the forces are
    fixed : components that are held, counted as i-PI does: 3 times the atom, plus 0, 1 or 2
    n_constraints : distances, angles and the like that i-PI's constrained dynamics holds
    model_sha256 : of the model, as run.json states it
    record : all of run.json; empty for a run of another launcher
    """

    step_fs: float | None = None
    masses_u: dict[str, float] | None = None
    atom_masses_u: tuple[float, ...] | None = None
    counts: dict[str, int] | None = None
    n_atoms: int | None = None
    temperature_K: float | None = None
    isolated: bool = False
    kicks: bool | None = None
    n_beads: int = 1
    fixed_com: bool = True
    held_cell: bool = False
    fixed: tuple[int, ...] = ()
    n_constraints: int = 0
    model_sha256: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def forces(self) -> str:
        """slow, fast or mts; empty where nothing says it."""
        return str((self.record.get("plan") or {}).get("forces", ""))

    @property
    def mts(self) -> int:
        """M; 1 for a single force, 0 where nothing says it."""
        return int((self.record.get("plan") or {}).get("mts") or 0)


def read_metadata(path: Path) -> RunMetadata:
    """What the directory of ``path`` (or the directory ``path``) says of the run.

    run.json first, then a checkpoint that writes files named like ``path``, then inputs of i-PI
    that do and agree.

    Raises
    ------
    InputError
        A file there that says something states it in no number, or in no unit of i-PI's.
    """
    directory = path if path.is_dir() else path.parent
    record = find_record(directory)
    # our own file of frames isn't named as i-PI's files are
    ours = path.is_dir() or (record is not None and path.name == DISAGREEING_FILE)
    found = _of_xml(directory, None if ours else path.name, alone=record is None)
    return found if record is None else _of_record(directory, record, found)


def _of_xml(directory: Path, name: str | None, *, alone: bool) -> RunMetadata:
    """Of i-PI's XML files in a directory that write, or may write, a file of this name.

    ``alone``: nothing else speaks of the run, so that what is taken from an input is said.
    """
    inputs, strange = [], []
    for one in simulations(directory):
        if name is not None and one.writes(name) is False:
            strange += [one] if one.is_checkpoint else []
        elif one.is_checkpoint:
            return _of_simulation(one, name)
        else:
            inputs.append(one)
    if alone and strange:
        log.warning(
            "%s is of files %s.*: not used for %s", strange[0].path, strange[0].prefix, name
        )
    found = {one.path.name: _of_simulation(one, name) for one in inputs}
    facts = next(iter(found.values()), RunMetadata())
    if any(other != facts for other in found.values()):
        log.warning("%s: inputs of i-PI that differ (%s): none used", directory, ", ".join(found))
        return RunMetadata()
    if alone and facts.step_fs is not None:
        log.info("%s, an i-PI input, says steps of %.6g fs", inputs[0].path, facts.step_fs)
    return facts


def _of_record(directory: Path, record: Record, known: RunMetadata) -> RunMetadata:
    """run.json over what is known."""
    try:
        name = (record.get("ensemble") or {}).get("name")
        found = replace(
            known,
            masses_u={name: float(mass) for name, mass in record["masses_u"].items()},
            atom_masses_u=_of_start(directory) if record.get("several_masses") else None,
            n_atoms=int(record["n_atoms"]),
            temperature_K=float(record["temperature_K"]),
            isolated=name == "nve",
            kicks=name in LOCAL if name else known.kicks,
            n_beads=int((record.get("ensemble") or {}).get("beads", 1)),
            held_cell=(record.get("ensemble") or {}).get("barostat") == "in-plane",
            step_fs=float(record["plan"]["outer_step_fs"]),
            model_sha256=str((record.get("model") or {}).get("sha256") or ""),
            record=record,
        )
        numbers = (
            found.n_atoms,
            found.n_beads,
            found.step_fs,
            *(found.masses_u or {}).values(),
            *(found.atom_masses_u or ()),
        )
        if not all(number is not None and 0 < number < math.inf for number in numbers):
            raise ValueError("a number that isn't positive")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as err:
        raise InputError(
            f"run.json of {directory}: {type(err).__name__} {err}; expected n_atoms, masses_u, "
            "temperature_K and plan as 'ncforce run' writes them"
        ) from err
    return found


def _of_start(directory: Path) -> tuple[float, ...]:
    """Of each atom, u: the column ``masses`` of the structure that our runs start with.

    Raises
    ------
    InputError
        There is none.
    """
    path = directory / STRUCTURE_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        head, rows = lines[1], lines[2 : 2 + int(lines[0])]
        if "masses:R:1" not in head:
            raise ValueError("no column masses")
        return tuple(float(row.split()[4]) for row in rows)  # species, position, mass
    except (OSError, ValueError, IndexError) as err:
        raise InputError(
            f"{path} should say the mass of each atom, which differ within a species ({err}); "
            "restore it, or give --masses-u"
        ) from err


def _of_simulation(found: Simulation, name: str | None) -> RunMetadata:
    """The system of i-PI's file that writes a file of this name, or what all systems say alike."""
    try:
        every = [_of_system(system) for system in _systems(found, name)]
    except (InputError, ValueError) as err:
        raise InputError(f"{found.path}: {err}: mend it, or move it away") from err
    if not every:
        return RunMetadata()
    unlike = [
        one.name
        for one in fields(RunMetadata)
        if any(getattr(other, one.name) != getattr(every[0], one.name) for other in every)
    ]
    unknown = {key: getattr(RunMetadata(), key) for key in unlike}
    return replace(every[0], **unknown)


def _systems(found: Simulation, name: str | None) -> list[Element]:
    """Each system, or the one whose prefix the file's name has: ``prefix.system_name``."""
    if name is not None:
        rest = name.removeprefix(f"{found.prefix}.")
        own = [one for one in found.systems if rest.startswith(f"{one.get('prefix') or rest}_")]
        if own:
            return own[:1]
    return found.systems


def _of_system(system: Element) -> RunMetadata:
    """What one ``<system>`` says."""
    names, masses = _atoms(system)
    pairs = dict(zip(names, masses, strict=True))
    beads, initial = system.find("beads"), system.find("initialize")
    dynamics, kelvin = _dynamics(system), system.find("ensemble/temperature")
    step = None if dynamics is None else dynamics.find("timestep")
    step_fs = None if dynamics is None else units.ATOMIC_TIME_FS  # i-PI leaves its default out
    if step is not None:
        step_fs = number(step, "time", 1.0)
    replicas = next((int(one.get("nbeads", 1)) for one in (beads, initial) if one is not None), 1)
    fixed = _fixed(system)
    alike = all(pairs[name] == mass for name, mass in zip(names, masses, strict=True))
    return RunMetadata(
        step_fs=step_fs,
        masses_u=(pairs if alike else _means(names, masses)) or None,
        atom_masses_u=None if alike else tuple(masses),
        counts={symbol: names.count(symbol) for symbol in pairs} or None,
        n_atoms=len(names) or None,
        temperature_K=None if kelvin is None else _positive(number(kelvin, "temperature", -1.0)),
        isolated=dynamics is not None and dynamics.get("mode", "nve") == "nve",
        kicks=None if dynamics is None else _kicks(dynamics),
        n_beads=replicas,
        held_cell=bool(words(system, ".//barostat/hfix")),
        # i-PI lets the centre of mass go where atoms are fixed
        fixed_com=(system.findtext(".//fixcom") or "True").strip().lower() == "true" and not fixed,
        fixed=fixed,
        n_constraints=sum(_n_held(one) for one in system.iter("constraint")),
    )


def _dynamics(system: Element) -> Element | None:
    """How atoms move in time; an empty element where i-PI leaves all of it out, as default."""
    found = system.find(".//dynamics")
    if found is None:
        found = system.find(".//constrained_dynamics")
    if found is None and any(one.get("mode") == "dynamics" for one in system.iter("motion")):
        return Element("dynamics")
    return found


def _kicks(dynamics: Element) -> bool:
    """Whether it has a thermostat on single atoms; that of a barostat isn't one."""
    own = [one for place in dynamics.findall("thermostat") for one in place.iter("thermostat")]
    modes = {one.get("mode", "langevin") for one in own}
    return dynamics.get("mode", "nve") != "nve" and not LOCAL.isdisjoint(modes)


def _atoms(system: Element) -> tuple[list[str], list[float]]:
    """Names and masses, u, of the atoms; none where they aren't as many."""
    mass = system.find("beads/m")
    if mass is None or not has_atoms(system):
        return [], []
    scale = unit_of(mass, "mass")
    return words(system, "beads/names"), [float(word) * scale for word in words(system, "beads/m")]


def _positive(value: float) -> float | None:
    """i-PI writes -1 where the ensemble has no temperature."""
    return value if value > 0.0 else None


def _means(names: list[str], masses: list[float]) -> dict[str, float]:
    """Mean mass of each species."""
    sums: dict[str, float] = defaultdict(float)
    for name, mass in zip(names, masses, strict=True):
        sums[name] += mass
    return {name: total / names.count(name) for name, total in sums.items()}


def _n_held(constraint: Element) -> int:
    """Degrees of freedom that one ``<constraint>`` takes; 0 of one that holds others."""
    if constraint.find("constraint") is not None:
        return 0
    mode, atoms = constraint.get("mode", "distance"), words(constraint, "atoms")
    if mode == "eckart":  # it stops a molecule's motion as a whole
        return 6
    return len(atoms) // {"angle": 3}.get(mode, 2)


def _fixed(system: Element) -> tuple[int, ...]:
    """Components that i-PI holds; whole atoms are what an input says, a checkpoint has both."""
    atoms = [int(word) for word in words(system, ".//fixatoms")]
    found = {3 * atom + axis for atom in atoms for axis in range(3)}
    return tuple(sorted(found | {int(word) for word in words(system, ".//fixatoms_dof")}))
