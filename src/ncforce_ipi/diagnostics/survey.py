"""The asymmetry of a force on structures, by the method that suits their size.

Owns the choice between the whole Jacobian and estimators, and between differentiation and central
differences.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ncforce_ipi.backend import Backend, Kind, Structure, Wanted
from ncforce_ipi.diagnostics import jacobian
from ncforce_ipi.diagnostics.asymmetry import Asymmetry, estimated, n_products, whole
from ncforce_ipi.diagnostics.finite_differences import (
    Differences,
    choose_step,
    collective,
    columns,
)
from ncforce_ipi.diagnostics.jacobian import Profile
from ncforce_ipi.diagnostics.probing import Plan
from ncforce_ipi.diagnostics.products import (
    Products,
    WithoutNetForce,
)
from ncforce_ipi.diagnostics.progress import Progress, silent
from ncforce_ipi.errors import InputError
from ncforce_ipi.evaluations import evaluate_all
from ncforce_ipi.reading.structures import Frame, as_frames
from ncforce_ipi.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms

FEWEST_FRAMES = 4
"""Fewer structures than this and their spread says less than their own errors."""
SEEDS_APART = 1_000_003
WHOLE_UP_TO = 400  # atoms: 1200 products, a minute or two for a small network


@dataclass(frozen=True)
class Options:
    """How the asymmetry is measured.

    Attributes
    ----------
    method : the whole matrix (auto: up to 400 atoms) or an estimate with a fixed number of products
    products : by differentiation (auto: where the model allows) or by central differences
    float64 : turn a differentiable model to float64, for good
    step_A : step of differences, A; None: the best one for each structure
    n_probes : random vectors for each species, of an estimate
    n_rounds : of block probing, which gives an estimate of lambda against distance; 0: none
    r_max_A, bin_A : range and width of the shells of distance, A
    seed : of probes
    keep_net_force : whether the mean stays in direct forces
    """

    method: Literal["auto", "whole", "estimate"] = "auto"
    products: Literal["auto", "exact", "differences"] = "auto"
    float64: bool = True
    step_A: float | None = None
    n_probes: int = 16
    n_rounds: int = 16
    r_max_A: float = 8.0
    bin_A: float = 0.25
    seed: int = 0
    keep_net_force: bool = False

    def __post_init__(self) -> None:
        for name, value in (("bin_A", self.bin_A), ("r_max_A", self.r_max_A)):
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name}: expected a positive length in A, got {value}")
        if self.step_A is not None and not 0 < self.step_A < 1:
            raise InputError(f"step_A: expected a small positive length in A, got {self.step_A}")
        if self.n_rounds < 0:
            raise InputError(f"n_rounds: expected 0 or more, got {self.n_rounds}")

    def whole(self, structure: Structure) -> bool:
        """Whether the whole matrix is taken."""
        small = len(structure.positions) <= WHOLE_UP_TO
        return self.method == "whole" or (self.method == "auto" and small)

    def exact(self, backend: Backend) -> bool:
        """Whether products are differentiated.

        Raises
        ------
        InputError
            They must be and can't; they are, and a step of differences was given.
        """
        able = backend.differentiable
        if self.products == "exact" and not able:
            raise InputError(
                f"{backend.description} can't be differentiated here; use --products differences"
            )
        exact = able and self.products != "differences"
        if exact and self.step_A is not None:
            raise InputError(
                f"--step-A is the step of differences, and {backend.description} is differentiated "
                "exactly; add --products differences, or leave it out"
            )
        return exact


@dataclass(frozen=True)
class Survey:
    """The asymmetry of one kind of force on all structures.

    Attributes
    ----------
    kind : of force
    how : products were obtained
    frames, results : ``(n_frames,)``
    seconds : it took
    """

    kind: Kind
    how: str
    frames: Sequence[Frame]
    results: Sequence[Asymmetry]
    seconds: float

    @property
    def mean(self) -> tuple[float, float]:
        """Lambda and its standard error: over structures, or of the estimate if there is one."""
        return _mean([one.value for one in self.results], [one.error for one in self.results])

    @property
    def floor(self) -> float:
        """The largest noise of lambda; NaN of exact products."""
        return max(one.floor for one in self.results)

    def pair(self, pair: tuple[int, int]) -> tuple[float, float]:
        """Lambda and its standard error between two species, over structures with both."""
        here = [one.pairs[pair] for one in self.results if pair in one.pairs]
        return _mean([value for value, _ in here], [error for _, error in here])

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of atomic numbers that any structure has."""
        return sorted({pair for one in self.results for pair in one.pairs})

    @property
    def profile(self) -> Profile | None:
        """Lambda against distance, of all structures; None if there were no shells."""
        units = [shells for one in self.results for shells in one.shells]
        return jacobian.profile(units) if units else None

    def atoms(self) -> dict[str, tuple[float, float, float]]:
        """Mean, standard deviation and maximum of lambda_i by species; none where estimated."""
        z = np.concatenate([frame.structure.numbers for frame in self.frames])
        value = np.concatenate([one.per_atom for one in self.results])
        known = np.isfinite(value)
        return {
            SYMBOLS[s]: (float(v.mean()), float(v.std()), float(v.max()))
            for s in np.unique(z[known])
            for v in [value[known & (z == s)]]
        }

    def to_dict(self) -> dict[str, Any]:
        """All numbers with units in their names; NaN where there is none."""
        return {
            "kind": self.kind,
            "products": self.how,
            "seconds": self.seconds,
            "lambda": self.mean[0],
            "lambda_error": self.mean[1],
            "lambda_noise": self.floor,
            "lambda_of_species_pairs": {
                f"{SYMBOLS[a]}-{SYMBOLS[b]}": dict(
                    zip(("lambda", "error"), self.pair((a, b)), strict=True)
                )
                for a, b in self.pairs
            },
            "profile": self.profile.to_dict() if self.profile else None,
            "structures": [
                {"name": frame.name, "n_atoms": len(frame.structure.numbers), **one.to_dict()}
                for frame, one in zip(self.frames, self.results, strict=True)
            ],
        }


def _mean(values: list[float], errors: list[float]) -> tuple[float, float]:
    """Mean and standard error by the spread; of two or three not less than by their own errors."""
    if len(values) == 1:
        return values[0], errors[0]
    error = float(np.std(values, ddof=1) / math.sqrt(len(values)))
    if len(values) < FEWEST_FRAMES:
        error = max(error, math.hypot(*errors) / len(values))
    return float(np.mean(values)), error


def measure_asymmetry(
    backend: Backend,
    structures: Sequence[Frame | Structure | Atoms],
    kind: Kind,
    options: Options | None = None,
    progress: Progress = silent,
) -> Survey:
    """Measure lambda = ||(J - J^T)/2|| / ||J|| of one kind of force, J = dF/dr.

    Parameters
    ----------
    backend : the model; turned to float64 where ``options`` say so
    structures : ours or ASE's, one or more
    kind : of force

    Raises
    ------
    InputError
        The model has no such forces, or can't be differentiated where it must be.
    """
    options, frames, start = options or Options(), as_frames(structures), time.perf_counter()
    if kind not in backend.kinds:
        raise InputError(
            f"{backend.description} has no {kind} forces; it has {' and '.join(backend.kinds)}"
        )
    if options.exact(backend) and options.float64 and backend.castable:
        backend.to_float64()
    results, how = [], ""
    for number, frame in enumerate(frames):
        # probes of their own, so that their errors are in the spread over structures
        own = replace(options, seed=options.seed + SEEDS_APART * number)
        products, floor = _products(backend, frame.structure, kind, own)
        results.append(_measure(products, frame, floor, own, progress))
        how = products.description
    return Survey(kind, how, frames, results, time.perf_counter() - start)


def _products(
    backend: Backend, structure: Structure, kind: Kind, options: Options
) -> tuple[Products, float]:
    """Products, and the lambda that their noise makes."""
    floor = math.nan
    products: Products
    if options.exact(backend):
        products = backend.jacobian_products(structure, kind)
    else:
        wanted = Wanted(frozenset([kind]))

        def forces(several: np.ndarray) -> np.ndarray:
            moved = [Structure(structure.numbers, r, structure.cell) for r in several]
            return np.array([one[kind].forces for one in evaluate_all(backend, moved, wanted)])

        step = options.step_A
        if step is None:
            vectors = (columns if options.whole(structure) else collective)(
                len(structure.positions), options.seed
            )
            chosen = choose_step(forces, structure.positions, vectors, several=True)
            step, floor = chosen.step_A, chosen.lambda_floor
        products = Differences(forces, structure.positions, step, several=True)
    if kind == "direct" and not options.keep_net_force:
        products = WithoutNetForce(products)
    return products, floor


def _measure(
    products: Products, frame: Frame, floor: float, options: Options, progress: Progress
) -> Asymmetry:
    edges = np.arange(0.0, options.r_max_A + 0.5 * options.bin_A, options.bin_A)
    if options.whole(frame.structure):
        with progress(frame.name, 3 * products.n_atoms, "products") as advance:
            return whole(products, frame.structure, edges, floor, advance)
    plan = Plan(edges, options.n_rounds, options.seed)
    total = n_products(products, frame.structure, plan, options.n_probes)
    with progress(frame.name, total, "products") as advance:
        return estimated(products, frame.structure, plan, options.n_probes, floor, advance)
