"""One model in several processes, as one: structures are spread over them.

Owns which of them takes what, and what happens when one of them fails.
"""

from __future__ import annotations

import logging
import math
import shlex
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import NcforceError, OutputError
from ncforce_ipi.evaluations import evaluate_all
from ncforce_ipi.inputs.service import parse_model
from ncforce_ipi.serve.load import load_model

log = logging.getLogger(__name__)
BATCH = 8  # structures in a call of a model that takes batches
Found = Mapping[Kind, Evaluation]


def load_several(
    spec: str, kind: Kind, n: int, devices: Sequence[str] = (), threads: int = 1
) -> Backend:
    """A model that ``n`` processes evaluate: this one, and drivers, which start when needed.

    Parameters
    ----------
    spec : as `inputs.service.parse_model` takes it; drivers of another environment are all started
    devices : which they take in turn; none: the model chooses
    """
    first = _first(spec, kind, devices, threads)
    if n == 1:
        return first
    model = parse_model(spec)
    others = []
    for k in range(1, n):
        more = ["--device", devices[k % len(devices)]] if devices else []
        more += ["--threads", str(threads)] if threads != 1 else []
        words = model.driver(more if model.program is None else ())
        others.append(load_model(shlex.join(words), kind=kind))
    return Several([first, *others])


def _first(spec: str, kind: Kind, devices: Sequence[str], threads: int) -> Backend:
    remote = parse_model(spec).program is not None
    more = {} if remote or not devices else {"device": devices[0]}
    return load_model(spec, kind=kind, threads=threads, **more)


class Several(Backend):
    """Members that answer alike; what the first says of itself holds for all.

    Virials come only where all have them: drivers send none that means anything.

    Attributes
    ----------
    of_first : kinds of force of the first member that come with a virial
    """

    def __init__(self, members: Sequence[Backend]) -> None:
        first = members[0]
        self.kinds, self.description, self.source = first.kinds, first.description, first.source
        self.species, self.dtype, self.batched = first.species, first.dtype, first.batched
        self.stress = frozenset.intersection(*(one.stress for one in members))
        self.of_first = first.stress
        self._members = list(members)

    def evaluate(self, structure: Structure, wanted: Wanted) -> Found:
        """By the first."""
        return self._members[0].evaluate(structure, wanted)

    def evaluate_batch(self, structures: Sequence[Structure], wanted: Wanted) -> list[Found]:
        """Each member takes the next few; what one that fails had taken is left to the others.

        Raises
        ------
        NcforceError
            All of them failed; or a result that isn't a number, which the others would give too.
        """
        if len(structures) == 1:
            return [self.evaluate(structures[0], wanted)]
        work = _Work(structures, wanted, self._size(len(structures)))
        while work.left:
            for member, err in work.spread(self._members):
                self._drop(member, err)
        return work.results

    def _drop(self, member: Backend, err: NcforceError) -> None:
        if isinstance(err, OutputError) or len(self._members) == 1:
            raise err
        log.warning("one process less for %s: %s", self.description, err)
        member.close()
        self._members.remove(member)

    def _size(self, n: int) -> int:
        """How many structures a member takes at a time."""
        return min(BATCH, math.ceil(n / len(self._members))) if self.batched else 1

    def close(self) -> None:
        """All of them."""
        for member in self._members:
            member.close()


class _Work:
    """Structures of which each member takes the next ones; used by several threads."""

    def __init__(self, structures: Sequence[Structure], wanted: Wanted, size: int) -> None:
        self._structures, self._wanted = structures, wanted
        self._found: dict[int, Found] = {}
        # taken and given back at one end, which a deque does as a whole
        self._left = deque(range(k, min(k + size, len(structures))) for k in
                           range(0, len(structures), size))  # fmt: skip

    @property
    def left(self) -> bool:
        """Whether something has to be done yet."""
        return bool(self._left)

    @property
    def results(self) -> list[Found]:
        """Of each structure."""
        return [self._found[k] for k in range(len(self._structures))]

    def spread(self, members: Sequence[Backend]) -> list[tuple[Backend, NcforceError]]:
        """Let all take what is left; those that failed, and why."""
        with ThreadPoolExecutor(len(members)) as pool:
            try:
                return [failure for failure in pool.map(self._done_by, members) if failure]
            except BaseException:
                self._left.clear()  # Ctrl-C: no member begins another one
                raise

    def _done_by(self, member: Backend) -> tuple[Backend, NcforceError] | None:
        while True:
            try:
                places = self._left.popleft()
            except IndexError:
                return None
            try:
                these = [self._structures[k] for k in places]
                self._found |= zip(places, evaluate_all(member, these, self._wanted), strict=True)
            except NcforceError as err:
                self._left.appendleft(places)
                return member, err
