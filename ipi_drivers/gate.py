"""Whether a faster way to call a model may be used: what must agree with the usual way, and how."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError

from . import loading

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

    A call is made in both ways where its compiled code is new: the first one for new numbers of
    atoms, with or without cells, or for other forces, and any in which something was compiled
    again.  If the two differ by more than rounding, or the compiled one fails where the other
    doesn't, or nothing was compiled at all, a line says so and the model is called as it is from
    then on.

    Parameters
    ----------
    eager : as it is
    compiled : of the same file and with the same options
    n_compiled : how many functions have been compiled in this process

    Attributes
    ----------
    why_not : why nothing is compiled; '' if it is
    """

    batched = True

    def __init__(
        self,
        eager: Backend,
        compiled: Backend,
        *,
        n_compiled: Callable[[], int] = loading.n_compiled,
    ) -> None:
        self._eager, self._compiled = eager, compiled
        self.kinds, self.species, self.source = eager.kinds, eager.species, eager.source
        self.stress, self.direct_energy = eager.stress, eager.direct_energy
        self.dtype = eager.dtype
        self.description = f"{eager.description[:-1]}, compiled)"
        self.why_not = ""
        self._passed: set[Shape] = set()
        self._n_compiled, self._n_before = n_compiled, n_compiled()

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
        if shape in self._passed and (found := self._by_known_code(structures, wanted)):
            return found
        # first: its errors are the user's
        expected = self._eager.evaluate_batch(structures, wanted)
        found = self._checked(structures, wanted, expected)
        self._passed.add(shape)
        return expected if self.why_not else found

    def _by_known_code(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[Mapping[Kind, Evaluation]] | None:
        """None if the call failed, or by code that was compiled for it and nobody has checked."""
        n_before = self._n_compiled()
        try:
            found = self._by_compiler(structures, wanted)
        except ModelError:  # whose fault that was is found out by the model as it is
            return None
        return found if self._n_compiled() == n_before else None

    def _checked(
        self,
        structures: Sequence[Structure],
        wanted: Wanted,
        expected: Sequence[Mapping[Kind, Evaluation]],
    ) -> list[Mapping[Kind, Evaluation]]:
        """By the compiled model; ``why_not`` says where that is not what is expected.

        Where it agrees its own numbers are kept, so that a run that begins again here goes on as
        one that didn't stop.
        """
        found: list[Mapping[Kind, Evaluation]] = []
        try:
            found = self._by_compiler(structures, wanted)
            self.why_not = _compare(found, expected, str(self.dtype))
        except ModelError as err:
            self.why_not = str(err)
        if not self.why_not and self._n_compiled() == self._n_before:
            self.why_not = "its library compiled nothing"
        if self.why_not:
            self.description = self._eager.description
            log.warning("%s is not compiled: %s; slower, but right", self.description, self.why_not)
        return found

    def _by_compiler(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[Mapping[Kind, Evaluation]]:
        try:
            return self._compiled.evaluate_batch(structures, wanted)
        except Exception as err:  # a compiler can raise anything
            why = loading.one_line(err).removeprefix(f"{self._compiled.description} failed: ")
            raise ModelError(why) from err

    def close(self) -> None:
        """Close both."""
        self._eager.close()
        self._compiled.close()


def _compare(
    found: Sequence[Mapping[Kind, Evaluation]],
    expected: Sequence[Mapping[Kind, Evaluation]],
    dtype: str,
) -> str:
    """'' if all agree; else what doesn't."""
    for ours, theirs in zip(found, expected, strict=True):
        for kind in sorted(theirs):
            if why := disagreement(ours[kind], theirs[kind], dtype):
                return f"{kind} {why}"
    return ""
