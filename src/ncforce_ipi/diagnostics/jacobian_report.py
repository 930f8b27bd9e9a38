"""Asymmetry of Jacobians as a table, JSON, CSV and a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ncforce_ipi import plots
from ncforce_ipi.analysis.statistics import with_error
from ncforce_ipi.backend import Kind
from ncforce_ipi.diagnostics.jacobian import Profile
from ncforce_ipi.diagnostics.survey import Survey
from ncforce_ipi.species import SYMBOLS

ROUNDING = 1e-5  # asymmetries below come from rounding, in powers of ten
NEGLIGIBLE = 1e-4  # of a value: an error that isn't worth a word
LOWEST_DRAWN = 1e-5  # of the largest block: what is below is rounding


def table(surveys: Sequence[Survey]) -> str:
    """One block of lines for each kind."""
    lines = []
    for survey in surveys:
        lines += [
            f"{survey.kind} forces, {len(survey.results)} structure(s) of "
            f"{' '.join(sorted({str(len(f.structure.numbers)) for f in survey.frames}))} atoms",
            f"  {survey.how}",
            f"  lambda            {_text(*survey.mean)}",
        ]
        if math.isfinite(survey.floor):
            lines.append(
                f"  noise of lambda   {survey.floor:.1e}, what a conservative model would have"
            )
        for a, b in survey.pairs:
            name = f"lambda, {SYMBOLS[a]}-{SYMBOLS[b]}"
            lines.append(f"  {name:17} {_text(*survey.pair((a, b)))}")
        for symbol, (mean, spread, most) in survey.atoms().items():
            lines.append(
                f"  atoms of {symbol:8} {mean:.3g} on average, spread {spread:.2g}, "
                f"largest {most:.3g}"
            )
    return "\n".join(lines)


def _text(value: float, error: float) -> str:
    if not (error > NEGLIGIBLE * value and math.isfinite(error)):
        return f"{value:.4g}"
    return with_error(value, error) if value > ROUNDING else f"{value:.2g} +- {error:.1g}"


def record(surveys: Sequence[Survey]) -> list[dict[str, Any]]:
    """For JSON: everything, with units in the names."""
    return [survey.to_dict() for survey in surveys]


def columns(surveys: Sequence[Survey]) -> Mapping[str, np.ndarray]:
    """For CSV: the profiles side by side."""
    result: dict[str, np.ndarray] = {}
    for survey in surveys:
        if (profile := survey.profile) is None:
            continue
        result["distance_A"] = profile.distance_A
        result[f"{survey.kind}_full_eV_per_A2"] = profile.full
        result[f"{survey.kind}_antisymmetric_eV_per_A2"] = profile.antisymmetric
        result[f"{survey.kind}_lambda"] = profile.ratio
        result[f"{survey.kind}_lambda_error"] = profile.error
    return result


def draw(surveys: Sequence[Survey], path: Path, provenance: Sequence[str]) -> Path:
    """Block norms and their ratio against distance."""
    with plots.style():
        figure, (norms, ratios) = plots.figure(2, share_x=True, height_in=3.2)
        top = 0.0
        for survey in surveys:
            if (profile := survey.profile) is not None:
                _draw_one(survey.kind, profile, norms, ratios)
                top = max(top, float(np.nanmax(profile.full)))
        norms.set(yscale="log", ylim=(LOWEST_DRAWN * top, 3 * top))
        norms.set_ylabel(r"block norm (eV/$\mathrm{\AA}^2$)")
        norms.legend()
        ratios.legend()
        ratios.set(ylim=(0.0, None), xlim=(0.0, None))
        ratios.set(xlabel=r"distance ($\mathrm{\AA}$)", ylabel=r"$\lambda_{ij}$")
        return plots.save(figure, path, provenance)


def _draw_one(kind: Kind, profile: Profile, norms: Axes, ratios: Axes) -> None:
    shade = plots.colour({"direct": "fast", "conservative": "slow"}[kind])
    r, seen = profile.distance_A, profile.full > 0
    norms.plot(r[seen], profile.full[seen], "o-", ms=4, color=shade, label=rf"{kind}, $|J_{{ij}}|$")
    if np.max(profile.antisymmetric[seen] / profile.full[seen], initial=0.0) > ROUNDING:
        label = rf"{kind}, $|J_{{ij}} - J_{{ji}}^T|/2$"
        norms.plot(r[seen], profile.antisymmetric[seen], "s--", ms=4, color=shade, label=label)
    ratios.errorbar(
        r[seen], profile.ratio[seen], np.nan_to_num(profile.error[seen]), fmt="o-", ms=4,
        color=shade, capsize=2, clip_on=False, label=kind,
    )  # fmt: skip
