"""Arrays of fixed sizes on a device, and CUDA graphs that read them.  Owns capture and replay.

``metatomic_compiled`` is the same with compiled code, on a CPU too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ncforce_ipi.backend import Kind, Structure

from . import metatomic_padded as padded
from .pairlist import PairList, find_pairs

WARM_UP = 12  # calls in which TorchScript compiles its kernels
Tensor = Any  # torch.Tensor
Capture = Callable[[Callable[[padded.Arrays], Tensor], padded.Arrays], Callable[[], Tensor]]


@dataclass(frozen=True)
class How:
    """In which pieces a network is called.

    Attributes
    ----------
    capture : from a function and the arrays that it reads to what does the same again, with what
        is in the arrays then
    word : for a network that is called so
    option : of the driver that asks for it
    instead : what to do where the network can't be called so
    skin_A : of lists of pairs
    spare_pairs : room for the density to change
    atoms_at_once : of structures in one call
    limit_atoms : larger structures go through metatomic
    after : and so do the first so many calls for the same atoms and forces
    """

    capture: Capture
    word: str = "captured"
    option: str = "capture"
    instead: str = "slower, but right"
    skin_A: float = 1.0  # a list of water at 300 K serves 24 steps of 0.5 fs; with 0.5 A it is 10
    spare_pairs: float = 1.1
    atoms_at_once: float = 16384
    limit_atoms: float = 8192  # beyond it the kernels themselves take the time
    after: int = 0


class Bucket:
    """Arrays of fixed sizes on the device, and the graphs that read them."""

    def __init__(self, sizes: padded.Sizes, device: str) -> None:
        self.sizes, self._device = sizes, device
        self.graphs: dict[frozenset[Kind], Callable[[], Tensor]] = {}
        self._arrays: padded.Arrays | None = None
        self._loaded: list[PairList] = []

    @property
    def arrays(self) -> padded.Arrays:
        """Which stay where they are in memory: graphs hold their addresses."""
        if self._arrays is None:
            raise ValueError("nothing has been loaded")
        return self._arrays

    def fits(self, n_atoms: int, n_pairs: int, n_systems: int) -> bool:
        """Whether there is room, and not three times as much as is needed."""
        atoms, pairs = self.sizes.atoms, self.sizes.pairs
        return (
            n_systems == self.sizes.systems
            and n_atoms <= atoms <= 2 * n_atoms + 64
            and n_pairs <= pairs <= 3 * n_pairs + 1024
        )

    def load(self, structures: Sequence[Structure], lists: Sequence[PairList]) -> None:
        """Put structures into the arrays; only positions and cells if the lists are the last."""
        import torch

        same = len(lists) == len(self._loaded) and all(
            new is old for new, old in zip(lists, self._loaded, strict=True)
        )
        if same:
            moving = padded.pack_moving(structures, lists[0].cutoff, self.sizes)
            for kept, new in zip(self.arrays[:2], moving, strict=True):
                kept.copy_(torch.from_numpy(new))
            return
        everything = padded.pack(structures, lists, self.sizes)
        if self._arrays is None:
            self._arrays = padded.Arrays(
                *(torch.from_numpy(each).to(self._device) for each in everything)
            )
        else:
            for kept, new in zip(self._arrays, everything, strict=True):
                kept.copy_(torch.from_numpy(new))
        self._loaded = list(lists)


def elsewhere(
    structures: Sequence[Structure], cutoff: float
) -> tuple[list[Structure], list[PairList]]:
    """Other positions, and their pairs: what a graph is made at."""
    random = np.random.default_rng(0)
    moved = [
        Structure(s.numbers, s.positions + 0.01 * random.normal(size=s.positions.shape), s.cell)
        for s in structures
    ]
    return moved, [find_pairs(each, cutoff, 0.0) for each in moved]


def cuda_capture(device: str, *, fused: bool = True) -> Capture:
    """Capture on a GPU: TorchScript's fused kernels, or where they can't be captured, none."""
    import torch

    ways = [
        (each, torch.cuda.graph_pool_handle()) for each in ([True, False] if fused else [False])
    ]

    def capture(
        function: Callable[[padded.Arrays], Tensor], arrays: padded.Arrays
    ) -> Callable[[], Tensor]:
        bound = partial(function, arrays)
        with torch.cuda.device(device):
            while len(ways) > 1:
                try:
                    return _with(*ways[0], bound)
                except RuntimeError:
                    del ways[0]  # with its memory
            return _with(*ways[0], bound)

    return capture


def _with(fused: bool, pool: Any, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A graph with TorchScript's fused kernels or without."""
    import torch

    with torch.jit.optimized_execution(fused):
        return graph_of(function, pool)


def graph_of(function: Callable[[], Tensor], pool: Any) -> Callable[[], Tensor]:
    """A graph on the current device, which replays what the function does.

    Graphs share the memory of a pool: what one says is copied before another runs.
    """
    import torch

    before = torch.cuda.current_stream()
    stream = torch.cuda.Stream()
    try:
        stream.wait_stream(before)
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                function()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        # thread_local: other threads of the process may do what a capture doesn't allow
        with torch.cuda.graph(graph, pool, stream, capture_error_mode="thread_local"):
            result = function()
    finally:  # a capture that fails leaves its own stream behind as the current one
        torch.cuda.set_stream(before)

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay
