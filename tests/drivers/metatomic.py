"""The shipped architecture with random weights."""

from pathlib import Path

from tests.drivers import Case


def words(directory: Path, dtype: str) -> list[str]:
    """A small hybrid network: an energy head, a direct-force head and a direct-stress head."""
    import torch

    from ncforce_ipi.training.export import export
    from ncforce_ipi.training.hybrid import HybridNet

    path = directory / f"random_{dtype}.pt"
    if not path.exists():
        torch.manual_seed(0)
        net = HybridNet([1, 8], channels=8, layers=2, head_channels=8, n_radial=8)
        export(net, path, name="random", description="", dtype=getattr(torch, dtype))
    return ["--model", str(path)]


CASES = (Case("metatomic", "hybrid", "metatomic", words, frozenset(["conservative", "direct"])),)
