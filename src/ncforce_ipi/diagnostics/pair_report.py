"""One page on a pair of force fields for multiple time stepping: text, JSON, CSV, figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ncforce_ipi import plots
from ncforce_ipi.diagnostics.inspection import Inspection, Row
from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.diagnostics.resonance import SOFT_PER_CM, allowed
from ncforce_ipi.diagnostics.sides import Cost
from ncforce_ipi.species import SYMBOLS
from ncforce_ipi.units import PER_FS_PER_CM

STRETCH_PER_CM = 2500.0  # above: stretches of bonds to H, the first to resonate
DRAWN_M = (4, 8, 12)
NOISY_LAMBDA = 1e-8  # of exact products in float64; above: differences


def table(pair: Inspection) -> str:
    """The pair."""
    a, delta = pair.agreement, np.concatenate([m.delta for m in pair.modes])
    k = np.concatenate([m.wavenumber_per_cm for m in pair.modes])
    species = ", ".join(f"{SYMBOLS[z]} {1e3 * v:.3g}" for z, v in a.rmse.items() if z)
    lines = [
        f"slow: {pair.slow}",
        f"fast: {pair.fast}",
        f"{pair.n_structures} structure(s), the first of {pair.n_atoms} atoms; modes of "
        f"{len(pair.modes)}; inner step {pair.step_fs:g} fs",
        "",
        f"slow - fast            RMSE {1e3 * a.rmse[0]:.4g} meV/A ({species}), largest "
        f"{1e3 * a.largest:.3g} meV/A",
        f"slow force             RMS {1e3 * a.force:.4g} meV/A",
        f"stiffness difference   {_of_all(delta)}",
    ]
    if (stretch := k > STRETCH_PER_CM).any():
        lines.append(f"  above {STRETCH_PER_CM:g} cm^-1    {_deltas(delta, stretch)}")
    lines += [
        f"lambda of fast force   {np.mean([p.asymmetry for p in pair.points]):.4g}",
        *_noise_lines(pair),
        _cost_line(pair.cost),
        "",
        "  M  M h, fs     margin  at cm^-1  growing modes  fastest, 1/ps  verdict  T of fast, %  "
        + "".join(f"{f'T({SYMBOLS[z]}), %':>9}  " for z in _several(pair))
        + "ms/inner step  gain over slow",
    ]
    lines += [_row(pair, row) for row in pair.rows]
    return "\n".join([*lines, "", verdict(pair)])


def _row(pair: Inspection, r: Row) -> str:
    return (
        f"{r.mts:3d}  {r.mts * pair.step_fs:7g}  {_text(r.margin, '9.2g')}  "
        f"{_text(r.margin_per_cm, '8.0f')}  "
        f"{r.n_growing:13.3g}  {r.worst_per_ps:13.2g}  {r.stability:7}  "
        f"{_text(100 * r.temperature - 100, '+12.1f')}  "
        + "".join(f"{100 * r.species[z][0] - 100:+9.2f}  " for z in _several(pair))
        + f"{r.step_ms:13.3g}  "
        f"{pair.cost.slow_ms / r.step_ms:14.2f}"
    )


def _several(pair: Inspection) -> list[int]:
    """Atomic numbers of the species; none where there is one alone, or only bonds are known."""
    species = list(pair.rows[0].species)
    return species if len(species) > 1 else []


def _noise_lines(pair: Inspection) -> list[str]:
    """What finite differences made of lambda; none of exact products."""
    lines = []
    for name, values in (
        ("fast", [p.noise for p in pair.points]),
        ("slow", [p.slow_noise for p in pair.points]),
    ):
        if (known := [v for v in values if math.isfinite(v)]) and max(known) > NOISY_LAMBDA:
            lines.append(f"  noise of it, {name}    {max(known):.1e}, from finite differences")
    return lines


def _text(value: float, form: str) -> str:
    width = form.lstrip("+").split(".")[0]
    return format(value, form) if math.isfinite(value) else f"{'-':>{width}}"


def _of_all(delta: Array) -> str:
    if not len(delta):
        return f"not known: no mode is above {SOFT_PER_CM:g} cm^-1"
    return f"{_deltas(delta, np.ones(len(delta), bool))} in all {len(delta)} modes"


def _deltas(delta: Array, chosen: NDArray[np.bool_]) -> str:
    d = np.abs(delta[chosen])
    return f"|delta| {d.mean():.2g} on average, {d.max():.2g} at most"


def _cost_line(cost: Cost) -> str:
    both = f", both from one call {cost.joint_ms:.3g}" if cost.joint_ms is not None else ""
    return (
        f"cost                   slow {cost.slow_ms:.3g}, fast {cost.fast_ms:.3g} ms{both}: "
        f"F = {cost.ratio:.2f}"
    )


def verdict(pair: Inspection) -> str:
    """In words: up to which M no mode grows, and what this doesn't say."""
    lines = [_head(pair)]
    open_ones = [str(row.mts) for row in pair.rows if row.stability == "open"]
    if open_ones:
        lines.append(
            f"Open for M = {', '.join(open_ones)}: modes may grow there or not, the noise of the\n"
            "finite differences is too large to say. Forces in float64 would decide it."
        )
    lines += [
        "T of fast: by how much the time step alone changes the kinetic temperature of the fastest",
        "modes (above 2/3 of the highest wavenumber), in NVE or with a global thermostat.",
        *_species_lines(pair),
        "The scan knows small vibrations only. The asymmetry of the fast force heats besides, and",
        "more so at larger M. `ncforce tune` measures both in short runs.",
    ]
    return "\n".join(lines)


def _species_lines(pair: Inspection) -> list[str]:
    if not (species := _several(pair)):
        return []
    names = ", ".join(f"T({SYMBOLS[z]})" for z in species)
    return [f"{names}: the same of each species' atoms, over T of all atoms."]


def _head(pair: Inspection) -> str:
    rows, largest = pair.rows, pair.largest
    if largest is None:
        if rows[0].stability == "open":
            return "No M is known to be free of growing modes."
        return "Modes grow at M = 1 already: don't combine these two forces at this inner step."
    if largest == len(rows):
        return f"No mode grows at any M up to {largest}{_gain(pair, largest)}."
    head = f"No mode grows up to M = {largest} ({largest * pair.step_fs:g} fs)"
    row = rows[largest]
    if row.stability == "open":
        return f"{head}{_gain(pair, largest)}."
    return (
        f"{head}{_gain(pair, largest)}.\n"
        f"At M = {row.mts} the fastest mode grows by a factor e in {1 / row.worst_per_ps:.2g} ps."
    )


def _gain(pair: Inspection, mts: int) -> str:
    if pair.cost.ratio <= 1.0:
        return ", but the fast force isn't the cheaper one: there is nothing to gain"
    ratio = pair.cost.slow_ms / pair.cost.step_ms(mts)
    return f"; {ratio:.2f} times as fast as slow forces alone"


def record(pair: Inspection) -> dict[str, Any]:
    """For JSON."""
    return pair.to_dict()


def columns(pair: Inspection) -> dict[str, Any]:
    """For CSV: the scan."""
    scan = record(pair)["scan"]
    return {key: [row[key] for row in scan] for key in scan[0]}


def draw(pair: Inspection, path: Path, provenance: Sequence[str]) -> Path:
    """Stiffness differences with what is allowed, growth and cost against M."""
    with plots.style():
        figure, (modes, rates, cost) = plots.figure(3, height_in=2.9)
        _draw_modes(modes, pair)
        m = [r.mts for r in pair.rows]
        rates.bar(m, [r.total_per_ps for r in pair.rows], color=plots.colour("mts"))
        rates.set(ylabel="growth of all\nmodes (1/ps)")
        cost.plot(m, [r.step_ms for r in pair.rows], "o-", ms=4, color=plots.colour("mts"))
        for name, value in (("slow", pair.cost.slow_ms), ("fast", pair.cost.fast_ms)):
            cost.axhline(value, color=plots.colour(name), linestyle="--", label=f"{name} only")
        cost.set(xlabel="M", ylabel="model time of an\ninner step (ms)", ylim=(0, None))
        cost.legend(loc="lower center", ncols=2)
        for panel in (rates, cost):
            panel.set_xlim(0.4, len(m) + 0.6)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        return plots.save(figure, path, provenance)


def _draw_modes(panel: Axes, pair: Inspection) -> None:
    """|delta| of all modes; lines: the least |delta| that is unstable, for some M."""
    top = 0.0
    for each in pair.modes:
        panel.plot(each.wavenumber_per_cm, np.abs(each.delta), ".", ms=3, color="0.5")
        top = max(top, each.wavenumber_per_cm.max(initial=2 * SOFT_PER_CM))
    k = np.linspace(100.0, 1.02 * top, 2000)
    for rank, mts in enumerate(DRAWN_M):
        low, high = allowed(k / PER_FS_PER_CM * 2 * math.pi, mts, pair.step_fs)
        limit = np.minimum(np.abs(low), np.abs(high))
        panel.plot(k, limit, color=plots.PALETTE[rank], label=f"M = {mts}", linewidth=1.2)
    panel.set(yscale="log", ylim=(1e-5, 3.0), xlim=(0, 1.02 * top))
    panel.set(xlabel=r"wavenumber (cm$^{-1}$)", ylabel=r"$|\delta|$, and least unstable")
    panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
