"""g(r) and running coordination numbers of one or several trajectories."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.rdf import Rdf, largest_r, main_peak, radial_distributions
from ncforce_ipi.analysis.statistics import with_error
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.replicas import Given, Replica, open_replicas
from ncforce_ipi.result import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BIN_WIDTH_A = 0.02  # a fifth of the O-H peak's width
BLOCKS, MOST_FRAMES = 8, 256


def measure(
    paths: Sequence[Path], given: Given, *, r_max_A: float | None = None, n_bins: int | None = None
) -> Finding:
    """g(r) of all pairs of species; blocks of all trajectories together give the error.

    Raises
    ------
    InputError
        As `analysis.rdf.radial_distributions`.
    """
    replicas = open_replicas(paths, "positions", given)
    rdfs = distributions(replicas, r_max_A, n_bins)
    lines = [("frames", f"{next(iter(rdfs.values())).n_frames} in {len(replicas)} file(s)")]
    numbers: dict = {}
    for (a, b), rdf in rdfs.items():
        peak = main_peak(rdf)
        numbers[f"g_{a}{b}_peak_A"], numbers[f"g_{a}{b}_peak_height"] = peak.position, peak.height
        if math.isnan(peak.position):
            lines.append((f"g_{a}{b}(r)", "no peak"))
            continue
        at = int((abs(rdf.r_A - peak.position)).argmin())
        error = float(rdf.error[at])
        height = f"{peak.height:.3f}" if math.isnan(error) else with_error(peak.height, error)
        lines.append((f"g_{a}{b}(r)", f"{height} at {peak.position:.3f} A"))
    some = next(iter(rdfs.values()))
    half = 0.5 * float(some.r_A[1] - some.r_A[0]) if len(some.r_A) > 1 else float(some.r_A[0])
    numbers |= {"n_frames": some.n_frames, "r_max_A": float(some.r_A[-1]) + half}
    lines.append(("to", f"{numbers['r_max_A']:.4g} A in {len(some.r_A)} bins; g = 1 is an ideal gas"
                        " of as many atoms"))  # fmt: skip
    lines.append(("errors", "of heights: one standard error, from blocks of frames"))
    return Finding(lines, numbers, columns_of(rdfs), partial(_draw, rdfs))


def distributions(
    replicas: Sequence[Replica], r_max_A: float | None, n_bins: int | None
) -> dict[tuple[str, str], Rdf]:
    """g(r) over all frames after the discarded starts."""
    for replica in replicas:
        _ = replica.steps  # there are some, or this says so
    if r_max_A is None:
        r_max_A = BIN_WIDTH_A * math.floor(room_A(replicas) / BIN_WIDTH_A)
    if n_bins is None:
        n_bins = max(round(r_max_A / BIN_WIDTH_A), 1)
    return radial_distributions(_blocks(replicas), replicas[0].species, r_max_A, n_bins)


def room_A(replicas: Sequence[Replica]) -> float:
    """Half the smallest height that the cell has in any frame, A.

    Raises
    ------
    InputError
        A frame without a cell.
    """
    smallest = math.inf
    for replica in replicas:
        for cell in replica.trajectory.cells(replica.from_step):
            if not abs(np.linalg.det(cell)) > 0.0:
                raise InputError(
                    f"{replica.trajectory.path} has frames without a cell; expected a periodic "
                    "system: g(r) needs its volume"
                )
            smallest = min(smallest, largest_r(cell))
    return smallest


def columns_of(rdfs: dict[tuple[str, str], Rdf]) -> dict[str, NDArray]:
    """r, then g, its error and the running coordination number of each pair."""
    columns = {"r_A": next(iter(rdfs.values())).r_A}
    for (a, b), rdf in rdfs.items():
        columns |= {
            f"g_{a}{b}": rdf.g,
            f"g_{a}{b}_standard_error": rdf.error,
            f"n_{b}_around_{a}": rdf.coordination,
        }
    return columns


def _blocks(replicas: Sequence[Replica]) -> Iterator[tuple[NDArray, NDArray]]:
    for replica in replicas:
        per_block = min(max(len(replica.steps) // BLOCKS, 1), MOST_FRAMES)
        for block in replica.blocks(per_block):
            yield block.values, block.cells


def _draw(rdfs: dict[tuple[str, str], Rdf]) -> Figure:
    from ncforce_ipi.observables.figures import radial_distributions as draw

    return draw(rdfs, coordination=True)
