"""The contract that a model of every family fulfils, as checks that anybody can run.

>>> from ncforce_ipi.serve.load import load_model
>>> from ncforce_ipi.testing import validate_backend
>>> validate_backend(load_model("water"))

numpy is all that it needs beside the model.  What the numbers mean is ``ncforce_ipi.backend``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ncforce_ipi.backend import Backend, Structure
from ncforce_ipi.errors import ContractError, NcforceError

from . import form, physics
from .limits import FLOAT32, FLOAT64, Limits, Setting

__all__ = [
    "CHECKS",
    "FLOAT32",
    "FLOAT64",
    "Limits",
    "Setting",
    "example",
    "run_check",
    "validate_backend",
]

Check = Callable[[Setting], None]
CHECKS: dict[str, Check] = {check.__name__: check for check in (*form.CHECKS, *physics.CHECKS)}
"""All checks but that of ``close``; each is for one structure and raises ContractError."""


def validate_backend(
    backend: Backend,
    structures: Sequence[Structure] | None = None,
    *,
    limits: Limits | None = None,
    close: bool = True,
) -> None:
    """Check a loaded model against the whole contract.

    Parameters
    ----------
    backend : the model
    structures : some of a few atoms with three lattice vectors, off their minima, of species that
        the model knows; default: two water molecules in a small skewed cell, or atoms of the
        model's species if it doesn't know water
    limits : how exact the model is and what it can't take; default: by its ``dtype``
    close : close it at the end, twice; it can't be used any more then

    Raises
    ------
    ContractError
        One line: which check, what was got and expected, the tolerance and its reason.
    """
    if limits is None:
        limits = FLOAT32 if backend.dtype == "float32" else FLOAT64
    for structure in [example(backend)] if structures is None else structures:
        for name in CHECKS:
            run_check(name, Setting(backend, structure, limits))
    if close:
        backend.close()
        backend.close()


def run_check(name: str, setting: Setting) -> None:
    """One of ``CHECKS``, by name; errors of the model are breaches of the contract too."""
    try:
        CHECKS[name](setting)
    except ContractError as err:
        raise ContractError(f"{setting.backend.description}: {name}: {err}") from err
    except NcforceError as err:
        raise ContractError(
            f"{setting.backend.description}: {name}: expected an evaluation, got: {err}"
        ) from err


def example(backend: Backend) -> Structure:
    """Two water molecules in a small skewed cell: atoms see their own images.

    For models that don't know water, six atoms of their species 2.7 A apart.
    """
    one = np.array([[0.0, 0.0, 0.0], [0.97, 0.1, 0.0], [-0.25, 0.9, 0.1]])
    numbers = np.array([8, 1, 1] * 2, np.int32)
    positions = np.concatenate([one, one + np.array([2.7, 0.4, 0.3])])
    cell = np.array([[5.5, 0.0, 0.0], [0.7, 5.0, 0.0], [0.2, -0.4, 4.2]])
    if backend.species is not None and not {1, 8} <= backend.species:
        numbers = np.resize(np.array(sorted(backend.species), np.int32), 6)
        grid = 2.7 * np.array(list(np.ndindex(1, 2, 3)), float)
        positions = grid + 0.1 * np.random.default_rng(0).normal(size=(6, 3))
        cell = np.array([[5.4, 0.0, 0.0], [0.3, 5.4, 0.0], [0.2, -0.4, 8.1]])
    return Structure(numbers, positions, cell)
