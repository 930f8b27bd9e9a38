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
from ncforce_ipi.serve.points import Visit, n_without_copies
from ncforce_ipi.species import SYMBOLS


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
        self.n_evaluated = 0  # structures, in all calls
        self._backend = backend
        self._kinds = kinds
        self._direct = {"direct_energy": direct_energy, "direct_virial": direct_virial}
        self._keep_net_force = keep_net_force
        self._memory = Memory(kinds, mts) if joint and len(kinds) == 2 else None
        self._steps = dict.fromkeys(kinds, 0)

    @property
    def counts(self) -> Counts | None:
        """How joint evaluation did; None where there is none."""
        return self._memory.counts if self._memory else None

    def evaluate(self, structure: Structure, role: Role) -> Evaluation:
        """As for a batch of one."""
        (evaluation,) = self.evaluate_batch([structure], role)
        return evaluation

    def evaluate_batch(self, structures: Sequence[Structure], role: Role) -> list[Evaluation]:
        """Forces of ``role``, fit for the wire: finite, with 0 for what was not asked for."""
        try:
            if self._memory is None:
                found = self._each_once(structures, self._kinds[role])
            else:
                found = self._remembered(self._memory, structures, role)
        except ModelError as err:
            raise type(err)(f"{err} (role {role}, evaluation {self._steps[role]})") from err
        self._steps[role] += len(structures)
        return found

    def _each_once(self, structures: Sequence[Structure], kind: Kind) -> list[Evaluation]:
        """i-PI fills a batch up with copies of its last structure."""
        n = n_without_copies(structures)
        found = [results[kind] for results in self._call(structures[:n], frozenset([kind]))]
        return found + found[-1:] * (len(structures) - n)

    def _remembered(
        self, memory: Memory, structures: Sequence[Structure], role: Role
    ) -> list[Evaluation]:
        """From memory, or from a call for each set of kinds: mostly one for all."""
        visits, kind = memory.visit(structures, role), self._kinds[role]
        groups: dict[frozenset[Kind], list[Visit]] = {}
        for visit in visits:
            groups.setdefault(visit.kinds, []).append(visit)
        groups.pop(frozenset(), None)
        for kinds, group in groups.items():
            answers = self._try_both([visit.structure for visit in group], kinds, kind)
            for visit, results in zip(group, answers, strict=True):
                visit.found = results[kind]
                memory.remember(visit, results, role)
        return [_found(visit.original or visit) for visit in visits]

    def _try_both(
        self, structures: Sequence[Structure], kinds: frozenset[Kind], asked: Kind
    ) -> list[Results]:
        """All ``kinds``; if they fail together (out of memory), what was really asked for."""
        try:
            return self._call(structures, kinds)
        except ModelError:
            if len(kinds) == 1:
                raise
        return self._call(structures, frozenset([asked]))

    def _call(self, structures: Sequence[Structure], kinds: frozenset[Kind]) -> list[Results]:
        wanted = Wanted(kinds, **self._direct)
        found = evaluate_all(self._backend, structures, wanted)
        self.n_evaluated += len(structures)
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
