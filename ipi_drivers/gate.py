"""Whether a faster way to call a model may be used: what must agree with the usual way, and how."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError

ROUNDING = {"float32": 1e-5, "float64": 1e-11}  # of sums in another order, relative
Shape = tuple[tuple[tuple[int, bool], ...], Wanted]

log = logging.getLogger(__name__)


def disagreement(found: Evaluation, expected: Evaluation, dtype: str) -> str:
    """'' if the two are equal up to rounding; else what differs, and by how much.

    What is expected but NaN (a virial without a cell) isn't compared.
    """
    rounding = ROUNDING[dtype]
    n, largest = len(expected.forces), float(np.abs(expected.forces).max())
    allowed = {  # sums over all atoms: of energies of some eV, of forces times lengths of some A
        "forces": rounding * (largest + 1.0),
        "energy": rounding * (abs(expected.energy) + n),
        "virial": rounding * n * (largest + 1.0),
    }
    for name, most in allowed.items():
        theirs = np.asarray(getattr(expected, name))
        there = np.isfinite(theirs)
        apart = np.abs(np.asarray(getattr(found, name)) - theirs)[there]
        if not (apart <= most).all():  # NaN is none of it
            return f"{name} differ by {apart.max():.2g}, more than rounding ({most:.2g})"
    return ""


class GatedBackend(Backend):
    """A model that its library compiles, beside the same model as it is.

    The first call for new numbers of atoms, with or without cells, or for other forces is made in
    both ways.  If they differ by more than rounding, or the compiled one fails where the other
    doesn't, a line says so and nothing is compiled from then on.

    Parameters
    ----------
    eager : as it is
    compiled : of the same file and with the same options

    Attributes
    ----------
    why_not : why nothing is compiled; '' if it is
    """

    batched = True

    def __init__(self, eager: Backend, compiled: Backend) -> None:
        self._eager, self._compiled = eager, compiled
        self.kinds, self.species, self.source = eager.kinds, eager.species, eager.source
        self.stress, self.direct_energy = eager.stress, eager.direct_energy
        self.dtype = eager.dtype
        self.description = f"{eager.description[:-1]}, compiled)"
        self.why_not = ""
        self._passed: set[Shape] = set()

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """As a batch of one."""
        return self.evaluate_batch([structure], wanted)[0]

    def evaluate_batch(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[Mapping[Kind, Evaluation]]:
        """By the compiled model if it may."""
        if self.why_not:
            return self._eager.evaluate_batch(structures, wanted)
        shape = tuple((len(each.numbers), bool(each.cell.any())) for each in structures), wanted
        if shape in self._passed:
            return self._compiled.evaluate_batch(structures, wanted)
        expected = self._eager.evaluate_batch(
            structures, wanted
        )  # first: its errors are the user's
        self.why_not = self._compare(structures, wanted, expected)
        if self.why_not:
            self.description = self._eager.description
            log.warning("%s is not compiled: %s; slower, but right", self.description, self.why_not)
        self._passed.add(shape)
        return expected

    def _compare(
        self,
        structures: Sequence[Structure],
        wanted: Wanted,
        expected: Sequence[Mapping[Kind, Evaluation]],
    ) -> str:
        try:
            found = self._compiled.evaluate_batch(structures, wanted)
        except ModelError as err:
            return str(err)
        for ours, theirs in zip(found, expected, strict=True):
            for kind in sorted(theirs):
                if why := disagreement(ours[kind], theirs[kind], str(self.dtype)):
                    return f"{kind} {why}"
        return ""

    def close(self) -> None:
        """Close both."""
        self._eager.close()
        self._compiled.close()
