"""Geometry optimisation of one structure with slow forces, fast forces, or fast ones first.

ASE's optimisers move the atoms.  Owns the switch from fast to slow forces, and the verdict: a
force that isn't a gradient may have no place where it falls to zero smoothly, so that its size
levels off and no threshold below that level stops the search.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ncforce_ipi.backend import Evaluation, Structure, Wanted
from ncforce_ipi.diagnostics.curvature import Memory, recall, remember
from ncforce_ipi.diagnostics.frames import to_atoms, to_structure
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.diagnostics.pair import Side
from ncforce_ipi.errors import InputError, ModelError, NcforceError

Method = Literal["slow", "fast", "fast-then-slow"]
METHODS: tuple[Method, ...] = ("slow", "fast", "fast-then-slow")
OPTIMISERS = ("FIRE", "LBFGS")
PATIENCE = 60  # steps without a force 10 % smaller than before: the floor of the fast force ...
PERSISTENCE = 0.5  # ... and this share of all its steps: a liquid pauses for a hundred, and goes on
GAIN = 0.9
FLAT = 0.5  # of the third quarter's median force: the last one's must be below to be "falling"
FARTHEST_A = 50.0  # from the start: the structure has flown apart


class StuckError(NcforceError):
    """The optimiser's step is no number: L-BFGS divides by how much forces changed."""


@dataclass(frozen=True)
class Settings:
    """How structures are optimised.

    Attributes
    ----------
    fmax : eV/A, on the largest force of an atom
    steps : the most that are taken
    optimiser : FIRE or LBFGS
    """

    fmax: float
    steps: int
    optimiser: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fmax) and self.fmax > 0):
            raise InputError(f"fmax must be a positive force in eV/A, got {self.fmax}")
        if self.steps < 1:
            raise InputError(f"an optimisation needs one step or more, got {self.steps}")
        if self.optimiser not in OPTIMISERS:
            raise InputError(f"optimisers are {', '.join(OPTIMISERS)}, got {self.optimiser!r}")


@dataclass
class Outcome:
    """One optimisation.

    Attributes
    ----------
    converged : the forces asked for fell below fmax
    verdict : converged, falling (more steps may help), floor (level, no threshold below it can
        stop the search), failed
    reason : of failure
    trace : largest force on an atom at each step, eV/A
    stuck : the optimiser's last step was no number
    n_slow, n_fast : evaluations
    seconds, cpu_seconds : all in all; of the processor, without those of drivers elsewhere
    energy : eV, of the slow force at the end; NaN where it has none
    structure : at the end
    """

    converged: bool = False
    verdict: str = "failed"
    reason: str = ""
    trace: list[float] = field(default_factory=list)
    stuck: bool = False
    n_slow: int = 0
    n_fast: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    energy: float = math.nan
    structure: Structure | None = None


def optimise(
    slow: Side | None, fast: Side | None, method: Method, structure: Structure, settings: Settings
) -> Outcome:
    """Optimise; whatever happens to this structure is in the outcome."""
    outcome, start, cpu_start = Outcome(), time.perf_counter(), time.process_time()
    try:
        atoms, memory = to_atoms(structure), None
        if method != "slow":
            to_floor = method == "fast-then-slow"
            memory = _descend(atoms, _given(fast, "fast"), settings, outcome, "n_fast", to_floor)
        if method != "fast":
            _descend(atoms, _given(slow, "slow"), settings, outcome, "n_slow", False, memory)
        _judge(outcome, settings)
        outcome.structure = to_structure(atoms)
        if slow is not None and slow.kind == "conservative":
            outcome.energy = float(_evaluate(slow, outcome.structure).energy)
    except NcforceError as err:
        outcome.converged, outcome.verdict, outcome.reason = False, "failed", str(err)
    outcome.seconds = time.perf_counter() - start
    outcome.cpu_seconds = time.process_time() - cpu_start
    return outcome


def _given(side: Side | None, role: str) -> Side:
    if side is None:
        raise InputError(f"no {role} forces were given")
    return side


def _evaluate(side: Side, structure: Structure) -> Evaluation:
    return side.backend.evaluate(structure, Wanted(frozenset([side.kind])))[side.kind]


def _descend(
    atoms: Any,
    side: Side,
    settings: Settings,
    outcome: Outcome,
    counter: str,
    to_floor: bool,
    memory: Memory | None = None,
) -> Memory | None:
    """Move ``atoms`` until the forces are small or the steps are spent.

    With ``to_floor``, until the forces stop falling: the atoms end where they were smallest.
    Returns what the optimiser knows of the curvature there; ``memory`` is that of earlier forces.
    """
    start = atoms.positions.copy()
    atoms.calc = _calculator(side, atoms, lambda: _count(outcome, counter))
    left = settings.steps - max(0, len(outcome.trace) - 1)
    best, best_positions, learnt = math.inf, start, None
    optimiser = _optimiser(settings.optimiser)(atoms, logfile=None)
    if memory is not None:
        recall(optimiser, memory, atoms.get_forces())
    try:
        for _ in optimiser.irun(settings.fmax, max(left, 1)):
            forces = atoms.get_forces()
            size = float(np.linalg.norm(forces, axis=1).max())
            _check(size, atoms.positions - start)
            outcome.trace.append(size)
            if size < best:
                best, best_positions = size, atoms.positions.copy()
                learnt = remember(optimiser, forces) if to_floor else None
            if to_floor and at_floor(outcome.trace):
                break
    except StuckError:
        if not math.isfinite(best):
            raise ModelError("the positions at the start are not finite") from None
        outcome.stuck, size = True, best
    else:
        outcome.stuck = False
    if to_floor or outcome.stuck:
        atoms.positions = best_positions
    outcome.converged = size <= settings.fmax
    return learnt


def at_floor(trace: Sequence[float]) -> bool:
    """Whether forces have stopped falling: no gain of 10 % for 60 steps and half of all steps."""
    mark, since = math.inf, 0
    for size in trace:
        mark, since = (size, 0) if size < GAIN * mark else (mark, since + 1)
    return since >= max(PATIENCE, PERSISTENCE * len(trace))


def _count(outcome: Outcome, counter: str) -> None:
    setattr(outcome, counter, getattr(outcome, counter) + 1)


def _check(size: float, moved: Array) -> None:
    if not math.isfinite(size):
        raise ModelError(f"a force is not finite: {size} eV/A")
    if (farthest := float(np.abs(moved).max())) > FARTHEST_A:
        raise ModelError(f"an atom is {farthest:.0f} A from its start: the structure flew apart")


def _optimiser(name: str) -> Any:
    from ase import optimize

    return getattr(optimize, name)


def _judge(outcome: Outcome, settings: Settings) -> None:
    """Say what the trace tells: medians of its last two quarters."""
    if outcome.converged:
        outcome.verdict = "converged"
        return
    trace = np.array(outcome.trace)
    quarter = max(1, len(trace) // 4)
    last, third = (float(np.median(t)) for t in (trace[-quarter:], trace[-2 * quarter : -quarter]))
    if outcome.stuck or last > FLAT * third:
        outcome.verdict = "floor"
        outcome.reason = f"forces stay near {last:.1e} eV/A and don't fall to {settings.fmax:g}"
        if settings.optimiser == "LBFGS":  # cycles where modes are stiffer than 2 x 70 eV/A^2
            outcome.reason += "; if FIRE gets further it was L-BFGS's fault"
    else:
        outcome.verdict = "falling"
        outcome.reason = f"forces still fall, at {last:.1e} eV/A"


def _calculator(side: Side, atoms: Any, count: Callable[[], None]) -> Any:
    """An ASE calculator of one of our sides."""
    from ase.calculators.calculator import Calculator, all_changes

    isolated = not atoms.pbc.any()

    class Ours(Calculator):
        implemented_properties = ["energy", "forces"]  # noqa: RUF012  as ASE declares it

        def calculate(
            self, atoms: Any = None, properties: Any = None, system_changes: Any = None
        ) -> None:
            Calculator.calculate(self, atoms, properties, system_changes or all_changes)
            structure = to_structure(atoms)
            if not np.isfinite(structure.positions).all():
                raise StuckError("the optimiser's step is not a number")
            count()
            found = _evaluate(side, structure)
            forces = found.forces
            if side.kind == "direct" and not side.keep_net_force:
                forces = at_rest(forces, structure.positions, isolated)
            energy = found.energy if math.isfinite(found.energy) else 0.0  # of no use here
            self.results = {"energy": energy, "forces": forces}

    return Ours()


def at_rest(forces: Array, positions: Array, isolated: bool) -> Array:
    """Forces ``(n_atoms, 3)``, eV/A, without their mean, and in isolation without net torque.

    What is subtracted is the field a x r that has the same torque and the smallest norm.
    """
    forces = forces - forces.mean(axis=0)
    if not isolated:
        return forces
    r = positions - positions.mean(axis=0)
    inertia = np.eye(3) * np.sum(r**2) - r.T @ r
    torque = np.cross(r, forces).sum(axis=0)
    spin = np.linalg.pinv(inertia, rcond=1e-10) @ torque  # of a line: no spin along it
    return forces - np.cross(spin, r)


def displaced(structure: Structure, sigma_A: float, random: np.random.Generator) -> Structure:
    """With gaussian noise of ``sigma_A`` on every coordinate."""
    noise = random.normal(0.0, sigma_A, structure.positions.shape) if sigma_A else 0.0
    return Structure(structure.numbers, structure.positions + noise, structure.cell)
