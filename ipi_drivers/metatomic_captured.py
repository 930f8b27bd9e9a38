"""Our own networks as captured CUDA graphs, or compiled on a CPU.

A call of a compact network on some hundred atoms is bound by the launches of its kernels on a GPU,
which a graph replays in one, and by memory on a CPU, of which compiled code needs less.  Both are
made for arrays of fixed sizes (``metatomic_graphs``, ``metatomic_compiled``): structures go into
the smallest bucket of arrays that holds them, and a larger one is made when none does.  Each
bucket has one graph for each choice of forces (direct, conservative, joint).  On a GPU
pairs come from lists with a skin (``pairlist``), so that most calls send positions and cells only.

Every new graph has to pass a gate (``gate``): made at other positions, it must now say what the
model called through metatomic says.  One that doesn't, or that can't be made, is never used: a line
says why, and all calls go through metatomic from then on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ncforce_ipi.backend import (
    Backend,
    Evaluation,
    JacobianProducts,
    Kind,
    Structure,
    Wanted,
)
from ncforce_ipi.errors import ModelError

from . import conversion, gate, loading
from . import metatomic_padded as padded
from .metatomic_graphs import Bucket, How, elsewhere
from .metatomic_model import MetatomicBackend
from .pairlist import PairList, find_pairs

N_BUCKETS = 8  # the last used are kept
Tensor = Any  # torch.Tensor

log = logging.getLogger(__name__)


class CapturedBackend(Backend):
    """A metatomic model whose network is captured or compiled.

    Parameters
    ----------
    eager : a model that ``training.export`` wrote, which graphs must agree with
    how : its network is called

    Attributes
    ----------
    why_not : why all calls go through metatomic; '' if they don't

    Raises
    ------
    ModelError
        The model isn't one of ours.
    """

    differentiable = True
    castable = True
    batched = True

    def __init__(self, eager: MetatomicBackend, how: How) -> None:
        if padded.network_of(eager._model) is None:
            raise ModelError(
                f"{eager.description} can't be {how.word}: only networks of 'ncforce train' "
                f"and the shipped ones can; leave out --{how.option}"
            )
        self.eager = eager
        self.kinds, self.species, self.source = eager.kinds, eager.species, eager.source
        self.stress, self.direct_energy = eager.stress, eager.direct_energy
        self._how = how
        self.why_not = ""
        self._start()

    def _start(self) -> None:
        self.dtype = self.eager.dtype
        self.description = f"{self.eager.description[:-1]}, {self._how.word})"
        self._net: Any = padded.network_of(self.eager._model)
        self._buckets: list[Bucket] = []  # the last used first
        self._lists: dict[int, PairList] = {}  # by the place in a batch: beads keep theirs
        self._calls: Counter[tuple[tuple[int, ...], frozenset[Kind]]] = Counter()

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """One replay of a graph for all that is wanted."""
        return self.evaluate_batch([structure], wanted)[0]

    def evaluate_batch(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[Mapping[Kind, Evaluation]]:
        """One replay for all structures, or for as many as go together."""
        for structure in structures:
            conversion.check_request(self.eager, structure, wanted)
        found: list[Mapping[Kind, Evaluation]] = []
        while rest := structures[len(found) :]:
            found += self._together(rest[: self._how_many(rest)], wanted, len(found))
        return found

    def _how_many(self, structures: Sequence[Structure]) -> int:
        """How many of the first go together: one at least."""
        n_atoms = np.cumsum([len(structure.numbers) for structure in structures])
        return max(1, int((n_atoms <= self._how.atoms_at_once).sum()))

    def _together(
        self, structures: Sequence[Structure], wanted: Wanted, place: int
    ) -> list[Mapping[Kind, Evaluation]]:
        """Those that go together; ``place`` is that of the first in its batch."""
        n_atoms = [len(structure.numbers) for structure in structures]
        small = any(n_atoms) and max(n_atoms) <= self._how.limit_atoms
        if not self.why_not and small and self._pays((place, *n_atoms), wanted.kinds):
            try:
                results = self._replayed(structures, wanted.kinds, place)
            except (RuntimeError, ValueError) as err:
                self._give_up(loading.one_line(err))
            else:
                if results is not None:
                    return [
                        _only(each, structure, wanted)
                        for each, structure in zip(results, structures, strict=True)
                    ]
        return self.eager.evaluate_batch(structures, wanted)

    def _pays(self, atoms: tuple[int, ...], kinds: frozenset[Kind]) -> bool:
        """Whether such a call comes again and again, so that a graph is worth its making."""
        self._calls[atoms, kinds] += 1
        return self._calls[atoms, kinds] > self._how.after

    def jacobian_products(self, structure: Structure, kind: Kind) -> JacobianProducts:
        """Those of the model through metatomic."""
        return self.eager.jacobian_products(structure, kind)

    def to_float64(self) -> None:
        """The same function in float64; graphs are captured anew."""
        self.turn("float64")

    def turn(self, dtype: str) -> None:
        """Turn the model to float32 or float64."""
        self.eager.turn(dtype)
        self._start()

    def last_graph(self, kinds: frozenset[Kind]) -> Callable[[], Tensor]:
        """The graph that gave the last forces of these kinds, for measurements."""
        return self._buckets[0].graphs[kinds]

    def _replayed(
        self, structures: Sequence[Structure], kinds: frozenset[Kind], place: int
    ) -> list[dict[Kind, Evaluation]] | None:
        """What the graph says; None if there is none that can be trusted."""
        lists = [self._pairs(k, structure) for k, structure in enumerate(structures, place)]
        bucket = self._bucket(lists)
        if kinds not in bucket.graphs:
            bucket.load(*elsewhere(structures, self._net.cutoff))
            network = partial(padded.evaluate, self._net, kinds=kinds)
            graph = self._how.capture(network, bucket.arrays)
            if why := self._gate(bucket, graph, structures, lists, kinds):
                self._give_up(why)
                return None
            bucket.graphs[kinds] = graph
        bucket.load(structures, lists)
        return _numbers(bucket.graphs[kinds](), structures, bucket.sizes, kinds)

    def _pairs(self, place: int, structure: Structure) -> PairList:
        """The list of this place in a batch if it serves the structure, or a new one."""
        known = self._lists.get(place)
        if known is None or not known.serves(structure):
            known = self._lists[place] = find_pairs(structure, self._net.cutoff, self._how.skin_A)
        return known

    def _bucket(self, lists: Sequence[PairList]) -> Bucket:
        """The smallest bucket that holds them and isn't far too large, or a new one."""
        n_atoms = padded.with_ghosts(sum(len(each.structure.numbers) for each in lists))
        n_pairs = sum(len(each.first) for each in lists)
        fitting = [each for each in self._buckets if each.fits(n_atoms, n_pairs, len(lists))]
        if fitting:
            bucket = min(fitting, key=lambda each: (each.sizes.pairs, each.sizes.atoms))
            self._buckets.remove(bucket)
        else:
            sizes = padded.Sizes(
                _rounded(n_atoms, 32),
                _rounded(int(self._how.spare_pairs * n_pairs) + 1, 256),
                len(lists),
            )
            bucket = Bucket(sizes, self.eager._device)
        self._buckets.insert(0, bucket)
        del self._buckets[N_BUCKETS:]
        return bucket

    def _gate(
        self,
        bucket: Bucket,
        graph: Callable[[], Tensor],
        structures: Sequence[Structure],
        lists: Sequence[PairList],
        kinds: frozenset[Kind],
    ) -> str:
        """'' if the graph agrees with the model through metatomic; else how it doesn't."""
        bucket.load(structures, lists)
        found = _numbers(graph(), structures, bucket.sizes, kinds)
        everything = Wanted(kinds, direct_energy="direct" in kinds, direct_virial="direct" in kinds)
        expected = self.eager.evaluate_batch(structures, everything)
        for ours, theirs in zip(found, expected, strict=True):
            for kind in [kind for kind in padded.ORDER if kind in kinds]:
                if why := gate.disagreement(ours[kind], theirs[kind], str(self.dtype)):
                    return f"{kind} {why}"
        return ""

    def _give_up(self, why: str) -> None:
        self.why_not = why
        self._buckets, self._lists = [], {}
        self.description = self.eager.description
        log.warning(
            "%s is not %s: %s; %s", self.eager.description, self._how.word, why, self._how.instead
        )


def _only(
    results: Mapping[Kind, Evaluation], structure: Structure, wanted: Wanted
) -> dict[Kind, Evaluation]:
    """What is wanted, as ``Wanted`` says it: NaN for the rest, and where there is no volume."""
    found = dict(results)
    if "direct" in found:
        each = found["direct"]
        periodic = abs(np.linalg.det(structure.cell)) > 0
        energy = each.energy if wanted.direct_energy else np.nan
        nothing = np.full((3, 3), np.nan)
        virial = each.virial if wanted.direct_virial and periodic else nothing
        found["direct"] = Evaluation(energy, each.forces, virial)
    return found


def _numbers(
    flat: Tensor, structures: Sequence[Structure], sizes: padded.Sizes, kinds: frozenset[Kind]
) -> list[dict[Kind, Evaluation]]:
    return padded.unpack(flat.cpu().numpy(), structures, sizes, kinds)


def _rounded(n: int, step: int) -> int:
    return -(-n // step) * step
