"""Any model of ``ipi_drivers`` for these scripts, by the words of ``ncforce driver``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from ncforce_ipi.backend import Backend, Structure, Wanted
from ncforce_ipi.cli.options import add_options, keywords
from ncforce_ipi.serve import families

CONSERVATIVE = Wanted(frozenset({"conservative"}))


def structure(atoms: Atoms) -> Structure:
    """ASE's atoms as our drivers take them."""
    return Structure(
        atoms.numbers.astype(np.int32), atoms.positions.copy(), atoms.cell.array.copy()
    )


class ConservativeCalculator(Calculator):
    """Energy (eV) and conservative forces (eV/A) of a backend, for ASE's dynamics."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012  as ASE declares it

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend

    def calculate(self, atoms=None, properties=None, system_changes=all_changes) -> None:
        """One evaluation."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None  # ASE keeps a copy
        found = self._backend.evaluate(structure(self.atoms), CONSERVATIVE)["conservative"]
        self.results = {"energy": found.energy, "forces": found.forces}


def parse(
    parser: argparse.ArgumentParser, models: Mapping[str, str] | None = None
) -> argparse.Namespace:
    """Arguments of ``parser``, which has one called ``family``, and of the family's driver.

    ``models``: families and the model that each takes unless another is named.
    """
    words, default = sys.argv[1:], parser.get_default("family")
    known = families.known()
    named = next((word for word in words if word in known), default)
    if default is None or {"-h", "--help"} & set(words):
        family = named  # of a positional argument, whose options aren't known yet; or for the help
    else:
        family = parser.parse_known_args(words)[0].family
    if family in known:
        _add_arguments(parser, family, (models or {}).get(family))
    args = parser.parse_args(words)
    if args.family not in known:
        parser.error(f"family {args.family!r}: expected one of {', '.join(known)}")
    return args


def _add_arguments(parser: argparse.ArgumentParser, family: str, model: str | None) -> None:
    """Options of all drivers and of this family's."""
    options = families.find(family).options()
    if model is not None:
        options["model"] = replace(options["model"], default=model)
    add_options(parser, options.values())


def load(args: argparse.Namespace) -> Backend:
    """The model that the options name."""
    family = families.find(args.family)
    return family.load(**keywords(family.options(), args))
