"""A small EquiformerV2 with random weights, as a checkpoint of the OCP format."""

from pathlib import Path

from ncforce_ipi.drivers import loading
from ncforce_ipi.testing import Limits
from tests.drivers import Case


def words(directory: Path, dtype: str) -> list[str]:
    """A checkpoint with heads for energy, forces and stress; there is only float32."""
    path = directory / "equiformer.pt"
    if not path.exists():
        make(path)
    return ["--model", str(path)]


def make(path: Path, stress: bool = True, **more: object) -> None:
    """Write a random checkpoint to ``path``; ``more`` stands beside its tensors."""
    with loading.quiet():
        import torch
        from fairchem.core.common.registry import registry
        from fairchem.core.common.utils import setup_imports

        setup_imports()
        torch.manual_seed(0)
        config = settings(stress)
        model = {key: value for key, value in config["model"].items() if key != "name"}
        net = registry.get_model_class("hydra")(**_copy(model))
        checkpoint = {"config": config, "state_dict": net.state_dict(), "normalizers": {}}
        torch.save({**checkpoint, "elementrefs": {}, "amp": None, "ema": None, **more}, path)


def _copy(value):
    """The constructors change the dictionaries that they are given."""
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, dict) else value


def settings(stress: bool) -> dict:
    """What fairchem-core 1 wants to know; no atom has as many neighbours as it takes at most."""
    backbone = {
        "model": "equiformer_v2_backbone",
        "use_pbc": True,
        "regress_forces": True,
        "otf_graph": True,
        "max_neighbors": 1000,
        "max_radius": 5.0,
        "max_num_elements": 96,
        "num_layers": 2,
        "sphere_channels": 16,
        "attn_hidden_channels": 16,
        "num_heads": 2,
        "attn_alpha_channels": 8,
        "attn_value_channels": 8,
        "ffn_hidden_channels": 32,
        "norm_type": "layer_norm_sh",
        "lmax_list": [2],
        "mmax_list": [2],
        "grid_resolution": 18,
        "edge_channels": 16,
        "num_distance_basis": 32,
        "attn_activation": "silu",
        "ffn_activation": "silu",
        "use_grid_mlp": True,
        "use_sep_s2_act": True,
        "alpha_drop": 0.0,
        "drop_path_rate": 0.0,
        "avg_num_nodes": 31.17,
        "avg_degree": 61.95,
    }
    heads: dict = {
        "energy": {"module": "equiformer_v2_energy_head"},
        "forces": {"module": "equiformer_v2_force_head"},
    }
    outputs: dict = {
        "energy": {"level": "system"},
        "forces": {"level": "atom", "eval_on_free_atoms": False},
    }
    losses = [
        {"energy": {"fn": "mae", "coefficient": 1}},
        {"forces": {"fn": "l2mae", "coefficient": 1}},
    ]
    if stress:
        heads["stress"] = {
            "module": "rank2_symmetric_head",
            "output_name": "stress",
            "use_source_target_embedding": True,
            "decompose": True,
            "extensive": False,
        }
        parts = {"stress_isotropic": 0, "stress_anisotropic": 2}
        outputs["stress"] = {
            "level": "system",
            "property": "stress",
            "irrep_dim": 2,
            "decomposition": {
                name: {"level": "system", "irrep_dim": rank} for name, rank in parts.items()
            },
        }
        losses += [{name: {"fn": "mae", "coefficient": 1}} for name in parts]
    return {
        "task": {"dataset": "ase_db"},
        "model": {
            "name": "hydra",
            "backbone": backbone,
            "heads": heads,
            "pass_through_head_outputs": True,
        },
        "trainer": "ocp",
        "dataset": {"src": "none", "format": "ase_db"},
        "outputs": outputs,
        "loss_functions": losses,
        "evaluation_metrics": {"metrics": {"energy": ["mae"], "forces": ["mae"]}},
        "optim": {
            "batch_size": 1,
            "eval_batch_size": 1,
            "lr_initial": 1e-3,
            "optimizer": "AdamW",
            "scheduler": "LambdaLR",
            "scheduler_params": {
                "lambda_type": "cosine",
                "warmup_factor": 0.2,
                "warmup_epochs": 0,
                "lr_min_factor": 0.01,
            },
            "max_epochs": 1,
            "num_workers": 0,
        },
        "cmd": {"seed": 0},
        "amp": False,
        "gpus": 0,
        "is_debug": True,
    }


CASES = (
    # float32 with a virial of 5 eV, and rotations drawn anew for each edge; a bond along y, where
    # its Euler angles are singular, has an error of 0.01 to 0.1 eV/A in this model
    Case("equiformer", "v2", "torchtnt", words, frozenset(["direct"]),
         dtypes=("float32",),
         limits=Limits(rounding=1e-4, needs_neighbors=True, blurs_axes=True)),
)  # fmt: skip
