"""A small MACE with random weights, made through mace-torch's own classes."""

from pathlib import Path

from ncforce_ipi.drivers import loading
from tests.drivers import Case


def words(directory: Path, dtype: str) -> list[str]:
    """A ScaleShiftMACE of H, O and Al with two layers."""
    path = directory / f"mace_{dtype}.model"
    if not path.exists():
        make(path, dtype)
    return ["--model", str(path), "--trust"]


def make(path: Path, dtype: str, heads: tuple[str, ...] = ("Default",)) -> None:
    """Write a random model to ``path``."""
    with loading.keep_environment(loading.UNSAFE), loading.quiet():
        import mace.modules as modules  # before e3nn, which needs what it sets
        import numpy as np
        import torch
        from e3nn import o3

        torch.manual_seed(0)
        torch.set_default_dtype(getattr(torch, dtype))
        block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
        n = len(heads)
        model = modules.ScaleShiftMACE(
            r_max=5.0,
            num_bessel=6,
            num_polynomial_cutoff=5,
            max_ell=2,
            interaction_cls_first=block,
            interaction_cls=block,
            num_interactions=2,
            num_elements=3,
            hidden_irreps=o3.Irreps("8x0e+8x1o"),
            MLP_irreps=o3.Irreps("8x0e"),
            atomic_energies=np.arange(3.0 * n).reshape(n, 3),
            avg_num_neighbors=20.0,
            atomic_numbers=[1, 8, 13],
            correlation=2,
            gate=torch.nn.functional.silu,
            atomic_inter_scale=[1.0] * n,
            atomic_inter_shift=[0.0] * n,
            pair_repulsion=True,
            distance_transform="Agnesi",
            heads=list(heads),
        )
        torch.set_default_dtype(torch.float32)
        torch.save(model, path)


CASES = (Case("mace", "random", "mace", words, frozenset(["conservative"])),)
