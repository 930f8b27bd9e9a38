"""One observable of several conditions: below each other, never averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.conditions import Condition, replica_lines
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.result import Printed, Result, Unavailable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Measured(Printed):
    """A result of one directory of replicas; see `result.Result`.

    Attributes
    ----------
    conditions : which replicas are alike
    results : of each condition, or why there is none
    """

    conditions: tuple[Condition, ...]
    results: tuple[Result | Unavailable, ...]

    @property
    def available(self) -> list[tuple[Condition, Result]]:
        """Those that are there."""
        pairs = zip(self.conditions, self.results, strict=True)
        return [(one, found) for one, found in pairs if not isinstance(found, Unavailable)]

    @property
    def only(self) -> Result | None:
        """The result, where there is one condition."""
        if len(self.conditions) > 1 or isinstance(self.results[0], Unavailable):
            return None
        return self.results[0]

    def lines(self) -> list[tuple[str, str]]:
        """See `result.Result`."""
        lines: list[tuple[str, str]] = []
        for one, found in zip(self.conditions, self.results, strict=True):
            if one.name:
                lines.append(("condition", one.name))
            lines += replica_lines(one.data)
            lines += [("none", found.reason)] if isinstance(found, Unavailable) else found.lines()
        return lines

    def to_dict(self) -> dict[str, Any]:
        """See `result.Result`."""
        parts = []
        for one, found in zip(self.conditions, self.results, strict=True):
            absent = {"unavailable": found.reason} if isinstance(found, Unavailable) else {}
            numbers = {} if isinstance(found, Unavailable) else found.to_dict()
            parts.append(numbers_of(one) | absent | numbers)
        return parts[0] if len(parts) == 1 else {"conditions": parts}

    def columns(self) -> dict[str, NDArray]:
        """Conditions below each other; what one lacks is NaN."""
        if self.only is not None:
            return self.only.columns()
        every = [(one.name, found.columns()) for one, found in self.available]
        sizes = [len(next(iter(columns.values()))) for _, columns in every]
        names = dict.fromkeys(name for _, columns in every for name in columns)
        found = {"condition": np.repeat([name for name, _ in every], sizes)}
        for name in names:
            parts = [
                columns.get(name, np.full(size, np.nan))
                for (_, columns), size in zip(every, sizes, strict=True)
            ]
            found[name] = np.concatenate(parts)
        return found

    def figure(self) -> Figure:
        """See `result.Result`.

        Raises
        ------
        InputError
            Several conditions, whose figure this isn't.
        """
        if self.only is None:
            raise InputError(
                f"--plot of {len(self.conditions)} conditions; expected one: give the directories "
                "of its replicas, or see 'ncforce report'"
            )
        return self.only.figure()


def measured(conditions: Sequence[Condition], measure: Callable[[Dataset], Result]) -> Measured:
    """Measure each condition.

    Raises
    ------
    InputError
        None can be measured: that of the first.
    """
    found: list[Result | Unavailable] = []
    errors = []
    for one in conditions:
        try:
            found.append(measure(one.data))
        except InputError as err:
            errors.append(err)
            found.append(Unavailable(str(err)))
    if len(errors) == len(conditions):
        raise errors[0]
    return Measured(tuple(conditions), tuple(found))


def numbers_of(condition: Condition) -> dict[str, Any]:
    """For files: what a condition is, and what isn't used of it; empty for an ordinary run."""
    data = condition.data
    if data.folder is None:
        return {}
    return {
        "condition": condition.name,
        "temperature_K": data.first.metadata.temperature_K,
        "replicas": [source.name for source in data.sources],
        "left_out": {one.name: one.why for one in data.left_out},
    }
