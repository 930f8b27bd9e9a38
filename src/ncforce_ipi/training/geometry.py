"""Directions and radial functions of pairs, and symmetric traceless tensors by five components."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class PairGeometry(NamedTuple):
    """Of all pairs: unit vectors ``(n_pairs, 3)``, radial functions, envelope ``(n_pairs, 1)``."""

    unit: Tensor
    radial: Tensor
    envelope: Tensor


def tensor_basis(u: Tensor) -> Tensor:
    """``(n, 5, 3)`` of vectors ``(n, 3)``: E_m u, E_m an orthonormal basis of the traceless
    symmetric matrices."""
    x, y, z = u[:, 0], u[:, 1], u[:, 2]
    o = torch.zeros_like(x)
    r, s = math.sqrt(0.5), math.sqrt(1.0 / 6.0)
    rows = [
        torch.stack([r * y, r * x, o], dim=1),
        torch.stack([o, r * z, r * y], dim=1),
        torch.stack([r * z, o, r * x], dim=1),
        torch.stack([r * x, -r * y, o], dim=1),
        torch.stack([-s * x, -s * y, 2.0 * s * z], dim=1),
    ]
    return torch.stack(rows, dim=1)


def quadratic(unit: Tensor) -> Tensor:
    """``(n, 5)`` of unit vectors ``(n, 3)``: u u^T without its trace, of length 1."""
    return math.sqrt(1.5) * (tensor_basis(unit) * unit[:, None, :]).sum(2)


def apply_tensor(t: Tensor, v: Tensor) -> Tensor:
    """``(n, 3, channels)``: tensors ``(n, 5, channels)`` times vectors ``(n, 3, channels or 1)``.

    Written out: as a product of matrices its derivative takes three times as long on a CPU.
    """
    r, s = math.sqrt(0.5), math.sqrt(1.0 / 6.0)
    x, y, z = v[:, 0], v[:, 1], v[:, 2]
    xy, yz, xz, dd, zz = r * t[:, 0], r * t[:, 1], r * t[:, 2], r * t[:, 3], s * t[:, 4]
    return torch.stack(
        [
            xy * y + xz * z + (dd - zz) * x,
            xy * x + yz * z - (dd + zz) * y,
            yz * y + xz * x + 2.0 * zz * z,
        ],
        dim=1,
    )
