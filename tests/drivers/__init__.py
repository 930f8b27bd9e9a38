"""The models that the driver contract is run with: one module for each family, named like it.

Each module has ``CASES``, a tuple of ``Case``.  A new family of ours needs its file of
``ipi_drivers``, its name in ``families.OWN`` and among the entry points of ``pyproject.toml``, and
such a module; nothing here imports a model library.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ncforce_ipi.backend import Backend, Kind, Wanted
from ncforce_ipi.serve import families
from ncforce_ipi.serve.options import parse_words
from ncforce_ipi.testing import FLOAT64, Limits

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
    limits
        How exact the model is in the most precise type, and what it can't take.
    says_species
        It says which species it knows.
    """

    family: str
    name: str
    library: str
    words: Callable[[Path, str], list[str]]
    kinds: frozenset[Kind]
    dtypes: tuple[str, ...] = ("float32", "float64")
    limits: Limits = FLOAT64
    says_species: bool = True

    @property
    def label(self) -> str:
        """Family and model."""
        return f"{self.family}-{self.name}"

    @property
    def everything(self) -> Wanted:
        """All that the model can give; every model here has all that its kinds can come with."""
        direct = "direct" in self.kinds
        return Wanted(self.kinds, direct, direct)

    def load(self, directory: Path, dtype: str | None = None) -> Backend:
        """The model, as ``ncforce driver`` loads it."""
        words = self.words(directory, dtype or self.dtypes[-1])
        return load(self.family, *words)


def load(family: str, *words: str) -> Backend:
    """What ``ncforce driver FAMILY WORDS`` loads, on the CPU."""
    chosen = families.find(family)
    keywords = parse_words(chosen.options(), [*words, "--device", "cpu"], family)
    if torch := sys.modules.get("torch"):  # some libraries change it for their whole process
        torch.set_default_dtype(torch.float32)
    return chosen.load(**keywords)


def find_cases() -> list[Case]:
    """Every case of every family; with NCFORCE_TEST_FAMILIES, of those alone."""
    demanded = os.environ.get(DEMANDED, "").split() or families.OWN
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
