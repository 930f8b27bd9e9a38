"""A directory of replicas: which of them may be averaged, and which are left out.

Owns what makes two replicas different: temperature, start structure, forces, ensemble.  What
differs is never averaged; each set of replicas that are alike is a condition.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.dataset import Dataset, LeftOut, open_dataset
from ncforce_ipi.observables.independence import require_independent
from ncforce_ipi.observables.options import Options
from ncforce_ipi.observables.source import Source
from ncforce_ipi.rundir import replica_directories

log = logging.getLogger(__name__)

SHORTEST = 0.5
"""Replicas shorter than this part of the longest are left out: lags and origins are those of the
shortest, and spectra and displacements of all would suffer."""


@dataclass(frozen=True)
class Condition:
    """Replicas that are alike.

    Attributes
    ----------
    name : what sets it apart from other conditions; '' where there is one only
    data : of its replicas
    """

    name: str
    data: Dataset

    @property
    def file_name(self) -> str:
        """The name as that of a folder: ``280_K``; '' where there is one condition only."""
        return re.sub(r"[^A-Za-z0-9.=+-]+", "_", self.name).strip("._")

    @property
    def title(self) -> str:
        """For tables and pages: of the run or the directory of replicas, and the condition."""
        return ", ".join(filter(None, [self.data.name, self.name]))


def is_set(path: Path) -> bool:
    """Whether a directory is one of replicas."""
    return path.is_dir() and bool(replica_directories(path))


def open_conditions(
    paths: Sequence[Path], options: Options | None = None, *, whole: bool = False
) -> list[Condition]:
    """The files or directories of one system, or of a directory of replicas, by condition.

    Several paths are replicas of one system, as in `open_dataset`; of a directory of replicas all
    of them are.

    Raises
    ------
    InputError
        As `open_dataset`; no replica has anything to measure yet; paths at different temperatures.
    """
    paths = [path.expanduser() for path in paths]
    if not any(is_set(path) for path in paths):
        data = open_dataset(paths, options, whole=whole)
        _require_one_temperature(data)
        _say_mixed(data)
        require_independent(data.sources)
        return [Condition("", data)]
    every = [one for path in paths for one in (replica_directories(path) or [path])]
    sets = [path for path in paths if is_set(path)]
    found, missing = _there(every)
    if not found:
        raise InputError(f"{sets[0]}: none of {len(every)} replicas has run yet; start it first")
    data = open_dataset(found, options, whole=whole)
    facts = [_facts(source) for source in data.sources]
    conditions = []
    for fact in dict.fromkeys(facts):
        alike = [one for one, other in zip(data.sources, facts, strict=True) if other == fact]
        require_independent(alike)
        chosen = _long_enough(alike)
        left_out = (*missing, *chosen.left_out)
        conditions.append(
            Condition(_name(fact, facts), replace(chosen, folder=sets[0], left_out=left_out))
        )
    return conditions


def one_condition(
    paths: Sequence[Path], options: Options | None = None, *, whole: bool = False
) -> Dataset:
    """As `open_conditions`, where there is one only.

    Raises
    ------
    InputError
        There are several.
    """
    found = open_conditions(paths, options, whole=whole)
    if len(found) > 1:
        names = "; ".join(one.name for one in found)
        raise InputError(
            f"{paths[0]} holds replicas of {len(found)} conditions ({names}), which aren't "
            "averaged; expected one: give the directories of the replicas of one of them"
        )
    return found[0].data


def _there(directories: Sequence[Path]) -> tuple[list[Path], list[LeftOut]]:
    """Those with a properties file; what is said of the others."""
    found, missing = [], []
    for directory in directories:
        source = Source(directory) if directory.is_dir() else None
        if source is not None and source.properties_files:
            found.append(directory)
        else:
            missing.append(LeftOut(directory.name, "it has written nothing yet"))
    return found, missing


def _facts(source: Source) -> tuple[Any, ...]:
    """What replicas must have in common: each as it is shown, or with its hash."""
    record = source.metadata.record
    plan, ensemble = record.get("plan") or {}, record.get("ensemble") or {}
    start = record.get("start") or {}
    structure = str(record.get("structure") or "")
    return (
        source.metadata.temperature_K,  # not what the user says of all of them
        (Path(structure).name, start.get("structure_sha256"), source.metadata.n_atoms),
        (str(plan.get("forces") or ""), plan.get("mts"), plan.get("inner_step_fs")),
        str(ensemble.get("name") or ""),
    )


def _name(fact: tuple[Any, ...], facts: Sequence[tuple[Any, ...]]) -> str:
    """The parts of a condition that not all have."""
    words = []
    for k, part in enumerate(fact):
        if all(other[k] == part for other in facts):
            continue
        if k == 0:
            words.append(f"{part:g} K" if part else "no temperature")
        elif k == 1:
            alike = {other[1] for other in facts if other[1][0] == part[0]}
            digest = f" {str(part[1] or '')[:8]}" if len(alike) > 1 else ""
            words.append(f"{part[0] or 'structure'}{digest}")
        elif k == 2:
            words.append(f"{part[0]} M = {part[1]}, {part[2]} fs")
        else:
            words.append(str(part))
    return ", ".join(words)


def _long_enough(sources: Sequence[Source]) -> Dataset:
    """Those that have at least half of the samples of the longest in their windows."""
    lengths = [_n_samples(source) for source in sources]
    enough = SHORTEST * max(lengths)
    kept = [one for one, n in zip(sources, lengths, strict=True) if n and n >= enough]
    left_out = [
        LeftOut(one.name, _why_short(one, n / max(*lengths, 1)), _runaway_ps(one))
        for one, n in zip(sources, lengths, strict=True)
        if one not in kept
    ]
    if not kept:
        raise InputError(
            f"{sources[0].directory.parent}: no replica is longer than what is discarded; run "
            "longer, or give a smaller --discard-ps"
        )
    return Dataset(tuple(kept), left_out=tuple(left_out))


def _n_samples(source: Source) -> int:
    """Rows of the properties file in the window; 0 of a run that ends before it."""
    try:
        window = source.window
        if source.table is None or not source.table.has("step"):
            return 1
        return int(window.of(source.table.column("step").astype(np.int64)).sum())
    except InputError:
        return 0


def _runaway_ps(source: Source) -> float | None:
    try:
        return source.window.runaway_ps
    except InputError:
        return None


def _why_short(source: Source, share: float) -> str:
    lost_ps = _runaway_ps(source)
    state, reason = state_of(source)
    how = f"lost at {lost_ps:.3g} ps" if lost_ps is not None else state
    return f"{how or 'it'} after {share:.0%} of the longest{f': {reason}' if reason else ''}"


def state_of(source: Source) -> tuple[str, str]:
    """How a run ended and why, by its record; empty where nothing says it."""
    record = source.metadata.record
    return str(record.get("state") or ""), str(record.get("reason") or "")


def replica_lines(data: Dataset) -> list[tuple[str, str]]:
    """Label and text: how many replicas, which haven't finished, which are left out."""
    n = len(data.sources) + len(data.left_out)
    if data.folder is None:
        return []
    lines = [("replicas", f"{len(data.sources)} of {n}" if data.left_out else f"{n}")]
    for source in data.sources:
        state, reason = state_of(source)
        if state not in ("", "finished"):
            lines.append(("", f"{source.name} {state}{f': {reason}' if reason else ''}; used"))
    lines += [("", f"{one.name} left out: {one.why}") for one in data.left_out]
    return lines


def _say_mixed(data: Dataset) -> None:
    """Runs with other forces, or in another ensemble, have no mean in common."""
    facts = {_facts(source)[2:]: source for source in data.sources if source.metadata.record}
    if len(facts) > 1:
        (fact, one), (other_fact, other) = list(facts.items())[:2]
        log.warning(
            "%s (%s) and %s (%s) are no replicas of each other: the mean over them is of neither; "
            "see 'ncforce compare'",
            one.path, _conditions(fact), other.path, _conditions(other_fact),
        )  # fmt: skip


def _conditions(fact: tuple[Any, ...]) -> str:
    """Forces and ensemble, in words."""
    (forces, mts, step_fs), ensemble = fact
    return f"{forces} M = {mts}, {step_fs} fs, {ensemble}"


def _require_one_temperature(data: Dataset) -> None:
    """Runs at different temperatures are no replicas."""
    found: dict[float, Source] = {}
    for source in data.sources if len(data.sources) > 1 else ():
        try:
            temperature_K = source.metadata.temperature_K
        except InputError:  # whoever needs it is told
            continue
        if temperature_K is not None:
            found.setdefault(temperature_K, source)
    if len(found) > 1:
        (one_K, one), (other_K, other) = list(found.items())[:2]
        raise InputError(
            f"{one.path} is at {one_K:g} K and {other.path} at {other_K:g} K; expected replicas "
            "at one temperature: give one of them, or see 'ncforce compare'"
        )
