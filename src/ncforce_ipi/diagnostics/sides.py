"""A slow and a fast force: how well they agree on structures, and what each of them costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Backend, Kind, Structure, Wanted
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.evaluations import evaluate, evaluate_all
from ncforce_ipi.inputs.plan import Plan

CALLS = 7  # timed, after two that aren't
SHAKE_A = 1e-3  # so that no library answers from memory


@dataclass(frozen=True)
class Side:
    """One of the two forces.

    Attributes
    ----------
    backend : its model or driver
    kind : of force
    keep_net_force : whether the mean stays in direct forces
    """

    backend: Backend
    kind: Kind
    keep_net_force: bool = False

    def forces(self, structure: Structure) -> Array:
        """Forces ``(n_atoms, 3)``, eV/A, as a driver would send them."""
        (found,) = self.forces_of([structure])
        return found

    def forces_of(self, structures: Sequence[Structure]) -> list[Array]:
        """The same of each of the structures, in as few calls as the model allows."""
        found = evaluate_all(self.backend, structures, Wanted(frozenset([self.kind])))
        forces = [one[self.kind].forces for one in found]
        remove = self.kind == "direct" and not self.keep_net_force
        return [f - f.mean(axis=0) for f in forces] if remove else forces

    def at(self, structure: Structure) -> Callable[[Array], Array]:
        """Forces as a function of the positions alone."""
        return lambda r: self.forces(Structure(structure.numbers, r, structure.cell))

    def all_at(self, structure: Structure) -> Callable[[Array], Array]:
        """Forces as a function of several positions ``(n, n_atoms, 3)``."""
        return lambda all_r: np.array(
            self.forces_of([Structure(structure.numbers, r, structure.cell) for r in all_r])
        )


@dataclass(frozen=True)
class Agreement:
    """f_slow - f_fast over all structures.

    Attributes
    ----------
    rmse : by atomic number, and 0 for all: root mean square over components, eV/A
    largest : largest |component|, eV/A
    force : root mean square of the slow force, eV/A
    """

    rmse: dict[int, float]
    largest: float
    force: float


def agreement(slow: Side, fast: Side, structures: Sequence[Structure]) -> Agreement:
    """Evaluate both on all structures."""
    numbers, differences, forces = [], [], []
    for structure in structures:
        f = slow.forces(structure)
        differences.append(f - fast.forces(structure))
        forces.append(f)
        numbers.append(structure.numbers)
    return _agreement(np.concatenate(numbers), np.concatenate(differences), np.concatenate(forces))


def _agreement(numbers: NDArray[np.int32], difference: Array, forces: Array) -> Agreement:
    rmse = {0: _rms(difference)}
    rmse |= {int(z): _rms(difference[numbers == z]) for z in np.unique(numbers)}
    return Agreement(rmse, float(np.abs(difference).max()), _rms(forces))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


@dataclass(frozen=True)
class Cost:
    """Time of a call on one structure, medians of calls in turns.

    Attributes
    ----------
    slow_ms, fast_ms : ms
    joint_ms : both forces from one evaluation; None where two models serve them
    """

    slow_ms: float
    fast_ms: float
    joint_ms: float | None

    @property
    def ratio(self) -> float:
        """F, slow over fast."""
        return self.slow_ms / self.fast_ms

    def step_ms(self, mts: int) -> float:
        """Model time of an inner step, ms, the cheaper way: joint or separate evaluations."""
        plan = Plan("mts", mts, 1.0, 1)
        ways = [plan.relative_cost(self.ratio)]
        if self.joint_ms is not None:
            ways.append(plan.relative_cost(self.joint_ms / self.fast_ms, joint=True))
        return self.fast_ms * min(ways)


def cost(slow: Side, fast: Side, structure: Structure, seed: int = 0) -> Cost:
    """Time calls of both in turns, on slightly moving atoms."""
    kinds: frozenset[Kind] = frozenset([slow.kind, fast.kind])
    joint = slow.backend is fast.backend and len(kinds) == 2
    random = np.random.default_rng(seed)
    seconds = []
    for _ in range(CALLS + 2):
        shift = random.normal(0, SHAKE_A, structure.positions.shape)
        moved = Structure(structure.numbers, structure.positions + shift, structure.cell)
        calls: list[Callable[[], object]] = [
            lambda moved=moved: slow.forces(moved),  # type: ignore[misc]
            lambda moved=moved: fast.forces(moved),  # type: ignore[misc]
        ]
        if joint:
            calls.append(lambda moved=moved: evaluate(slow.backend, moved, Wanted(kinds)))  # type: ignore[misc]
        seconds.append([_time(call) for call in calls])
    medians = 1e3 * np.median(np.array(seconds)[2:], axis=0)
    return Cost(medians[0], medians[1], medians[2] if joint else None)


def _time(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
