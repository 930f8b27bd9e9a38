"""What a user asks of a distillation, checked, and the systems that it names.

Knows no model and makes no choice of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ase import Atoms

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.held import take_constraints
from ncforce_ipi.inputs.openbox import GAP_A
from ncforce_ipi.inputs.preflight import VACUUM_A, vacuum_A
from ncforce_ipi.inputs.recipe import structure_xyz
from ncforce_ipi.inputs.service import MAX_DRIVERS, parse_model
from ncforce_ipi.inputs.structure import read_structure, structure_path
from ncforce_ipi.inputs.systems import SYSTEMS
from ncforce_ipi.reading.images import read_images

FEWEST_CALLS = 100
MOST_MTS = 64


@dataclass(frozen=True)
class Request:
    """The user's words; None where the program is to choose.

    Attributes
    ----------
    teacher : the slow model, as `inputs.service.parse_model` takes it
    structures : start structures: files, FILE@INDEX, or names of shipped systems
    temperatures_K : every structure is sampled and tested at each, K
    mts : M that the pair is to pass at
    minutes : wall time that may be spent; None: no limit but the teacher's calls
    teacher_calls : evaluations of the teacher that may be spent; None: see `choices`
    npt : sample and test at constant pressure (0.1 MPa)
    device : of models and training: cpu, cuda, cuda:1; of several with commas the first, and all
        for labels
    threads : CPU threads of each model and of the training
    drivers : processes that label frames together; None: one, or one for each device
    seed : of displacements, start velocities and training
    changes : values that replace the program's own choices, by name (`choices.Choices`)
    """

    teacher: str
    structures: tuple[str, ...]
    temperatures_K: tuple[float, ...] = (300.0,)
    mts: int = 8
    minutes: float | None = None
    teacher_calls: int | None = None
    npt: bool = False
    device: str | None = None
    threads: int = 1
    drivers: int | None = None
    seed: int = 1
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parse_model(self.teacher)
        if not self.structures:
            raise InputError("no start structure; expected one or more: give --structure FILE")
        for value in self.temperatures_K:
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"temperature {value:g} K; expected a positive number")
        if len(set(self.temperatures_K)) < len(self.temperatures_K):
            raise InputError("a temperature is given twice; expected each once")
        if not 2 <= self.mts <= MOST_MTS:
            raise InputError(f"--mts {self.mts}; expected 2 to {MOST_MTS} inner steps")
        if self.minutes is not None and not (math.isfinite(self.minutes) and self.minutes > 0):
            raise InputError(f"--minutes {self.minutes:g}; expected a positive number")
        if self.teacher_calls is not None and self.teacher_calls < FEWEST_CALLS:
            raise InputError(
                f"--teacher-calls {self.teacher_calls}; expected {FEWEST_CALLS} or more: a start, "
                "a reference and a test take that many"
            )
        if self.threads < 1 or self.seed < 0:
            raise InputError("--threads must be 1 or more, --seed 0 or more")
        if self.drivers is not None and not 1 <= self.drivers <= MAX_DRIVERS:
            raise InputError(f"--drivers {self.drivers}; expected 1 to {MAX_DRIVERS}")
        if "" in self.devices:
            raise InputError(f"device {self.device!r} has an empty name; expected cuda:0,cuda:1")

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device that is named; none if the models choose."""
        return () if self.device is None else tuple(self.device.split(","))

    @property
    def first_device(self) -> str | None:
        """Of all that one process does."""
        return self.devices[0] if self.devices else None

    @property
    def n_drivers(self) -> int:
        """Processes that label together."""
        return self.drivers or len(self.devices) or 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"changes": dict(self.changes)}

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Request:
        """What `to_dict` gave."""
        tuples = {k: tuple(words[k]) for k in ("structures", "temperatures_K")}
        return cls(**{**words, **tuples})


@dataclass(frozen=True)
class Condition:
    """One system at one temperature: what is sampled, and where the pair must pass.

    Attributes
    ----------
    name : for messages and directories
    structure : file of the start, or a shipped system's name
    temperature_K : K
    atoms : the start as i-PI gets it
    """

    name: str
    structure: str
    temperature_K: float
    atoms: Atoms


def conditions(request: Request, folder: Path) -> list[Condition]:
    """Every structure at every temperature.

    A molecule without a cell gets one with vacuum around it, in a file in ``folder``.

    Raises
    ------
    InputError
        A structure that can't be read or that no run could start from.
    """
    found = []
    for k, source in enumerate(request.structures):
        start = _with_cell(source, folder / f"start-{k + 1}.extxyz")
        atoms = read_structure(start)
        if request.npt and vacuum_A(atoms).max() > VACUUM_A:
            raise InputError(
                f"{source} has vacuum, which a barostat would close, and under an in-plane one "
                "there is no conserved quantity to test a pair by; leave --npt out"
            )
        for temperature in request.temperatures_K:
            name = f"{k + 1}-{temperature:g}K"
            found.append(Condition(name, start, temperature, atoms))
    return found


def _with_cell(source: str, path: Path) -> str:
    """The start itself, absolute, or a copy with a cell where it has none."""
    if source in SYSTEMS:
        return source
    structure_path(source)  # is it there?
    atoms = read_images(source, default="-1")[-1].atoms
    if atoms.cell.any() or len(atoms) == 0:
        return str(Path(source).expanduser().absolute())
    take_constraints(atoms, False, source)  # they would keep atoms from being centred
    atoms.set_cell(atoms.positions.max(axis=0) - atoms.positions.min(axis=0) + GAP_A)
    atoms.set_pbc(False)
    atoms.center()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(structure_xyz(atoms), encoding="utf-8")
    return str(path.absolute())
