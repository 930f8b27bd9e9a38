"""Every choice that a distillation makes by itself, with its reason; one table.

Owns the rules.  Each value can be replaced by the user's.  The table of the manual is made from
`REASONS`.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from ncforce_ipi.distil.request import Condition, Request
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.observables.tuning import long_enough_ps

LIGHT_U, MIDDLE_U = 3.5, 20.0
NEIGHBOURS = 40.0
LEAST_CUTOFF_A, MOST_CUTOFF_A = 4.0, 6.0
DIRECTIONAL = {5, 6, 7, 14, 15, 16, 32, 33, 34}  # B C N Si P S Ge As Se
CALLS = 2000  # of the teacher, for each system at each temperature
LONGEST_PS = 10.0
SHARES = {"displaced": 0.03, "warm": 0.12, "reference": 0.30, "test": 0.10, "hot": 0.02}
FEWEST_HOT = 20  # steps of a hot run
FEWEST_OUTER = 120  # steps of a test: fewer hold no 25 memories of the conserved quantity
TRAINING_SHARE = 0.12  # of --minutes, in each round
BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
WORTH_COMPILING_STEPS, WORTH_COMPILING_MIN = 2500, 4.0
WORTH_COMPILING_TENSORS_MIN = 6.0  # compiling takes eight, and makes 2.5 times as many steps

REASONS = {
    "calls": "for the lengths of runs: --teacher-calls; else half of --minutes at the measured "
    "speed; else 2000 for each system and temperature",
    "timestep_fs": "inner step by the lightest atom: 0.5 below 3.5 u (H), 1 below 20 u, else 2",
    "cutoff_A": "as many as 40 neighbours on average, between 4 and 6 A: what the shipped models "
    "have",
    "channels": "48: the student must be much cheaper than the teacher; shipped models have 64",
    "layers": "3, as the shipped models",
    "tensor_channels": "16 where bonds have directions (B C N Si P S Ge As Se), else 0",
    "n_radial": "24, as the shipped models",
    "r_min_A": "0.8 of the shortest distance of the start: radial functions are dense above it",
    "atoms_per_batch": "about 128, at least the largest structure: small batches learn most per "
    "second on a CPU",
    "n_displaced": "copies of each start with displaced atoms and strained cells, labelled: 3 % of "
    "the calls, 8 to 40; they show stiff bonds and short distances",
    "displacement_A": "largest standard deviation of displacements: sqrt(kT / 4 eV/A^2), at least "
    "0.05 A; each copy draws its own below",
    "strain": "standard deviation of strains, 0 along vacuum; with --npt twice as much",
    "warm_ps": "12 % of the calls: the teacher's own dynamics, with a thermostat whose time scale "
    "is a fifth of that, 100 fs at most",
    "reference_ps": "30 % of the calls, 10 ps at most: slow forces alone, from where the warm-up "
    "ended",
    "test_steps": "outer steps of a test run from there: 10 % of the calls, 120 at least (the "
    "drift needs them), 10 ps at most; with --minutes no longer than a training",
    "longer": "how often at most a test is made twice as long: once where its drift is open, each "
    "time where a pair would pass with a wide interval",
    "hot": "temperature of the hot runs over that asked for: frames beyond what a run meets",
    "hot_steps": "outer steps of a hot run: 2 % of the calls, 20 at least, a fifth of a test at "
    "most",
    "n_taught": "frames kept of each run of the teacher, at most: its forces are known at "
    "every step, and more frames cost no more calls",
    "n_picked": "frames taken from each multiple-time-step run",
    "n_held_out": "frames of the last 30 % of the reference, which are never trained on",
    "force_limit_eV_per_A": "frames with a larger force are left out: a few would own the loss",
    "n_steps": "of the first training; without --minutes",
    "n_steps_again": "of every later training, which starts from the weights of the one before",
    "train_minutes": "of each training: 12 % of --minutes; 0: the numbers of steps count",
    "rounds": "at most",
    "compiled": "where a C++ compiler is and the training is long: 2.5 times faster after a "
    "minute, or after eight where it has tensors",
    "tolerance_meV_per_atom_per_ps": "drift beyond that of the slow forces: LAMBench's limit",
}


@dataclass(frozen=True)
class Choices:
    """What `REASONS` explains; lengths in the units of the names."""

    calls: int
    timestep_fs: float
    cutoff_A: float
    tensor_channels: int
    r_min_A: float
    atoms_per_batch: int
    n_displaced: int
    displacement_A: float
    warm_ps: float
    reference_ps: float
    test_steps: int
    hot_steps: int
    strain: float
    train_minutes: float
    compiled: bool
    channels: int = 48
    layers: int = 3
    n_radial: int = 24
    hot: float = 1.5
    n_taught: int = 500
    n_picked: int = 24
    n_held_out: int = 30
    force_limit_eV_per_A: float = 30.0
    n_steps: int = 4000
    n_steps_again: int = 2000
    rounds: int = 6
    longer: int = 2
    tolerance_meV_per_atom_per_ps: float = 0.5

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def lines(self, changed: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """Name, value and reason of each; those of the user say so."""
        values = asdict(self)
        return [
            (name, _text(values[name]), "yours" if name in changed else reason)
            for name, reason in REASONS.items()
        ]


def choose(request: Request, systems: Sequence[Condition], teacher_s: float) -> Choices:
    """Look at the structures and at what a call of the teacher takes, s.

    Raises
    ------
    InputError
        A name that is no choice, a value of another type, or too few calls for a test at M.
    """
    starts = [one.atoms for one in systems]
    calls = _calls(request, len(systems), teacher_s)
    each = calls / len(systems)
    step_fs = _timestep_fs(starts)
    hottest = max(request.temperatures_K)
    minutes = TRAINING_SHARE * request.minutes if request.minutes else 0.0
    found = Choices(
        calls=calls,
        timestep_fs=step_fs,
        cutoff_A=round(max(_cutoff_A(atoms) for atoms in starts), 1),
        tensor_channels=16 if DIRECTIONAL & {int(z) for a in starts for z in a.numbers} else 0,
        r_min_A=round(0.8 * min(_shortest_A(atoms) for atoms in starts), 2),
        atoms_per_batch=max(128, *map(len, starts)),
        n_displaced=int(np.clip(SHARES["displaced"] * each, 8, 40)),
        displacement_A=round(max(0.05, math.sqrt(8.617e-5 * hottest / 4.0)), 3),
        warm_ps=0.0,
        reference_ps=0.0,
        test_steps=0,
        hot_steps=max(FEWEST_HOT, int(SHARES["hot"] * each)),
        strain=0.02 if request.npt else 0.01,
        train_minutes=round(minutes, 2),
        compiled=False,
    )
    changes = typed(request.changes)
    found = _lengths(replace(found, **changes), request, each)
    steps = max(found.n_steps, found.n_steps_again)
    tensors = found.tensor_channels > 0
    worth_min = WORTH_COMPILING_TENSORS_MIN if tensors else WORTH_COMPILING_MIN
    long = found.train_minutes > worth_min or (
        not found.train_minutes and steps >= WORTH_COMPILING_STEPS
    )
    compiler = any(shutil.which(name) for name in ("c++", "g++", "clang++"))
    found = replace(found, compiled=long and compiler)
    found = replace(found, **changes)
    _check_calls(found, each)
    return found


def typed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the user as numbers of the right type.

    Raises
    ------
    InputError
        No such choice, or no such number.
    """
    types = {one.name: str(one.type) for one in fields(Choices)}
    found: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in types:
            raise InputError(f"there is no choice {name!r}; expected one of {', '.join(types)}")
        try:
            found[name] = _read(str(value), types[name])
        except ValueError as err:
            raise InputError(f"{name} = {value!r}; expected a value of type {types[name]}") from err
    return found


def _read(text: str, kind: str) -> Any:
    if kind == "bool":
        if text.lower() not in BOOLEANS:
            raise ValueError(text)
        return BOOLEANS[text.lower()]
    value = int(text) if kind == "int" else float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(text)
    return value


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _calls(request: Request, n: int, teacher_s: float) -> int:
    limits = [request.teacher_calls] if request.teacher_calls else []
    if request.minutes:
        limits.append(int(0.5 * 60.0 * request.minutes / teacher_s))
    return min(limits) if limits else CALLS * n


def _lengths(found: Choices, request: Request, each: float) -> Choices:
    """Times of the runs: shares of the calls, and long enough for a drift.

    ``each``: calls for one system at one temperature.
    """
    step_fs = found.timestep_fs
    shortest_ps = long_enough_ps(Plan("slow", 1, step_fs, 1))
    reference_ps = min(LONGEST_PS, 1e-3 * step_fs * SHARES["reference"] * each)
    n_outer = max(FEWEST_OUTER, int(SHARES["test"] * each))
    n_outer = max(FEWEST_OUTER, min(n_outer, int(1e3 * LONGEST_PS / (request.mts * step_fs))))
    return replace(
        found,
        warm_ps=round(1e-3 * step_fs * max(20, int(SHARES["warm"] * each)), 4),
        reference_ps=round(max(shortest_ps, reference_ps), 4),
        test_steps=n_outer,
    )


def _check_calls(found: Choices, each: float) -> None:
    """Refuse a budget that the runs of the first round would spend."""
    needed = 1e3 * (found.warm_ps + found.reference_ps) / found.timestep_fs
    needed += found.test_steps + found.n_displaced
    if needed > each:
        raise InputError(
            f"{found.calls} calls of the teacher are too few: data, reference and one test take "
            f"{needed:.0f} for each system and temperature; expected "
            f"{math.ceil(1.5 * needed * found.calls / each)} or more: give --teacher-calls or more "
            "--minutes"
        )


def _timestep_fs(starts: Sequence[Atoms]) -> float:
    lightest = min(float(atoms.get_masses().min()) for atoms in starts)
    return 0.5 if lightest < LIGHT_U else 1.0 if lightest < MIDDLE_U else 2.0


def _distances_A(atoms: Atoms) -> np.ndarray:
    """Of all ordered pairs up to the largest cutoff, ascending."""
    return np.sort(neighbor_list("d", atoms, MOST_CUTOFF_A))


def _cutoff_A(atoms: Atoms) -> float:
    """Within which atoms have 40 neighbours on average, between the limits."""
    distances, place = _distances_A(atoms), int(NEIGHBOURS * len(atoms))
    reach = distances[place] if place < len(distances) else MOST_CUTOFF_A
    return float(np.clip(reach, LEAST_CUTOFF_A, MOST_CUTOFF_A))


def _shortest_A(atoms: Atoms) -> float:
    distances = _distances_A(atoms)
    return float(distances[0]) if len(distances) else 1.0
