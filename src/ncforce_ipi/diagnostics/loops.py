"""Work of a force along a closed path: 0 if it is a gradient, whatever the path.

    W = oint F . dr = integral_0^1 F(r(s)) . dr/ds ds  ~  (1/n) sum_k F(r(k/n)) . dr/ds(k/n)

Equal steps are the best there is for a smooth periodic integrand: their error falls faster than any
power of 1/n (Simpson's rule, which weighs points differently, gains nothing and falls as n^-4).
Steps of 2/n, 4/n, ... are among the same points, so that convergence is seen at no cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ncforce_ipi.backend import Backend, Kind, Structure, Wanted
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.diagnostics.paths import Path
from ncforce_ipi.diagnostics.progress import Progress, silent
from ncforce_ipi.errors import InputError
from ncforce_ipi.evaluations import evaluate
from ncforce_ipi.reading.structures import Frame

FEWEST_POINTS = 8


@dataclass(frozen=True)
class Work:
    """Work along a path.

    Attributes
    ----------
    power : ``(n_points,)``, eV, F . dr/ds at equal steps of s
    """

    power: Array

    @property
    def total(self) -> float:
        """Work of the whole loop, eV."""
        return float(self.power.mean())

    @property
    def convergence(self) -> list[tuple[int, float]]:
        """Numbers of points n, n/2, n/4, ... as far as they are whole, and their work, eV."""
        found, every = [], 1
        while len(self.power) % every == 0 and len(self.power) // every >= FEWEST_POINTS:
            found.append((len(self.power) // every, float(self.power[::every].mean())))
            every *= 2
        return found

    @property
    def error(self) -> float:
        """Difference of work with half as many points, eV: more than the error of the total."""
        steps = self.convergence
        return abs(steps[0][1] - steps[1][1]) if len(steps) > 1 else float("nan")

    @property
    def cumulative(self) -> Array:
        """Work from 0 to s at each point and at 1 ``(n_points + 1,)``, eV.

        The integral of the trigonometric polynomial through all points.
        """
        n = len(self.power)
        c = np.fft.rfft(self.power) / n
        k = np.arange(1, len(c))
        c[1:] /= 2j * np.pi * k
        c[0] = 0.0
        if n % 2 == 0:
            c[-1] = 0.0  # the highest frequency's phase isn't known
        periodic = np.fft.irfft(c * n, n)
        line = self.total * np.arange(n + 1) / n
        return line + np.append(periodic, periodic[0]) - periodic[0]


@dataclass(frozen=True)
class LoopWork:
    """Work of forces along one path.

    Attributes
    ----------
    frame, path : names of the structure and of the path
    works : of each kind of force
    energy : ``(n_points,)``, eV, of the conservative forces; None without them
    """

    frame: str
    path: str
    works: Mapping[Kind, Work]
    energy: Array | None

    @property
    def energy_mismatch(self) -> float:
        """Largest |work from the start + change of the energy|, eV; NaN without energies."""
        if self.energy is None:
            return float("nan")
        work = self.works["conservative"].cumulative[:-1]
        return float(np.abs(work + self.energy - self.energy[0]).max())

    def to_dict(self) -> dict[str, Any]:
        """Work and its convergence, meV; NaN where there is no number."""
        return {
            "structure": self.frame,
            "path": self.path,
            "energy_mismatch_meV": 1e3 * self.energy_mismatch,
            **{
                kind: {
                    "work_meV": 1e3 * work.total,
                    "error_meV": 1e3 * work.error,
                    "convergence": [
                        {"n_points": n, "work_meV": 1e3 * w} for n, w in work.convergence
                    ],
                }
                for kind, work in self.works.items()
            },
        }


def measure_work(
    backend: Backend,
    paths: Sequence[tuple[Frame, Path]],
    *,
    kinds: frozenset[Kind] | None = None,
    n_points: int = 256,
    keep_net_force: bool = False,
    progress: Progress = silent,
) -> list[LoopWork]:
    """Work of a model's forces along closed paths.

    Parameters
    ----------
    paths : each with the structure that it starts from; see ``paths.random_paths``
    kinds : of force; None: all that the model has
    n_points : on each path, an even number of 16 or more
    keep_net_force : whether the mean stays in direct forces
    """
    wanted, found = kinds or backend.kinds, []
    with progress("loops", len(paths), "loops") as advance:
        for frame, path in paths:
            found.append(_along(backend, wanted, frame, path, n_points, keep_net_force))
            advance(len(found))
    return found


def _along(
    backend: Backend,
    kinds: frozenset[Kind],
    frame: Frame,
    path: Path,
    n_points: int,
    keep_net_force: bool,
) -> LoopWork:
    power: dict[Kind, list[float]] = {kind: [] for kind in sorted(kinds)}
    energies = []
    for positions, tangent in points(path, n_points):
        moved = Structure(frame.structure.numbers, positions, frame.structure.cell)
        for kind, evaluation in evaluate(backend, moved, Wanted(kinds)).items():
            f = evaluation.forces
            if kind == "direct" and not keep_net_force:
                f = f - f.mean(axis=0)
            power[kind].append(float(np.sum(f * tangent)))
            if kind == "conservative":
                energies.append(evaluation.energy)
    works = {kind: Work(np.array(values)) for kind, values in power.items()}
    return LoopWork(frame.name, path.name, works, np.array(energies) if energies else None)


def points(path: Path, n_points: int) -> list[tuple[Array, Array]]:
    """Positions and tangents at equal steps of s.

    Raises
    ------
    InputError
        Fewer than 16 points, or an odd number: nothing would be said of convergence.
    """
    if n_points < 2 * FEWEST_POINTS or n_points % 2:
        raise InputError(
            f"expected an even number of points, {2 * FEWEST_POINTS} or more, got {n_points}"
        )
    return [path.at(k / n_points) for k in range(n_points)]
