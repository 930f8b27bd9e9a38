"""From a loaded model to the forces of a role.

Owns which kind of force serves which role, the removal of the net force, and the check that all
numbers are finite.  Knows no socket and no model library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ncforce_ipi.backend import Backend, Evaluation, Kind, Role, Structure, Wanted
from ncforce_ipi.errors import ModelError


class Evaluator:
    """Turns (structure, role) into the evaluation that is sent.

    The seam between connections and model: it sees every request of both roles in order, so that
    one forward pass may later serve the fast and the slow request of the same positions.

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
        Fast requests for each slow one, where it is known: what joint evaluation will go by.
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
    ) -> None:
        for role, kind in kinds.items():
            if kind not in backend.kinds:
                raise ModelError(
                    f"{backend.description} has no {kind} forces, which role {role} needs; "
                    f"it has {' and '.join(sorted(backend.kinds))} forces"
                )
        self._backend = backend
        self._wanted = {
            role: Wanted(frozenset([kind]), direct_energy, direct_virial)
            for role, kind in kinds.items()
        }
        self._kinds = kinds
        self._keep_net_force = keep_net_force
        self._mts = mts
        self._steps = dict.fromkeys(kinds, 0)

    def evaluate(self, structure: Structure, role: Role) -> Evaluation:
        """Forces of ``role``, fit for the wire: finite, with 0 for what was not asked for."""
        kind, wanted = self._kinds[role], self._wanted[role]
        evaluation = self._backend.evaluate(structure, wanted)[kind]
        if kind == "direct":
            evaluation = self._finish_direct(evaluation, wanted)
        _check_finite(evaluation, f"{kind} {{}} of role {role} at evaluation {self._steps[role]}")
        self._steps[role] += 1
        return evaluation

    def _finish_direct(self, evaluation: Evaluation, wanted: Wanted) -> Evaluation:
        forces = evaluation.forces
        return replace(
            evaluation,
            forces=forces if self._keep_net_force else forces - forces.mean(axis=0),
            energy=evaluation.energy if wanted.direct_energy else 0.0,
            virial=evaluation.virial if wanted.direct_virial else np.zeros((3, 3)),
        )


def _check_finite(evaluation: Evaluation, what: str) -> None:
    """Refuse what the wire can't carry; ``what`` has a place for the name of the quantity."""
    bad = ~np.isfinite(evaluation.forces).all(axis=1)
    if bad.any():
        atom = int(np.argmax(bad))
        got = np.array2string(evaluation.forces[atom], precision=4)
        raise ModelError(
            f"{what.format('force')} is not finite: atom {atom} has {got} eV/A; "
            "look at the last structures of the run, a shorter outer step may help"
        )
    if not np.isfinite(evaluation.energy):
        raise ModelError(f"{what.format('energy')} is {evaluation.energy} eV; no run can go on")
    if not np.isfinite(evaluation.virial).all():
        raise ModelError(
            f"{what.format('virial')} is not finite; a direct virial needs three lattice vectors"
        )
