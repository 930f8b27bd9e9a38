"""A run directory as one line of a comparison.

Owns over which time the numbers are taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.drift import FEWEST_SAMPLES, Drift, before_runaway, fit_drift
from ncforce_ipi.analysis.statistics import Mean, mean_of
from ncforce_ipi.analysis.temperature import from_ipi
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.recipe import STRUCTURE_FILE
from ncforce_ipi.observables.comparison import Entry
from ncforce_ipi.observables.drift import series_of
from ncforce_ipi.reading.metadata import RECORD, Surroundings
from ncforce_ipi.reading.properties import Table
from ncforce_ipi.reading.replicas import Given, read_tables
from ncforce_ipi.species import SYMBOLS, read_species

DISCARD_PS = 0.1  # start of the temperatures: potential and kinetic energy come to terms


def read_entry(directory: Path, name: str = "", *, discard_ps: float = DISCARD_PS) -> Entry:
    """The numbers of one run.

    Parameters
    ----------
    directory : of ``ncforce run``, or of i-PI with a checkpoint
    name : empty for the directory's own
    discard_ps : ps, start left out of temperatures; half of a shorter run

    Raises
    ------
    InputError
        No properties file, or it lacks time and a temperature.
    """
    given = Given()
    ((table, around),) = read_tables([directory], given)
    series = series_of(table, around, given)
    time_ps, temperature_K = series.time_ps, series.temperature_K
    start_K = around.temperature_K or float(temperature_K[0])
    calm = before_runaway(temperature_K, start_K)
    late = calm & (time_ps >= min(discard_ps, 0.5 * float(time_ps[-1])))
    split, split_name = _split(table, around, _counts(directory, around), late)
    conserved_meV = series.conserved_meV
    return Entry(
        name=name or directory.absolute().name,
        record=_record(directory),
        n_atoms=series.n_atoms,
        time_ps=time_ps,
        conserved_meV=conserved_meV,
        temperature_K=temperature_K,
        runaway_ps=None if calm.all() else float(time_ps[np.argmin(calm)]),
        drift_conserved=None if conserved_meV is None else _drift(time_ps, conserved_meV, calm),
        drift_temperature=_drift(time_ps, temperature_K, late),
        temperature=mean_of(temperature_K[late]) if _enough(late) else None,
        split=split,
        split_name=split_name,
    )


def _record(directory: Path) -> Mapping[str, Any]:
    """``run.json``; empty where there is none, or another program's."""
    path = directory / RECORD
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise InputError(f"{path}: {err}; expected JSON as 'ncforce run' writes it") from err
    return record if isinstance(record, dict) and "plan" in record else {}


def _enough(chosen: NDArray[np.bool_]) -> bool:
    return bool(np.count_nonzero(chosen) >= FEWEST_SAMPLES)


def _drift(time_ps: NDArray, series: NDArray, chosen: NDArray[np.bool_]) -> Drift | None:
    return fit_drift(time_ps, series, up_to=chosen) if _enough(chosen) else None


def _counts(directory: Path, around: Surroundings) -> Mapping[str, int] | None:
    """Atoms of each species, of a checkpoint or the start structure."""
    structure = directory / STRUCTURE_FILE
    if around.counts is None and structure.is_file():
        return Counter(SYMBOLS[number] for number in read_species(structure))
    return around.counts


def _split(
    table: Table,
    around: Surroundings,
    counts: Mapping[str, int] | None,
    chosen: NDArray[np.bool_],
) -> tuple[Mean | None, str | None]:
    """T(lightest) - T(heaviest) and what to call it.

    From i-PI's columns without what it adds for the centre of mass; with that for path integrals.
    """
    masses_u = around.masses_u or {}
    by_mass = sorted(masses_u, key=lambda symbol: masses_u[symbol])
    if len(by_mass) < 2:
        return None, None
    light, heavy = by_mass[0], by_mass[-1]
    name = f"T({light})-T({heavy})"
    names = [f"temperature({symbol})" for symbol in (light, heavy)]
    if not all(table.has(column) for column in names) or not _enough(chosen):
        return None, name
    one, other = (table.column(column, "kelvin") for column in names)
    if around.n_beads > 1:
        return mean_of((one - other)[chosen]), name
    if counts is None or around.temperature_K is None:
        return None, name
    of_atoms = np.repeat(by_mass, [counts[symbol] for symbol in by_mass])
    every_u = np.array([masses_u[symbol] for symbol in of_atoms])
    ensemble_K, fixed = around.temperature_K, around.fixed_com
    one = from_ipi(one, every_u, of_atoms == light, ensemble_K, fixed_com=fixed)
    other = from_ipi(other, every_u, of_atoms == heavy, ensemble_K, fixed_com=fixed)
    return mean_of((one - other)[chosen]), name
