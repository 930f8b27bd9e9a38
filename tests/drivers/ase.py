"""ASE's own Lennard-Jones, CHGNet and SO3LR, the last two with the weights of their wheels."""

from dataclasses import replace
from pathlib import Path

from ncforce_ipi.testing import FLOAT32
from tests.drivers import Case


def lennard_jones(directory: Path, dtype: str) -> list[str]:
    """Small atoms, so that water molecules don't explode; a smooth cutoff."""
    arguments = '{"sigma": 1.0, "epsilon": 0.1, "rc": 3.0, "ro": 2.0, "smooth": true}'
    return ["--model", "ase.calculators.lj:LennardJones", "--arguments", arguments]


def chgnet(directory: Path, dtype: str) -> list[str]:
    """CHGNet 0.3.0; float32 only."""
    return ["--model", "chgnet.model.dynamics:CHGNetCalculator",
            "--arguments", '{"use_device": "cpu"}']  # fmt: skip


def so3lr(directory: Path, dtype: str) -> list[str]:
    """SO3LR with its default range of 12 A."""
    arguments = (
        '{"r_max_lr": 12.0, "device": "cpu", "default_dtype": "float64", "compute_stress": true}'
    )
    return ["--model", "so3krates_torch.calculator.so3:SO3LRCalculator", "--arguments", arguments]


KINDS = frozenset(["conservative"])
CASES = (
    Case(
        "ase", "lennard-jones", "ase", lennard_jones, KINDS, dtypes=("float64",), says_species=False
    ),
    Case(
        "ase", "chgnet", "chgnet", chgnet, KINDS, dtypes=("float32",), says_species=False,
        limits=replace(FLOAT32, needs_cell=True),  # energies of 20 eV and forces in float32
    ),
    Case("ase", "so3lr", "so3krates_torch", so3lr, KINDS, dtypes=("float64",), says_species=False),
)  # fmt: skip
