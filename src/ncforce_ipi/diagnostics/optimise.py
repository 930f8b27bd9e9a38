"""Geometry optimisation of one structure with slow forces, fast forces, or fast ones first.

ASE's FIRE or an L-BFGS moves the atoms.  Owns the switch from fast to slow forces.  A force that
isn't a gradient may have no place where it falls to zero smoothly: its size levels off, and no
threshold below that level stops the search (see ``verdict``).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ncforce_ipi.backend import Evaluation, Structure, Wanted
from ncforce_ipi.diagnostics.curvature import HandoverLBFGS, Memory
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.diagnostics.sides import Side
from ncforce_ipi.diagnostics.verdict import Verdict, judge, stopped_falling
from ncforce_ipi.errors import InputError, ModelError, NcforceError
from ncforce_ipi.evaluations import evaluate
from ncforce_ipi.reading.structures import as_structure, to_atoms, to_structure

if TYPE_CHECKING:
    from ase import Atoms

Method = Literal["slow", "fast", "fast-then-slow"]
METHODS: tuple[Method, ...] = ("slow", "fast", "fast-then-slow")
OPTIMISERS = ("FIRE", "LBFGS")
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


@dataclass(frozen=True)
class Outcome:
    """One optimisation.

    Attributes
    ----------
    verdict : converged, floor (the forces no longer fall), out of steps, failed
    reason : of every verdict but converged
    trace : ``(n_steps + 1,)``, eV/A, largest force on an atom; of the fast forces, then the slow
    n_slow, n_fast : evaluations
    seconds, cpu_seconds : all in all; of the processor, without those of drivers elsewhere
    energy : eV, of the slow force at the end; NaN where it has none
    structure : at the end; None where it failed
    """

    verdict: Verdict = "failed"
    reason: str = ""
    trace: tuple[float, ...] = ()
    n_slow: int = 0
    n_fast: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    energy: float = math.nan
    structure: Structure | None = None

    @property
    def converged(self) -> bool:
        """Whether the forces asked for fell below fmax."""
        return self.verdict == "converged"

    def to_dict(self, trace: bool = True) -> dict[str, Any]:
        """Numbers and text, with units in the names; NaN where there is no energy."""
        found = {
            "verdict": self.verdict, "reason": self.reason,
            "steps": max(0, len(self.trace) - 1),
            "slow_calls": self.n_slow, "fast_calls": self.n_fast,
            "seconds": self.seconds, "cpu_seconds": self.cpu_seconds, "energy_eV": self.energy,
        }  # fmt: skip
        if trace:
            found["largest_force_eV_per_A"] = [float(f"{force:.4g}") for force in self.trace]
        return found


@dataclass
class _Search:
    """What is counted while atoms move.

    Attributes
    ----------
    trace : as in ``Outcome``
    begun : place in ``trace`` where the forces that are used now begin
    calls : evaluations of the fast and the slow force
    converged, stuck : how the last part ended
    """

    trace: list[float] = field(default_factory=list)
    begun: int = 0
    calls: dict[str, int] = field(default_factory=lambda: {"fast": 0, "slow": 0})
    converged: bool = False
    stuck: bool = False


def optimise(
    slow: Side | None,
    fast: Side | None,
    method: Method,
    structure: Structure | Atoms,
    settings: Settings,
) -> Outcome:
    """Optimise one structure; whatever goes wrong with it is in the outcome.

    Parameters
    ----------
    slow, fast : the forces; None where ``method`` doesn't use them
    structure : to start from, ours or ASE's; isn't changed
    """
    search, start, cpu_start = _Search(), time.perf_counter(), time.process_time()
    verdict: Verdict = "failed"
    end, energy = None, math.nan
    try:
        atoms, memory = to_atoms(as_structure(structure)), None
        if method != "slow":
            to_floor = method == "fast-then-slow"
            memory = _descend(atoms, _given(fast, "fast"), settings, search, "fast", to_floor)
        if method != "fast":
            _descend(atoms, _given(slow, "slow"), settings, search, "slow", False, memory)
        verdict, reason = judge(
            search.trace[search.begun :], converged=search.converged, stuck=search.stuck,
            fmax=settings.fmax, optimiser=settings.optimiser,
        )  # fmt: skip
        end = to_structure(atoms)
        if slow is not None and slow.kind == "conservative":
            energy = float(_evaluate(slow, end).energy)
    except NcforceError as err:
        verdict, reason = "failed", str(err)
    return Outcome(
        verdict, reason, tuple(search.trace), search.calls["slow"], search.calls["fast"],
        time.perf_counter() - start, time.process_time() - cpu_start, energy, end,
    )  # fmt: skip


def _given(side: Side | None, role: str) -> Side:
    if side is None:
        raise InputError(f"no {role} forces were given")
    return side


def _evaluate(side: Side, structure: Structure) -> Evaluation:
    return evaluate(side.backend, structure, Wanted(frozenset([side.kind])))[side.kind]


def _descend(
    atoms: Any,
    side: Side,
    settings: Settings,
    search: _Search,
    role: str,
    to_floor: bool,
    memory: Memory | None = None,
) -> Memory | None:
    """Move ``atoms`` until the forces are small or the steps are spent.

    With ``to_floor``, until the forces stop falling: the atoms end where they were smallest.
    Returns what the optimiser knows of the curvature there; ``memory`` is that of earlier forces.
    """
    start = atoms.positions.copy()
    atoms.calc = _calculator(side, atoms, search.calls, role)
    left = settings.steps - max(0, len(search.trace) - 1)
    best, best_positions, learnt = math.inf, start, None
    search.begun, search.stuck = len(search.trace), False
    optimiser = _optimiser(settings.optimiser, atoms, memory)
    try:
        for _ in optimiser.irun(settings.fmax, max(left, 1)):
            size = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
            _check(size, atoms.positions - start)
            search.trace.append(size)
            if size < best:
                best, best_positions = size, atoms.positions.copy()
                if to_floor and isinstance(optimiser, HandoverLBFGS):
                    learnt = optimiser.memory()
            if to_floor and stopped_falling(search.trace):
                break
    except StuckError:
        if not math.isfinite(best):
            raise ModelError("the positions at the start are not finite") from None
        search.stuck, size = True, best
    if to_floor or search.stuck:
        atoms.positions = best_positions
    search.converged = size <= settings.fmax
    return learnt


def _check(size: float, moved: Array) -> None:
    if not math.isfinite(size):
        raise ModelError(f"a force is not finite: {size} eV/A")
    if (farthest := float(np.abs(moved).max())) > FARTHEST_A:
        raise ModelError(f"an atom is {farthest:.0f} A from its start: the structure flew apart")


def _optimiser(name: str, atoms: Any, memory: Memory | None) -> Any:
    from ase.optimize import FIRE

    if name == "FIRE":
        return FIRE(atoms, logfile=None)
    return HandoverLBFGS(atoms, memory)


def _calculator(side: Side, atoms: Any, calls: dict[str, int], role: str) -> Any:
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
            calls[role] += 1
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
