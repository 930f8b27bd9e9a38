"""Small models of fairchem 2 with random weights: the backbone of eSEN and UMA, both kinds."""

from functools import partial
from pathlib import Path

from ncforce_ipi.drivers import loading
from ncforce_ipi.testing import Limits
from tests.drivers import Case

HEADS = "fairchem.core.models.uma.escn_md."
UNIT = "fairchem.core.units.mlip_unit.mlip_unit."


def words(kind: str, directory: Path, dtype: str) -> list[str]:
    """A checkpoint with heads for energy, forces and stress."""
    path = directory / f"escnmd_{kind}.pt"
    if not path.exists():
        make(path, direct=kind == "direct")
    return ["--model", str(path), "--trust", "--dtype", dtype]


def make(path: Path, direct: bool, datasets: tuple[str, ...] = ("omat",)) -> None:
    """Write a random checkpoint to ``path``."""
    with loading.quiet():
        import hydra
        import torch
        from fairchem.core.units.mlip_unit.api.inference import MLIPInferenceCheckpoint

        torch.manual_seed(0)
        config = model(direct)
        net = hydra.utils.instantiate(config)
        average = torch.optim.swa_utils.AveragedModel(net)
        shapes = {"energy": ("system", [1]), "forces": ("atom", [3]), "stress": ("system", [1, 9])}
        tasks = [task(name, *shape, datasets) for name, shape in shapes.items()]
        torch.save(
            MLIPInferenceCheckpoint(config, net.state_dict(), average.state_dict(), tasks), path
        )


def model(direct: bool) -> dict:
    """Configuration of a network; no atom has as many neighbours as it takes at most."""
    backbone = {
        "model": HEADS + "eSCNMDBackbone",
        "max_num_elements": 100,
        "sphere_channels": 16,
        "lmax": 2,
        "mmax": 2,
        "otf_graph": True,
        "max_neighbors": 1000,
        "cutoff": 5.0,
        "edge_channels": 16,
        "num_distance_basis": 32,
        "direct_forces": direct,
        "regress_forces": True,
        "regress_stress": True,
        "direct_stress": direct,
        "num_layers": 2,
        "hidden_channels": 16,
        "norm_type": "rms_norm_sh",
        "act_type": "gate",
        "ff_type": "spectral",
        "use_dataset_embedding": False,
        "always_use_pbc": False,
    }
    names = {
        "energy": "MLP_Energy_Head",
        "forces": "Linear_Force_Head",
        "stress": "MLP_Stress_Head",
    }
    heads = names if direct else {"efs": "MLP_EFS_Head"}
    return {
        "_target_": "fairchem.core.models.base.HydraModel",
        "backbone": backbone,
        "heads": {name: {"module": HEADS + head} for name, head in heads.items()},
        "otf_graph": True,
        "pass_through_head_outputs": not direct,
    }


def task(name: str, level: str, dim: list[int], datasets: tuple[str, ...]) -> dict:
    """What fairchem wants to know of an output."""
    normalizer = "fairchem.core.modules.normalization.normalizer.Normalizer"
    return {
        "_target_": UNIT + "Task",
        "name": name,
        "level": level,
        "property": name,
        "out_spec": {"_target_": UNIT + "OutputSpec", "dim": dim, "dtype": "float32"},
        "normalizer": {"_target_": normalizer, "mean": 0.0, "rmsd": 1.0},
        "datasets": list(datasets),
    }


CASES = (
    Case("fairchem", "conservative", "fairchem.core", partial(words, "conservative"),
         frozenset(["conservative"]), limits=Limits(needs_neighbors=True)),
    Case("fairchem", "direct", "fairchem.core", partial(words, "direct"), frozenset(["direct"]),
         limits=Limits(needs_neighbors=True)),
)  # fmt: skip
