"""One page on a pair of force fields for multiple time stepping: text, JSON, CSV, figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ncforce_ipi import plots
from ncforce_ipi.diagnostics.files import number
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.diagnostics.pair import Agreement, Cost
from ncforce_ipi.diagnostics.resonance import (
    Complex,
    Modes,
    allowed,
    growth,
    half_trace,
    kinetic_ratio,
)
from ncforce_ipi.species import SYMBOLS
from ncforce_ipi.units import PER_FS_PER_CM

STRETCH_PER_CM = 2500.0  # above: stretches of bonds to H, the first to resonate
GROWING_PER_PS = 0.01  # e-fold in 100 ps: slower than any mode of a liquid keeps its phase
RESONANT_THETA = math.pi / 2  # below, |a| is near 1 because the mode hardly moves in a step
FASTEST = 2 / 3  # of the highest wavenumber: modes above are the fastest ones
DRAWN_M = (4, 8, 12)


@dataclass(frozen=True)
class Row:
    """What is expected of one M, over all structures.

    Attributes
    ----------
    mts : M
    margin : smallest 1 - |a| of any mode alone with theta > pi/2; below 0: unstable; NaN without
    margin_per_cm : wavenumber of that mode, 1/cm
    n_growing : mean number of modes of the coupled map that grow faster than 0.01/ps
    worst_per_ps : the largest rate, 1/ps
    total_per_ps : sum of rates, mean over structures, 1/ps
    temperature : kinetic temperature that steps give the fastest modes, over that of all; of those
        that are stable alone
    step_ms : model time of an inner step, ms
    """

    mts: int
    margin: float
    margin_per_cm: float
    n_growing: float
    worst_per_ps: float
    total_per_ps: float
    temperature: float
    step_ms: float


@dataclass(frozen=True)
class Page:
    """All that is said of a pair.

    Attributes
    ----------
    slow, fast : what they are
    n_structures, n_atoms : that forces were compared on; atoms of the first
    agreement, cost : of forces and of calls
    asymmetry : lambda of the fast force on each structure of ``modes``
    modes : of each structure that modes were taken of
    maps : for each of these, eigenvalues a of M = 1, 2, ...
    step_fs : inner step, fs
    """

    slow: str
    fast: str
    n_structures: int
    n_atoms: int
    agreement: Agreement
    cost: Cost
    asymmetry: list[float]
    modes: list[Modes]
    maps: list[list[Complex]]
    step_fs: float

    @property
    def rows(self) -> list[Row]:
        """One for each M from 1."""
        return [self._row(k + 1) for k in range(len(self.maps[0]))]

    def _row(self, mts: int) -> Row:
        a = [half_trace(each.omega, each.delta, mts, self.step_fs) for each in self.modes]
        margin = 1 - np.abs(np.concatenate(a))
        theta = mts * self.step_fs * np.concatenate([each.omega for each in self.modes])
        margin[theta < RESONANT_THETA] = np.inf
        place = int(margin.argmin())
        fast_enough = bool(np.isfinite(margin[place]))
        wavenumbers = np.concatenate([each.wavenumber_per_cm for each in self.modes])
        rates = [growth(found[mts - 1], mts, self.step_fs) for found in self.maps]
        return Row(
            mts,
            float(margin[place]) if fast_enough else math.nan,
            float(wavenumbers[place]) if fast_enough else math.nan,
            float(np.mean([(r > GROWING_PER_PS).sum() for r in rates])),
            float(max(r.max(initial=0.0) for r in rates)),
            float(np.mean([r.sum() for r in rates])),
            self._temperature(mts),
            self.cost.step_ms(mts),
        )

    def _temperature(self, mts: int) -> float:
        ratios = []
        for each in self.modes:
            fastest = each.omega > FASTEST * each.omega.max()
            found = kinetic_ratio(each.omega[fastest], each.delta[fastest], mts, self.step_fs)
            ratios.append(found[np.isfinite(found)])
        together = np.concatenate(ratios)
        return float(together.mean()) if len(together) else math.nan

    @property
    def largest(self) -> int | None:
        """Largest M at and below which no mode grows; None if M = 1 is none."""
        best = None
        for row in self.rows:
            if row.worst_per_ps > GROWING_PER_PS:
                break
            best = row.mts
        return best


def table(page: Page) -> str:
    """The page."""
    a, delta = page.agreement, np.concatenate([m.delta for m in page.modes])
    k = np.concatenate([m.wavenumber_per_cm for m in page.modes])
    species = ", ".join(f"{SYMBOLS[z]} {1e3 * v:.3g}" for z, v in a.rmse.items() if z)
    lines = [
        f"slow: {page.slow}",
        f"fast: {page.fast}",
        f"{page.n_structures} structure(s), the first of {page.n_atoms} atoms; modes of "
        f"{len(page.modes)}; inner step {page.step_fs:g} fs",
        "",
        f"slow - fast, RMSE      {1e3 * a.rmse[0]:.4g} meV/A ({species}), at most "
        f"{1e3 * a.largest:.3g}; the force itself {1e3 * a.force:.4g}",
        f"stiffness difference   {_deltas(delta, np.ones(len(k), bool))} in all {len(k)} modes",
    ]
    if (stretch := k > STRETCH_PER_CM).any():
        lines.append(f"  above {STRETCH_PER_CM:g} cm^-1    {_deltas(delta, stretch)}")
    lines += [
        f"lambda of the fast one {np.mean(page.asymmetry):.4g}",
        _cost_line(page.cost),
        "",
        "  M  M h, fs     margin  at cm^-1  growing modes  fastest, 1/ps  T of fast, %  "
        "ms/inner step  gain over slow",
    ]
    lines += [
        f"{r.mts:3d}  {r.mts * page.step_fs:7g}  {_text(r.margin, '9.2g')}  "
        f"{_text(r.margin_per_cm, '8.0f')}  "
        f"{r.n_growing:13.3g}  {r.worst_per_ps:13.2g}  "
        f"{_text(100 * r.temperature - 100, '+12.1f')}  {r.step_ms:13.3g}  "
        f"{page.cost.slow_ms / r.step_ms:14.2f}"
        for r in page.rows
    ]
    return "\n".join([*lines, "", verdict(page)])


def _text(value: float, form: str) -> str:
    width = form.lstrip("+").split(".")[0]
    return format(value, form) if math.isfinite(value) else f"{'-':>{width}}"


def _deltas(delta: Array, chosen: NDArray[np.bool_]) -> str:
    d = np.abs(delta[chosen])
    return f"|delta| {d.mean():.2g} in the mean, {d.max():.2g} at most"


def _cost_line(cost: Cost) -> str:
    both = f", both from one call {cost.joint_ms:.3g}" if cost.joint_ms is not None else ""
    return (
        f"cost                   slow {cost.slow_ms:.3g}, fast {cost.fast_ms:.3g} ms{both}: "
        f"F = {cost.ratio:.2f}"
    )


def verdict(page: Page) -> str:
    """In words: up to which M no mode resonates, and what this doesn't say."""
    if page.cost.ratio <= 1.0:
        gain = "; the fast force isn't the cheaper one: nothing to gain"
    elif page.largest is not None:
        ratio = page.cost.slow_ms / page.cost.step_ms(page.largest)
        gain = f", {ratio:.2f} times as fast as slow forces alone"
    else:
        gain = ""
    if page.largest is None:
        head = "No M is free of growing modes: these two don't go together at this step."
    elif page.largest == len(page.rows):
        head = f"No mode grows at any M up to {page.largest}{gain}."
    else:
        row = page.rows[page.largest]
        head = (
            f"No mode grows up to M = {page.largest} ({page.largest * page.step_fs:g} fs){gain}; "
            f"at M = {row.mts} the fastest grows by e in {1 / row.worst_per_ps:.2g} ps."
        )
    return (
        f"{head}\nT of fast: how far time steps alone put the kinetic temperature of modes above "
        "2/3 of\nthe highest wavenumber off that of others, in NVE or with a global thermostat.\n"
        "This is of small vibrations; heating by the asymmetry of the fast force rises "
        "with M besides.\n`ncforce tune` measures both in short runs."
    )


def record(page: Page) -> dict[str, Any]:
    """For JSON."""
    a = page.agreement
    names = {z: SYMBOLS[z] if z else "all" for z in a.rmse}
    return {
        "slow": page.slow,
        "fast": page.fast,
        "n_structures": page.n_structures,
        "inner_step_fs": page.step_fs,
        "rmse_meV_per_A": {names[z]: 1e3 * v for z, v in a.rmse.items()},
        "largest_difference_meV_per_A": 1e3 * a.largest,
        "slow_force_rms_meV_per_A": 1e3 * a.force,
        "lambda_fast": page.asymmetry,
        "cost": {
            "slow_ms": page.cost.slow_ms, "fast_ms": page.cost.fast_ms,
            "both_ms": page.cost.joint_ms, "F": page.cost.ratio,
        },
        "modes": [
            {"wavenumber_per_cm": m.wavenumber_per_cm.tolist(), "delta": m.delta.tolist(),
             "n_soft": m.n_soft}
            for m in page.modes
        ],
        "largest_M_without_growth": page.largest,
        "scan": [
            {
                "M": r.mts, "margin": number(r.margin),
                "margin_at_per_cm": number(r.margin_per_cm),
                "n_growing": r.n_growing, "fastest_growth_per_ps": r.worst_per_ps,
                "total_growth_per_ps": r.total_per_ps,
                "kinetic_temperature_of_fastest": number(r.temperature),
                "ms_per_inner_step": r.step_ms,
            }
            for r in page.rows
        ],
    }  # fmt: skip


def columns(page: Page) -> dict[str, Any]:
    """For CSV: the scan."""
    scan = record(page)["scan"]
    return {key: [row[key] for row in scan] for key in scan[0]}


def draw(page: Page, path: Path, provenance: Sequence[str]) -> Path:
    """Stiffness differences with what is allowed, growth and cost against M."""
    with plots.style():
        figure, (modes, rates, cost) = plots.figure(3, height_in=2.9)
        _draw_modes(modes, page)
        m = [r.mts for r in page.rows]
        rates.bar(m, [r.total_per_ps for r in page.rows], color=plots.colour("mts"))
        rates.set(ylabel="growth of all\nmodes (1/ps)")
        cost.plot(m, [r.step_ms for r in page.rows], "o-", ms=4, color=plots.colour("mts"))
        for name, value in (("slow", page.cost.slow_ms), ("fast", page.cost.fast_ms)):
            cost.axhline(value, color=plots.colour(name), linestyle="--", label=f"{name} only")
        cost.set(xlabel="M", ylabel="model time of an\ninner step (ms)", ylim=(0, None))
        cost.legend(loc="lower center", ncols=2)
        for panel in (rates, cost):
            panel.set_xlim(0.4, len(m) + 0.6)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        return plots.save(figure, path, provenance)


def _draw_modes(panel: Axes, page: Page) -> None:
    """|delta| of all modes; lines: the least |delta| that is unstable, for some M."""
    top = 0.0
    for each in page.modes:
        panel.plot(each.wavenumber_per_cm, np.abs(each.delta), ".", ms=3, color="0.5")
        top = max(top, each.wavenumber_per_cm.max())
    k = np.linspace(100.0, 1.02 * top, 2000)
    for rank, mts in enumerate(DRAWN_M):
        low, high = allowed(k / PER_FS_PER_CM * 2 * math.pi, mts, page.step_fs)
        limit = np.minimum(np.abs(low), np.abs(high))
        panel.plot(k, limit, color=plots.PALETTE[rank], label=f"M = {mts}", linewidth=1.2)
    panel.set(yscale="log", ylim=(1e-5, 3.0), xlim=(0, 1.02 * top))
    panel.set(xlabel=r"wavenumber (cm$^{-1}$)", ylabel=r"$|\delta|$, and least unstable")
    panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
