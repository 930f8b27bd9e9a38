"""STAND-IN for torch_scatter, for tests where it can't be compiled; real runs use the real one.

fairchem-core 1.10 imports these names when it starts.  EquiformerV2 calls ``scatter`` alone.
"""

import torch


def scatter(src, index, dim=-1, out=None, dim_size=None, reduce="sum"):
    """Sum or mean of the slices of ``src`` along ``dim`` that have the same index."""
    if out is not None or reduce not in ("sum", "add", "mean"):
        raise NotImplementedError("this stand-in for torch_scatter only adds, into a new tensor")
    dim %= src.dim()
    shape = [1] * src.dim()
    shape[dim] = -1
    spread = index.view(shape).expand_as(src) if index.dim() == 1 else index
    size = list(src.shape)
    size[dim] = int(index.max()) + 1 if dim_size is None else dim_size
    total = torch.zeros(size, dtype=src.dtype, device=src.device).scatter_add(dim, spread, src)
    if reduce != "mean":
        return total
    count = torch.zeros_like(total).scatter_add(dim, spread, torch.ones_like(src))
    return total / count.clamp(min=1)


def segment_coo(*_, **__):
    """Of GemNet and PaiNN."""
    raise NotImplementedError("this stand-in for torch_scatter has no segment_coo")


def segment_csr(*_, **__):
    """Of GemNet and PaiNN."""
    raise NotImplementedError("this stand-in for torch_scatter has no segment_csr")
