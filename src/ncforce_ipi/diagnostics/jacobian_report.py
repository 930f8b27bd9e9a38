"""Asymmetry of Jacobians as a table, JSON, CSV and a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ncforce_ipi import plots
from ncforce_ipi.analysis.statistics import with_error
from ncforce_ipi.backend import Kind
from ncforce_ipi.diagnostics.files import number, numbers
from ncforce_ipi.diagnostics.frames import Frame
from ncforce_ipi.diagnostics.jacobian import Profile, profile
from ncforce_ipi.diagnostics.survey import Found
from ncforce_ipi.species import SYMBOLS

ROUNDING = 1e-5  # asymmetries below come from rounding, in powers of ten
NEGLIGIBLE = 1e-4  # of a value: an error that isn't worth a word
LOWEST_DRAWN = 1e-5  # of the largest block: what is below is rounding


@dataclass(frozen=True)
class Survey:
    """What was found of one kind of force on all structures.

    Attributes
    ----------
    kind : of force
    how : products were obtained
    frames, found : ``(n_frames,)``
    seconds : it took
    """

    kind: Kind
    how: str
    frames: Sequence[Frame]
    found: Sequence[Found]
    seconds: float

    @property
    def mean(self) -> tuple[float, float]:
        """Lambda and its standard error: over structures, or of the estimate if there is one."""
        return _mean([f.value for f in self.found], [f.error for f in self.found])

    def pair(self, pair: tuple[int, int]) -> tuple[float, float]:
        """Lambda between two species, likewise, over the structures that have both."""
        here = [f.pairs[pair] for f in self.found if pair in f.pairs]
        return _mean([value for value, _ in here], [error for _, error in here])

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of atomic numbers that any structure has."""
        return sorted({pair for f in self.found for pair in f.pairs})

    @property
    def profile(self) -> Profile | None:
        """Against distance, of all structures; None if there were no shells."""
        units = [shells for f in self.found for shells in f.shells]
        return profile(units) if units else None

    def atoms(self) -> dict[str, tuple[float, float, float]]:
        """Mean, standard deviation and maximum of lambda_i by species; none where estimated."""
        z = np.concatenate([frame.structure.numbers for frame in self.frames])
        value = np.concatenate([f.per_atom for f in self.found])
        known = np.isfinite(value)
        return {
            SYMBOLS[s]: (float(v.mean()), float(v.std()), float(v.max()))
            for s in np.unique(z[known])
            for v in [value[known & (z == s)]]
        }


def _mean(values: list[float], errors: list[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], errors[0]
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))


def table(surveys: Sequence[Survey]) -> str:
    """One block of lines for each kind."""
    lines = []
    for survey in surveys:
        lines += [
            f"{survey.kind} forces, {len(survey.found)} structure(s) of "
            f"{' '.join(sorted({str(len(f.structure.numbers)) for f in survey.frames}))} atoms",
            f"  {survey.how}",
            f"  lambda            {_text(*survey.mean)}",
        ]
        floor = max(f.floor for f in survey.found)
        if math.isfinite(floor):
            lines.append(f"  noise of it       {floor:.1e}, what a conservative model would have")
        for a, b in survey.pairs:
            name = f"lambda, {SYMBOLS[a]}-{SYMBOLS[b]}"
            lines.append(f"  {name:17} {_text(*survey.pair((a, b)))}")
        for symbol, (mean, spread, most) in survey.atoms().items():
            lines.append(
                f"  per atom, {symbol:7} {mean:.3g} in the mean, spread {spread:.2g}, "
                f"at most {most:.3g}"
            )
    return "\n".join(lines)


def _text(value: float, error: float) -> str:
    if not (error > NEGLIGIBLE * value and math.isfinite(error)):
        return f"{value:.4g}"
    return with_error(value, error) if value > ROUNDING else f"{value:.2g} +- {error:.1g}"


def record(surveys: Sequence[Survey]) -> list[dict[str, Any]]:
    """For JSON: everything, with units in the names."""
    return [
        {
            "kind": survey.kind,
            "products": survey.how,
            "seconds": survey.seconds,
            "lambda": survey.mean[0],
            "lambda_error": number(survey.mean[1]),
            "lambda_noise": number(max(f.floor for f in survey.found)),
            "lambda_of_species_pairs": {
                f"{SYMBOLS[a]}-{SYMBOLS[b]}": {
                    "lambda": survey.pair((a, b))[0], "error": number(survey.pair((a, b))[1]),
                }
                for a, b in survey.pairs
            },
            "profile": _profile_record(survey.profile),
            "structures": [
                {
                    "name": frame.name,
                    "n_atoms": len(frame.structure.numbers),
                    "lambda": f.value,
                    "lambda_error": f.error,
                    "norm_eV_per_A2": f.full,
                    "n_products": f.n_products,
                    "lambda_of_atoms": numbers(f.per_atom),
                }
                for frame, f in zip(survey.frames, survey.found, strict=True)
            ],
        }
        for survey in surveys
    ]  # fmt: skip


def _profile_record(found: Profile | None) -> dict[str, list[float | None]] | None:
    if found is None:
        return None
    return {
        "distance_A": numbers(found.distance_A),
        "n_pairs": numbers(found.n_pairs),
        "antisymmetric_eV_per_A2": numbers(found.antisymmetric),
        "full_eV_per_A2": numbers(found.full),
        "lambda": numbers(found.ratio),
        "lambda_error": numbers(found.error),
    }


def columns(surveys: Sequence[Survey]) -> Mapping[str, np.ndarray]:
    """For CSV: the profiles side by side."""
    result: dict[str, np.ndarray] = {}
    for survey in surveys:
        if (found := survey.profile) is None:
            continue
        result["distance_A"] = found.distance_A
        result[f"{survey.kind}_full_eV_per_A2"] = found.full
        result[f"{survey.kind}_antisymmetric_eV_per_A2"] = found.antisymmetric
        result[f"{survey.kind}_lambda"] = found.ratio
        result[f"{survey.kind}_lambda_error"] = found.error
    return result


def draw(surveys: Sequence[Survey], path: Path, provenance: Sequence[str]) -> Path:
    """Block norms and their ratio against distance."""
    with plots.style():
        figure, (norms, ratios) = plots.figure(2, share_x=True, height_in=3.2)
        top = 0.0
        for survey in surveys:
            if (found := survey.profile) is not None:
                _draw_one(survey.kind, found, norms, ratios)
                top = max(top, float(np.nanmax(found.full)))
        norms.set(yscale="log", ylim=(LOWEST_DRAWN * top, 3 * top))
        norms.set_ylabel(r"block norm (eV/$\mathrm{\AA}^2$)")
        norms.legend()
        ratios.legend()
        ratios.set(ylim=(0.0, None), xlim=(0.0, None))
        ratios.set(xlabel=r"distance ($\mathrm{\AA}$)", ylabel=r"$\lambda_{ij}$")
        return plots.save(figure, path, provenance)


def _draw_one(kind: Kind, found: Profile, norms: Axes, ratios: Axes) -> None:
    shade = plots.colour({"direct": "fast", "conservative": "slow"}[kind])
    r, seen = found.distance_A, found.full > 0
    norms.plot(r[seen], found.full[seen], "o-", ms=4, color=shade, label=rf"{kind}, $|J_{{ij}}|$")
    if np.max(found.antisymmetric[seen] / found.full[seen], initial=0.0) > ROUNDING:
        label = rf"{kind}, $|J_{{ij}} - J_{{ji}}^T|/2$"
        norms.plot(r[seen], found.antisymmetric[seen], "s--", ms=4, color=shade, label=label)
    ratios.errorbar(
        r[seen], found.ratio[seen], np.nan_to_num(found.error[seen]), fmt="o-", ms=4,
        color=shade, capsize=2, clip_on=False, label=kind,
    )  # fmt: skip
