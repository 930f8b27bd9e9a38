"""ORB's architectures with random weights, which are saved and loaded again by its own loader."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ncforce_ipi.testing import Limits
from tests.drivers import Case

DIRECT, CONSERVATIVE = "orb-v3-direct-inf-omat", "orb-v3-conservative-inf-omat"
ARCHITECTURES = {
    "orb-v2": "orb_v2_architecture",
    DIRECT: "orb_v3_direct_architecture",
    CONSERVATIVE: "orb_v3_conservative_architecture",
}


def weights(directory: Path, name: str) -> str:
    """A file of random weights, 100 MB."""
    import torch
    from orb_models.forcefield import pretrained

    path = directory / f"{name}.ckpt"
    if not path.exists():
        make: Callable[..., Any] = getattr(pretrained, ARCHITECTURES[name])
        torch.manual_seed(0)
        options = (
            {"system_config": None} if "system_config" in inspect.signature(make).parameters else {}
        )
        torch.save(make(device="cpu", **options).state_dict(), path)
    return str(path)


def single(name: str) -> Callable[[Path, str], list[str]]:
    """The words for one network."""

    def words(directory: Path, dtype: str) -> list[str]:
        return ["--model", weights(directory, name), "--architecture", name, *precision(dtype)]

    return words


def pair(directory: Path, dtype: str) -> list[str]:
    """A direct and a conservative network in one process."""
    second = ["--conservative-model", weights(directory, CONSERVATIVE)]
    second += ["--conservative-architecture", CONSERVATIVE]
    return [*single(DIRECT)(directory, dtype), *second]


def precision(dtype: str) -> list[str]:
    """ORB's names of the types."""
    return ["--precision", {"float32": "float32-highest"}.get(dtype, dtype)]


# of orb-v3 those that see all neighbours within 6 A
CASES = (
    Case("orb", "v2", "orb_models", single("orb-v2"), frozenset(["direct"]),
         says_species=False, limits=Limits(truncates=True, removes_torque=True)),
    Case("orb", "v3-direct", "orb_models", single(DIRECT), frozenset(["direct"]),
         says_species=False, limits=Limits(removes_torque=True)),
    Case("orb", "v3-conservative", "orb_models", single(CONSERVATIVE), frozenset(["conservative"]),
         says_species=False),
    Case("orb", "v3-pair", "orb_models", pair, frozenset(["conservative", "direct"]),
         says_species=False, limits=Limits(removes_torque=True)),
)  # fmt: skip
