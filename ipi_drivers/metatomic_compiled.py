"""Our own networks compiled for a CPU: torch.compile of what TorchScript does with arrays of fixed
sizes, the derivative included.

torch.compile knows no TorchScript, which a model file is written in, so the operations are recorded
first, in a call on the arrays.  The code is C++ and needs a compiler where the driver runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import metatomic_padded as padded
from .batches import ATOMS_AT_ONCE
from .metatomic_graphs import How

Tensor = Any  # torch.Tensor


def how() -> How:
    """Lists without a skin, of which every pair costs as much as one that counts."""
    return How(
        compiled,
        word="compiled",
        option="compile",
        skin_A=0.0,
        spare_pairs=1.05,
        atoms_at_once=ATOMS_AT_ONCE,
        limit_atoms=float("inf"),
    )


def compiled(
    function: Callable[[padded.Arrays], Tensor], arrays: padded.Arrays
) -> Callable[[], Tensor]:
    """The function of the arrays, compiled.

    Raises
    ------
    RuntimeError
        There is no compiler, or torch can't do it.
    """
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    with torch.jit.optimized_execution(False):  # its own fusions can't be recorded
        recorded = make_fx(lambda *each: function(padded.Arrays(*each)))(*arrays)
    run = torch.compile(recorded, dynamic=False)

    def call() -> Tensor:
        with torch.no_grad():  # the derivative is among the operations
            return run(*arrays)

    call()
    return call
