"""From a loaded model to the forces of a role.

Owns which kind of force serves which role, when both are evaluated at once, and the removal of the
net force.  Knows no socket and no model library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Backend, Evaluation, Kind, Role, Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.evaluations import Results, evaluate_all
from ncforce_ipi.serve.joint import Counts, Memory
from ncforce_ipi.serve.points import Afresh, Visit
from ncforce_ipi.serve.requests import Request, Trajectory
from ncforce_ipi.species import SYMBOLS

Job = list[tuple[int, Visit]]  # what one call is for: number of the request, and a visit of it


@dataclass
class Calls:
    """Calls of the model, of any number of structures: for one kind of force, and for both."""

    single: int = 0
    joint: int = 0


@dataclass(frozen=True)
class Serving:
    """Which forces a driver serves, and how; one option of ``ncforce driver`` for each.

    Attributes
    ----------
    slow_kind : kind of force of role slow
    fast_kind : kind of force of role fast
    direct_energy : send an energy with direct forces (else 0)
    direct_virial : send a virial with direct forces (else 0)
    keep_net_force : don't subtract the mean from direct forces
    mts : inner steps of an outer step, if known
    joint : role both: one model call for both forces of an outer point (never changes a force)
    """

    slow_kind: Kind = "conservative"
    fast_kind: Kind = "direct"
    direct_energy: bool = False
    direct_virial: bool = False
    keep_net_force: bool = False
    mts: int | None = None
    joint: bool = True

    def __post_init__(self) -> None:
        if self.mts is not None and self.mts < 1:
            raise InputError(f"--mts: expected an integer >= 1, got {self.mts}")

    def kind(self, role: Role) -> Kind:
        """Of the forces of a role."""
        return self.slow_kind if role == "slow" else self.fast_kind

    def evaluator(self, backend: Backend, roles: Iterable[Role]) -> Evaluator:
        """What gives the forces of these roles.

        Raises
        ------
        ModelError
            The model lacks what they need.
        """
        return Evaluator(
            backend,
            {role: self.kind(role) for role in roles},
            direct_energy=self.direct_energy,
            direct_virial=self.direct_virial,
            keep_net_force=self.keep_net_force,
            mts=self.mts,
            joint=self.joint,
        )


class Evaluator:
    """Turns (structures, role) into the evaluations that are sent.

    The seam between connections and model: where it serves both roles, it sees every request in
    order, and one call of the model gives the fast force and the slow force that will be asked for
    at the same positions (``ncforce_ipi.serve.joint``), for all structures of the request.
    Requests of several trajectories share calls; what is remembered and predicted of one knows
    nothing of the others.

    Parameters
    ----------
    backend
        The loaded model.
    kinds
        Kind of force for each role that is served.
    direct_energy, direct_virial
        Whether a direct evaluation carries energy and virial; 0 is sent otherwise.
    keep_net_force
        Whether the mean force stays in direct forces; it is subtracted otherwise.
    mts
        Fast requests for each slow one, where it is known; learnt otherwise.
    joint
        Whether two roles are evaluated at once where that is expected to save a call.

    Raises
    ------
    ModelError
        The model lacks a kind of force, or an energy or virial of its direct forces.
    """

    def __init__(
        self,
        backend: Backend,
        kinds: Mapping[Role, Kind],
        *,
        direct_energy: bool = False,
        direct_virial: bool = False,
        keep_net_force: bool = False,
        mts: int | None = None,
        joint: bool = True,
    ) -> None:
        for role, kind in kinds.items():
            if kind not in backend.kinds:
                raise ModelError(
                    f"{backend.description} has no {kind} forces, which role {role} needs; "
                    f"it has {' and '.join(sorted(backend.kinds))} forces: give another model "
                    f"for that role, or run without it"
                )
        if "direct" in kinds.values():
            _check_direct(backend, direct_energy, direct_virial)
        self.calls = Calls()
        self._backend = backend
        self._kinds = kinds
        self._direct = {"direct_energy": direct_energy, "direct_virial": direct_virial}
        self._keep_net_force = keep_net_force
        self._mts, self._joint = mts, joint and len(kinds) == 2
        self._own = self.trajectory()

    @property
    def counts(self) -> Counts | None:
        """How joint evaluation did in ``evaluate``; None where there is none."""
        return self._own.counts

    @property
    def atoms_at_once(self) -> float:
        """How many atoms it pays to have in one call of the model; 0: one structure a call."""
        return self._backend.atoms_at_once if self._backend.batched else 0

    def trajectory(self) -> Trajectory:
        """One of which nothing is known yet."""
        memory = Memory(self._kinds, self._mts) if self._joint else Afresh(self._kinds)
        return Trajectory(memory, dict.fromkeys(self._kinds, 0))

    def evaluate(self, structure: Structure, role: Role) -> Evaluation:
        """As for a batch of one."""
        (evaluation,) = self.evaluate_batch([structure], role)
        return evaluation

    def evaluate_batch(self, structures: Sequence[Structure], role: Role) -> list[Evaluation]:
        """Forces of ``role``, fit for the wire: finite, with 0 for what was not asked for."""
        (found,) = self.evaluate_requests([Request(self._own, structures, role)])
        if isinstance(found, ModelError):
            raise found
        return found

    def evaluate_requests(self, requests: Sequence[Request]) -> list[list[Evaluation] | ModelError]:
        """As ``evaluate_batch`` for each, or why it can't be: a call for each set of kinds.

        Mostly that is one for all.  Where a call of several requests fails, each is tried alone,
        so that a structure that a model can't take is the trouble of its own trajectory.
        """
        visits = [each.trajectory.memory.visit(each.structures, each.role) for each in requests]
        jobs: dict[frozenset[Kind], Job] = {}
        for k, of_request in enumerate(visits):
            for visit in of_request:
                jobs.setdefault(visit.kinds, []).append((k, visit))
        jobs.pop(frozenset(), None)
        errors: dict[int, ModelError] = {}
        for kinds, job in jobs.items():
            errors |= self._fill(requests, [each for each in job if each[0] not in errors], kinds)
        return [
            self._answer(request, visits[k], errors.get(k)) for k, request in enumerate(requests)
        ]

    def _answer(
        self, request: Request, visits: Sequence[Visit], error: ModelError | None
    ) -> list[Evaluation] | ModelError:
        steps, role = request.trajectory.steps, request.role
        if error is not None:
            told = type(error)(f"{error} (role {role}, evaluation {steps[role]})")
            told.__cause__ = error
            return told
        steps[role] += len(request.structures)
        return [_found(visit.original or visit) for visit in visits]

    def _fill(
        self, requests: Sequence[Request], job: Job, kinds: frozenset[Kind]
    ) -> dict[int, ModelError]:
        """Evaluate visits and remember what was found; errors by the number of the request."""
        numbers = sorted({k for k, _ in job})
        if not numbers:
            return {}
        try:
            answers = self._try_both(
                [visit.structure for _, visit in job], kinds, {requests[k].role for k in numbers}
            )
        except ModelError as err:
            if len(numbers) == 1:
                return {numbers[0]: err}
            failed: dict[int, ModelError] = {}
            for k in numbers:
                failed |= self._fill(requests, [each for each in job if each[0] == k], kinds)
            return failed
        for (k, visit), results in zip(job, answers, strict=True):
            request = requests[k]
            visit.found = results[self._kinds[request.role]]
            request.trajectory.n_evaluated += 1
            request.trajectory.memory.remember(visit, results, request.role)
        return {}

    def _try_both(
        self, structures: Sequence[Structure], kinds: frozenset[Kind], roles: set[Role]
    ) -> list[Results]:
        """All ``kinds``; if they fail together (out of memory), what was really asked for."""
        asked = frozenset(self._kinds[role] for role in roles)
        try:
            return self._call(structures, kinds)
        except ModelError:
            if asked == kinds:
                raise
        return self._call(structures, asked)

    def _call(self, structures: Sequence[Structure], kinds: frozenset[Kind]) -> list[Results]:
        wanted = Wanted(kinds, **self._direct)
        found = evaluate_all(self._backend, structures, wanted)
        if len(kinds) == 1:
            self.calls.single += 1
        else:
            self.calls.joint += 1
        for results in found:
            if "direct" in results:
                results["direct"] = self._finish_direct(results["direct"], wanted)
            if "conservative" in results and "conservative" not in self._backend.stress:
                no_virial = replace(results["conservative"], virial=np.zeros((3, 3)))
                results["conservative"] = no_virial
        return found

    def _finish_direct(self, evaluation: Evaluation, wanted: Wanted) -> Evaluation:
        forces = evaluation.forces
        return replace(
            evaluation,
            forces=forces if self._keep_net_force else forces - _mean(forces),
            energy=evaluation.energy if wanted.direct_energy else 0.0,
            virial=evaluation.virial if wanted.direct_virial else np.zeros((3, 3)),
        )


def _check_direct(backend: Backend, energy: bool, virial: bool) -> None:
    """Refuse to send with direct forces what the model doesn't have of them."""
    if energy and not backend.direct_energy:
        raise ModelError(
            f"{backend.description} has no energy to send with direct forces; "
            "leave out --direct-energy"
        )
    if virial and "direct" not in backend.stress:
        raise ModelError(
            f"{backend.description} has no stress of its direct forces; "
            "without --direct-virial it runs NVE and NVT"
        )


def _mean(forces: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(3,)``, eV/A; column by column is ten times as fast as ``mean(axis=0)`` of 10^5 atoms."""
    return np.array([forces[:, k].mean() for k in range(3)])


def check_species(backend: Backend, numbers: NDArray[np.int32], structure: object) -> None:
    """Raise ModelError if the model doesn't know all of ``numbers``, read from ``structure``."""
    known = backend.species
    if known is None or known.issuperset(numbers.tolist()):
        return
    unknown = sorted(set(numbers.tolist()) - known)
    raise ModelError(
        f"{structure} has {' '.join(SYMBOLS[number] for number in unknown)}, expected only species "
        f"of {backend.description}: {' '.join(SYMBOLS[number] for number in sorted(known))}"
    )


def _found(visit: Visit) -> Evaluation:
    if visit.found is None:
        raise ModelError("a structure of a batch was left without an evaluation")
    return visit.found
