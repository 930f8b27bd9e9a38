"""The models that the driver contract is run with: one module for each family, named like it.

Each module has ``CASES``, a tuple of ``Case``.  A new family needs its file of ``ipi_drivers``, a
line in ``cli.families.FAMILIES`` and such a module; nothing here imports a model library.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ncforce_ipi.backend import Backend, Kind, Wanted
from ncforce_ipi.cli import driver

DEMANDED = "NCFORCE_TEST_FAMILIES"  # families, in one string, that must be there: no skipping


@dataclass(frozen=True)
class Case:
    """One model, and what may be asked of it.

    Attributes
    ----------
    family, name
        On the command line, and in the test's name.
    library
        Module that must be importable; empty: none.
    words
        ``words(directory, dtype)``: the options of ``ncforce driver FAMILY``, ``--model`` first.
        A model file is made in ``directory``, which all cases share, unless it is there already.
    kinds, dtypes
        Kinds of force; floating-point types, the most precise last.
    rounding
        Of forces, eV/A, and virials and energies, eV, between equivalent structures in the most
        precise type: 1e-10 is that of float64 with positions of 10 A and stiffnesses of 100 eV/A^2.
    step_A, slope_error
        Of the finite differences of the energy: an error of STEP^2 F'' / 6 ~ 1e-8 eV/A and of the
        energy's rounding / STEP; virials may be off by ten times that, lengths being of 10 A.
    says_species
        It says which species it knows.
    direct_energy, direct_virial
        Whether these come with direct forces.
    repeatable
        The same structure gives the same bits.
    needs_cell, needs_neighbors
        A molecule without a cell, an atom without a neighbour, is refused in one line.
    truncates
        Only the nearest neighbours count, so that equal distances make an arbitrary choice.
    removes_torque
        Direct forces of a molecule without a cell have no torque; with one they may have.
    blurs_axes
        Rotations are inexact for bonds along a Cartesian axis: symmetric sites have a force.
    """

    family: str
    name: str
    library: str
    words: Callable[[Path, str], list[str]]
    kinds: frozenset[Kind]
    dtypes: tuple[str, ...] = ("float32", "float64")
    rounding: float = 1e-10
    step_A: float = 1e-4
    slope_error: float = 1e-6
    says_species: bool = True
    direct_energy: bool = True
    direct_virial: bool = True
    repeatable: bool = True
    needs_cell: bool = False
    needs_neighbors: bool = False
    truncates: bool = False
    removes_torque: bool = False
    blurs_axes: bool = False

    @property
    def label(self) -> str:
        """Family and model."""
        return f"{self.family}-{self.name}"

    @property
    def everything(self) -> Wanted:
        """All that the model can give."""
        return self.wanted(*self.kinds)

    def wanted(self, *kinds: Kind) -> Wanted:
        """These kinds with what comes with them."""
        direct = "direct" in kinds
        return Wanted(
            frozenset(kinds), direct and self.direct_energy, direct and self.direct_virial
        )

    def load(self, directory: Path, dtype: str | None = None) -> Backend:
        """The model, as ``ncforce driver`` loads it."""
        words = self.words(directory, dtype or self.dtypes[-1])
        return load(self.family, *words)


def load(family: str, *words: str) -> Backend:
    """What ``ncforce driver FAMILY WORDS`` loads."""
    parser = argparse.ArgumentParser()
    driver.add_arguments(parser)
    common = ["--role", "slow", "--structure", "not read", "--device", "cpu"]
    args = parser.parse_args([family, *words, *common])
    if torch := sys.modules.get("torch"):  # some libraries change it for their whole process
        torch.set_default_dtype(torch.float32)
    return importlib.import_module(f"ncforce_ipi.drivers.{family}").load(args)


def find_cases() -> list[Case]:
    """Every case of every family; with NCFORCE_TEST_FAMILIES, of those alone."""
    demanded = os.environ.get(DEMANDED, "").split() or driver.FAMILIES
    modules = (importlib.import_module(f"{__name__}.{family}") for family in demanded)
    return [case for module in modules for case in module.CASES]


def is_missing(library: str) -> bool:
    """Whether a case is to be skipped: its library isn't here, and isn't demanded."""
    if not library or os.environ.get(DEMANDED):
        return False
    try:
        return importlib.util.find_spec(library) is None
    except ModuleNotFoundError:  # of the package that the module would be in
        return True
