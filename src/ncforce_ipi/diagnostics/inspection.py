"""What is known of a pair of forces for multiple time stepping, and the verdict at each M."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.diagnostics.resonance import Modes, half_trace, kinetic_ratio
from ncforce_ipi.diagnostics.sides import Agreement, Cost
from ncforce_ipi.diagnostics.stability import Growth
from ncforce_ipi.species import SYMBOLS

GROWING_PER_PS = 0.01  # e-fold in 100 ps: slower than any mode of a liquid keeps its phase
RESONANT_THETA = math.pi / 2  # below, |a| is near 1 because the mode hardly moves in a step
FASTEST = 2 / 3  # of the highest wavenumber: modes above are the fastest ones
Stability = Literal["stable", "grows", "open"]


@dataclass(frozen=True)
class Point:
    """What was found at one structure.

    Attributes
    ----------
    modes : of the fast force
    growth : for M = 1, 2, ...
    asymmetry, noise : lambda of the fast force, and what the noise of differences makes of it
    slow_noise : lambda of a conservative slow force, which is the noise of its differences; NaN
        where it wasn't needed
    species : for M = 1, 2, ..., kinetic temperature of each atomic number over that of all atoms
        (`ncforce_ipi.diagnostics.equipartition`); empty where only bonds were looked at
    """

    modes: Modes
    growth: Sequence[Growth]
    asymmetry: float
    noise: float = math.nan
    slow_noise: float = math.nan
    species: Sequence[Mapping[int, float]] = ()


@dataclass(frozen=True)
class Row:
    """What is expected of one M, over all structures.

    Attributes
    ----------
    mts : M
    margin : smallest 1 - |a| of any mode alone with theta > pi/2; below 0: unstable; NaN without
    margin_per_cm : wavenumber of that mode, 1/cm
    n_growing : mean number of modes of the coupled map that grow faster than 0.01/ps and than noise
        can explain
    worst_per_ps : the largest rate, 1/ps
    noise_per_ps : how far noise may have put it off, 1/ps
    total_per_ps : sum of rates, mean over structures, 1/ps
    stability : stable or grows where noise can't change that, else open
    temperature : kinetic temperature that steps give the fastest modes, over that of all; of those
        that are stable alone
    species : of each atomic number, kinetic temperature that steps give it over that of all, and
        standard error of the mean over structures; NaN of one structure
    step_ms : model time of an inner step, ms
    """

    mts: int
    margin: float
    margin_per_cm: float
    n_growing: float
    worst_per_ps: float
    noise_per_ps: float
    total_per_ps: float
    stability: Stability
    temperature: float
    species: Mapping[int, tuple[float, float]]
    step_ms: float


@dataclass(frozen=True)
class Inspection:
    """All that is said of a pair.

    Attributes
    ----------
    slow, fast : what they are
    n_structures, n_atoms : that forces were compared on; atoms of the first
    agreement, cost : of forces and of calls
    points : the structures that modes were taken of
    step_fs : inner step, fs
    """

    slow: str
    fast: str
    n_structures: int
    n_atoms: int
    agreement: Agreement
    cost: Cost
    points: Sequence[Point]
    step_fs: float

    @property
    def modes(self) -> list[Modes]:
        """Of each structure that modes were taken of."""
        return [point.modes for point in self.points]

    @property
    def rows(self) -> list[Row]:
        """One for each M from 1."""
        return [self._row(k + 1) for k in range(len(self.points[0].growth))]

    def _row(self, mts: int) -> Row:
        margin, wavenumber = self._margin(mts)
        found = [point.growth[mts - 1] for point in self.points]
        worst = max(found, key=lambda each: each.largest_per_ps)
        return Row(
            mts,
            margin,
            wavenumber,
            float(np.mean([_surely(each).sum() for each in found])),
            worst.largest_per_ps,
            max(each.noise_per_ps for each in found),
            float(np.mean([each.rates_per_ps.sum() for each in found])),
            _stability(found),
            self._temperature(mts),
            self._species(mts),
            self.cost.step_ms(mts),
        )

    def _margin(self, mts: int) -> tuple[float, float]:
        """Smallest 1 - |a| of modes alone and its wavenumber, 1/cm; NaN if all are slow."""
        a = [half_trace(each.omega, each.delta, mts, self.step_fs) for each in self.modes]
        margin = 1 - np.abs(np.concatenate(a))
        theta = mts * self.step_fs * np.concatenate([each.omega for each in self.modes])
        margin[theta < RESONANT_THETA] = np.inf
        if not np.isfinite(margin).any():
            return math.nan, math.nan
        place = int(margin.argmin())
        wavenumbers = np.concatenate([each.wavenumber_per_cm for each in self.modes])
        return float(margin[place]), float(wavenumbers[place])

    def _temperature(self, mts: int) -> float:
        ratios = []
        for each in self.modes:
            fastest = each.omega > FASTEST * each.omega.max(initial=0.0)
            ratio = kinetic_ratio(each.omega[fastest], each.delta[fastest], mts, self.step_fs)
            ratios.append(ratio[np.isfinite(ratio)])
        all_ratios = np.concatenate(ratios)
        return float(all_ratios.mean()) if len(all_ratios) else math.nan

    def _species(self, mts: int) -> dict[int, tuple[float, float]]:
        found = [point.species[mts - 1] for point in self.points if point.species]
        return {z: mean_and_error([each[z] for each in found if z in each]) for z in _keys(found)}

    @property
    def largest(self) -> int | None:
        """Largest M at and below which every M is stable; None if M = 1 isn't."""
        best = None
        for row in self.rows:
            if row.stability != "stable":
                break
            best = row.mts
        return best

    def to_dict(self) -> dict[str, Any]:
        """All numbers with units in their names; NaN where there is none."""
        a = self.agreement
        names = {z: SYMBOLS[z] if z else "all" for z in a.rmse}
        return {
            "slow": self.slow,
            "fast": self.fast,
            "n_structures": self.n_structures,
            "inner_step_fs": self.step_fs,
            "rmse_meV_per_A": {names[z]: 1e3 * v for z, v in a.rmse.items()},
            "largest_difference_meV_per_A": 1e3 * a.largest,
            "slow_force_rms_meV_per_A": 1e3 * a.force,
            "lambda_fast": [point.asymmetry for point in self.points],
            "lambda_fast_noise": [point.noise for point in self.points],
            "lambda_slow_noise": [point.slow_noise for point in self.points],
            "cost": {
                "slow_ms": self.cost.slow_ms, "fast_ms": self.cost.fast_ms,
                "both_ms": self.cost.joint_ms, "F": self.cost.ratio,
            },
            "modes": [
                {"wavenumber_per_cm": m.wavenumber_per_cm, "delta": m.delta, "n_soft": m.n_soft}
                for m in self.modes
            ],
            "largest_M_without_growth": self.largest,
            "scan": [
                {
                    "M": r.mts, "margin": r.margin, "margin_at_per_cm": r.margin_per_cm,
                    "n_growing": r.n_growing, "fastest_growth_per_ps": r.worst_per_ps,
                    "growth_noise_per_ps": r.noise_per_ps,
                    "total_growth_per_ps": r.total_per_ps, "stability": r.stability,
                    "kinetic_temperature_of_fastest": r.temperature,
                    **_named(r.species),
                    "ms_per_inner_step": r.step_ms,
                }
                for r in self.rows
            ],
        }  # fmt: skip


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean over structures and its standard error, NaN of one."""
    n = len(values)
    error = float(np.std(values, ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return float(np.mean(values)), error


def _keys(found: Sequence[Mapping[int, float]]) -> list[int]:
    return sorted({z for each in found for z in each})


def _named(species: Mapping[int, tuple[float, float]]) -> dict[str, float]:
    values = {f"kinetic_temperature_{SYMBOLS[z]}": v for z, (v, _) in species.items()}
    return values | {
        f"{key}_standard_error": species[z][1] for z, key in zip(species, values, strict=True)
    }


def _surely(growth: Growth) -> NDArray[np.bool_]:
    """Which modes grow, whatever the noise ``(n_modes,)``."""
    return growth.rates_per_ps - growth.noise_per_ps > GROWING_PER_PS


def _stability(found: Sequence[Growth]) -> Stability:
    if any(_surely(each).any() for each in found):
        return "grows"
    if all(each.largest_per_ps + each.noise_per_ps <= GROWING_PER_PS for each in found):
        return "stable"
    return "open"
