"""Milliseconds of a call of each family of models that is here, on 192 atoms of water.

    python -m reproduction.families OUT [--device cpu] [--rounds 5]

All are loaded in one process and called in turns at the same positions, so that what else the
machine does meets them alike.  Conservative, direct, and both in one call where a model has both.
Time doesn't depend on weights: a family whose weights can't be had has random ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bounded import write_json

import ncforce_ipi as nc
from ncforce_ipi.backend import Wanted
from ncforce_ipi.errors import NcforceError
from ncforce_ipi.evaluations import evaluate
from ncforce_ipi.reading.structures import as_structure
from reproduction.calls import start

OWN = "ours"
CHGNET = 'ase:chgnet.model.dynamics:CHGNetCalculator --arguments \'{"use_device": "%s"}\''
SO3LR = (
    'ase:so3krates_torch.calculator.so3:SO3LRCalculator --arguments \'{"r_max_lr": 12.0, '
    '"device": "%s", "default_dtype": "float64", "compute_stress": true}\''
)
KINDS: dict[str, frozenset[Any]] = {
    "conservative": frozenset(["conservative"]),
    "direct": frozenset(["direct"]),
    "joint": frozenset(["conservative", "direct"]),
}


@dataclass(frozen=True)
class Family:
    """A model by which a family is timed.

    Attributes
    ----------
    module : that must be there
    spec : as ``--model`` takes it, for a folder for weights and a device
    random : it has random weights
    """

    module: str
    spec: Callable[[Path, str], str]
    random: bool = False


def _orb(folder: Path, device: str) -> str:
    import torch
    from orb_models.forcefield import pretrained

    files = {}
    for kind in ("direct", "conservative"):
        name = f"orb-v3-{kind}-inf-omat"
        files[name] = folder / f"{name}.ckpt"
        if not files[name].exists():
            torch.manual_seed(0)
            network = getattr(pretrained, f"orb_v3_{kind}_architecture")(device="cpu")
            torch.save(network.state_dict(), files[name])
    (one, its_file), (other, file_of_other) = files.items()
    second = f"--conservative-model {file_of_other} --conservative-architecture {other}"
    return f"orb:{its_file} --architecture {one} {second}"


FAMILIES = {
    OWN: Family("torch", lambda _, __: "water"),
    "SevenNet-0": Family("sevenn", lambda _, __: "sevennet:7net-0"),
    "CHGNet": Family("chgnet", lambda _, device: CHGNET % device),
    "SO3LR (float64)": Family("so3krates_torch", lambda _, device: SO3LR % device),
    "ORB-v3 (all neighbours)": Family("orb_models", _orb, random=True),
}


def measure(
    out: Path, device: str, rounds: int, families: dict[str, Family] | None = None
) -> dict[str, Any]:
    """Milliseconds of each round; why not, where a family isn't here."""
    atoms = start("water")
    found: dict[str, Any] = {}
    with ExitStack() as models:
        loaded = {}
        for name, family in (families or FAMILIES).items():
            if importlib.util.find_spec(family.module) is None:
                found[name] = {"why": f"{family.module} isn't in this environment"}
                continue
            try:
                spec = family.spec(out, device)
                loaded[name] = models.enter_context(nc.load(spec, device=device))
            except NcforceError as err:
                found[name] = {"why": str(err)}
                continue
            kinds = loaded[name].kinds
            asked = [kind for kind, wanted in KINDS.items() if wanted <= kinds]
            found[name] = {"random": family.random, "ms": {kind: [] for kind in asked}}
        for n in range(-2, rounds):  # two rounds that warm up
            moved = atoms.copy()
            moved.rattle(1e-3, seed=n + 2)
            for name, model in loaded.items():
                for kind, times in found[name]["ms"].items():
                    ms = _call_ms(model, moved, KINDS[kind], device)
                    if n >= 0:
                        times.append(ms)
    return {"atoms": len(atoms), "device": device, "families": found}


def _call_ms(model: nc.Model, atoms: Any, kinds: frozenset[Any], device: str) -> float:
    """Of the processor on a CPU, so that other jobs there count less."""
    structure, wanted = as_structure(atoms), Wanted(kinds)
    clock = time.process_time if device == "cpu" else time.perf_counter
    begin = clock()
    evaluate(model.backend, structure, wanted)
    return 1e3 * (clock() - begin)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    write_json(args.out / "families.json", measure(args.out, args.device, args.rounds))
