"""Gradients of a metatomic model that are complete, or refused.

A library that a model brings along may have operations whose derivative isn't known to torch in
this process.  torch then takes what they give for a constant and says no more than a warning: the
energy is right, and forces lack a part.  So it is with sphericart-torch 2, which SOAP-BPNN needs:
its derivatives come with the Python package, not with the library that ``mtt export -e`` copies.
"""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from collections.abc import Iterable
from typing import Any

from ncforce_ipi.errors import ModelError

from . import loading
from .loading import NO_DERIVATIVE

log = logging.getLogger(__name__)
# by library: the package whose import makes it complete, and an operation that shows it is loaded
PACKAGES = {"sphericart_torch": ("sphericart.torch", "spherical_harmonics")}


def complete(libraries: Iterable[str]) -> None:
    """Import the packages that make libraries complete; before these are loaded.

    Both register the same operations, and torch ends the process when a package does so after a
    library.  One that isn't installed, or comes too late, is left out: gradients say if it matters.
    """
    import torch

    for name in libraries:
        package, operation = PACKAGES.get(name, (None, ""))
        if package is None or package in sys.modules:
            continue
        if hasattr(getattr(torch.ops, name), operation):
            log.info("%s is loaded already: %s isn't imported", name, package)
            continue
        try:
            importlib.import_module(package)
        except (ImportError, OSError) as err:
            log.info("%s: %s can't be imported: %s", name, package, loading.one_line(err))


class Gradient:
    """``torch.autograd.grad`` that doesn't take operations for constants.

    Whether it does is seen the first time that each gradient is taken.

    Parameters
    ----------
    description : of the model
    """

    def __init__(self, description: str) -> None:
        from torch.autograd import grad

        self._description, self._grad = description, grad
        self._checked: set[str] = set()

    def __call__(self, what: str, *arguments: Any, **options: Any) -> Any:
        """As torch does it; ``what`` names the gradient.

        Raises
        ------
        ModelError
            An operation has no derivative.
        """
        if what in self._checked:
            return self._grad(*arguments, **options)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", f".*{NO_DERIVATIVE}", UserWarning)
            try:
                found = self._grad(*arguments, **options)
            except (UserWarning, RuntimeError) as err:
                if NO_DERIVATIVE not in str(err):
                    raise
                raise ModelError(self._why(str(err))) from err
        self._checked.add(what)
        return found

    def _why(self, said: str) -> str:
        operation = said.partition(f": {NO_DERIVATIVE}")[0]
        package, _ = PACKAGES.get(operation.partition("::")[0], (None, ""))
        advice = (
            f"install {package.replace('.', '-')} here, in the version that the model was "
            "exported with, and load the model in a new process"
            if package
            else "the library that it comes from must register one"
        )
        return (
            f"{self._description}: the derivative of {operation} isn't known here, so that forces "
            f"would lack a part; {advice}"
        )
