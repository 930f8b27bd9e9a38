"""What a check is told: the model, a structure, how exact the model is; and how it complains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ContractError, ModelError


@dataclass(frozen=True)
class Limits:
    """How exact a model is, and what it can't take.

    Attributes
    ----------
    rounding : of forces, eV/A, and of virials and energies, eV, between equivalent structures;
        1e-10 is that of float64 with positions of 10 A and stiffnesses of 100 eV/A^2
    step_A : of the finite differences of the energy
    slope_error : of these, eV/A: step_A^2 F'' / 6 ~ 1e-8, and the energy's rounding / step_A;
        virials may be off by ten times that, lengths being of 10 A
    repeatable : the same structure gives the same bits
    needs_cell : a molecule without a cell is refused in one line
    needs_neighbors : an atom without a neighbour is refused in one line
    truncates : only the nearest neighbours count, so that equal distances make an arbitrary choice
    removes_torque : direct forces of a molecule without a cell have no torque; with one they may
    blurs_axes : rotations are inexact for bonds along an axis: symmetric sites have a force
    """

    rounding: float = 1e-10
    step_A: float = 1e-4
    slope_error: float = 1e-6
    repeatable: bool = True
    needs_cell: bool = False
    needs_neighbors: bool = False
    truncates: bool = False
    removes_torque: bool = False
    blurs_axes: bool = False


FLOAT64 = Limits()
FLOAT32 = Limits(rounding=1e-4, step_A=5e-3, slope_error=2e-2)
"""For energies of some 10 eV: their rounding is 1e-6 eV, and 2e-4 eV/A after a step of 5e-3 A."""


@dataclass(frozen=True)
class Setting:
    """What a check looks at.

    Attributes
    ----------
    backend : the model
    structure : of a few atoms, with three lattice vectors
    limits : of the model
    """

    backend: Backend
    structure: Structure
    limits: Limits = FLOAT64

    @property
    def everything(self) -> Wanted:
        """All that the model can give."""
        return self.wanted(*self.backend.kinds)

    def wanted(self, *kinds: Kind) -> Wanted:
        """These kinds, with what can come with them."""
        if "direct" not in kinds:
            return Wanted(frozenset(kinds))
        virial = "direct" in self.backend.stress
        return Wanted(frozenset(kinds), self.backend.direct_energy, virial)

    def has_energy(self, kind: Kind) -> bool:
        """Whether these forces come with an energy."""
        return kind == "conservative" or self.backend.direct_energy

    def molecule(self) -> Structure:
        """The atoms without a cell."""
        return replace(self.structure, cell=np.zeros((3, 3)))

    def lonely(self) -> Structure:
        """One atom, in nothing or in a cell in which it doesn't see its images."""
        cell = np.eye(3) * (60.0 if self.limits.needs_cell else 0.0)
        return Structure(self.structure.numbers[-1:], np.full((1, 3), 30.0), cell)

    def close(self, what: str, got: ArrayLike, expected: ArrayLike, factor: float = 1.0) -> None:
        """Complain unless they are equal up to rounding times a factor."""
        close(what, got, expected, factor * self.limits.rounding, "the model's rounding")

    def same(
        self, what: str, got: Evaluation, expected: Evaluation, kind: Kind, factor: float = 1.0
    ) -> None:
        """Complain unless forces and what comes with them are equal up to rounding."""
        self.close(f"{kind} forces {what}", got.forces, expected.forces, factor)
        if kind in self.backend.stress:
            self.close(f"{kind} virial {what}", got.virial, expected.virial, factor)
        if self.has_energy(kind):
            self.close(f"energy of {kind} forces {what}", got.energy, expected.energy, factor)


def close(what: str, got: ArrayLike, expected: ArrayLike, atol: float, reason: str) -> None:
    """Complain unless two arrays of one shape differ by at most ``atol`` anywhere."""
    a, b = np.asarray(got, float), np.asarray(expected, float)
    require(a.shape == b.shape, f"{what}: expected shape {b.shape}, got {a.shape}")
    wrong = ~(np.abs(a - b) <= atol)  # NaN is never close
    if wrong.any():
        place = np.unravel_index(int(np.argmax(np.where(wrong, _size(a - b), -1.0))), a.shape)
        where = f" at {tuple(int(k) for k in place)}" if a.ndim else ""
        raise ContractError(
            f"{what}{where}: expected {b[place]:.12g}, got {a[place]:.12g}, "
            f"off by {abs(a[place] - b[place]):.2g}; tolerance {atol:.2g} ({reason})"
        )


def _size(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.nan_to_num(np.abs(difference), nan=np.inf)


def require(condition: bool, message: str) -> None:
    """Complain unless it is true."""
    if not condition:
        raise ContractError(message)


def refused(what: str, call: Callable[[], object], match: str = "") -> None:
    """Complain unless the call raises a ModelError of one line, which has ``match`` in it."""
    try:
        call()
    except ModelError as err:
        text = str(err)
        require("\n" not in text, f"{what}: expected one line, got {text!r}")
        require(match in text, f"{what}: expected an error that says {match!r}, got {text!r}")
        return
    raise ContractError(f"{what}: expected a ModelError, got an answer")
