"""Training on a GPU: batches made ahead by other processes, the step captured as a CUDA graph.

A step of a compact network is hundreds of small kernels, whose launches would take longer than they
do; a captured graph is launched as one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ncforce_ipi.training.dataset import Batch, Sampler
from ncforce_ipi.training.objective import Step

WARM_UP = 3  # calls before the capture: compilation, libraries' workspaces


class _Stream(IterableDataset):
    """Endless batches; every worker process draws from its own seed."""

    def __init__(self, make_sampler: Callable[[int], Sampler]) -> None:
        self.make_sampler = make_sampler

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        sampler = self.make_sampler(0 if worker is None else worker.id)
        while True:
            yield sampler.draw()


def ahead(sampler: Sampler, seeds: Sequence[int], workers: int) -> Iterator[Batch]:
    """Endless batches from ``workers`` processes, in pinned memory, in a reproducible order."""

    def make(worker: int) -> Sampler:
        own = copy.copy(sampler)
        own.reseed([*seeds, worker])
        return own

    loader = DataLoader(
        _Stream(make),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4,
        pin_memory=torch.cuda.is_available(),
        multiprocessing_context="fork",
    )
    return iter(loader)


def captured(step: Step, values: list[Tensor], example: Batch, weights: Tensor) -> Step:
    """``step`` as one CUDA graph.

    ``values`` must stay where they are in memory (they are changed in place); the gradients that
    are returned are the same tensors every time.
    """
    batch, weights = Batch(*(tensor.clone() for tensor in example)), weights.clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step(values, batch, weights)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # thread_local: meanwhile the loader's thread may ask for pinned memory
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        found = step(values, batch, weights)

    def replay(
        _: list[Tensor], new: Batch, new_weights: Tensor
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        for kept, tensor in zip(batch, new, strict=True):
            kept.copy_(tensor, non_blocking=True)
        weights.copy_(new_weights, non_blocking=True)
        graph.replay()
        return found

    return replay
