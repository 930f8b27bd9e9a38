"""Our own networks compiled: torch.compile of what TorchScript does with arrays of fixed sizes, the
derivative included.

torch.compile knows no TorchScript, which a model file is written in, so the operations are recorded
first, in a call on the arrays.  The code is C++ on a CPU, and Triton's on a GPU, where it is then
captured as a graph; both need a C compiler where the driver runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import metatomic_padded as padded
from .batches import ATOMS_AT_ONCE
from .metatomic_graphs import Capture, How, graph_of

Tensor = Any  # torch.Tensor


def how(device: str) -> How:
    """On a GPU in graphs; on a CPU lists have no skin: each pair there costs as much as any."""
    if device != "cpu":
        return How(
            compiled_graphs(device),
            word="compiled and captured",
            option="compile",
            instead="right, but far slower than by --capture, which needs no compiler",
        )
    return How(
        compiled,
        word="compiled",
        option="compile",
        skin_A=0.0,
        spare_pairs=1.05,
        atoms_at_once=ATOMS_AT_ONCE,
        limit_atoms=float("inf"),
    )


def compiled_graphs(device: str) -> Capture:
    """Compiled functions as graphs of a GPU; they share memory, as those of ``cuda_capture``."""
    import torch

    pool = torch.cuda.graph_pool_handle()

    def capture(
        function: Callable[[padded.Arrays], Tensor], arrays: padded.Arrays
    ) -> Callable[[], Tensor]:
        with torch.cuda.device(device):
            return graph_of(compiled(function, arrays), pool)

    return capture


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
