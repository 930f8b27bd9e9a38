"""Direct pre-training and conservative fine-tuning against both from scratch, with several seeds.

    python -m reproduction.training OUT --seed 1 [--steps 4000 4000 5900]

Stages that are done are kept.  Each is validated ten times.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from pathlib import Path

import numpy as np

from reproduction.tasks import HERE, Call, Choice, Numbers, load, must, ncforce

RECIPE = HERE / "training" / "water" / "recipe.toml"
STAGES = ("direct", "finetune", "scratch")
STEPS = (4000, 4000, 5900)  # both ways take about as long
LONG_STEPS = (15000, 15000, 22000)
SEEDS = (1, 2, 3)
LEVELS_MEV_PER_A = (80, 70, 60, 50, 40, 35, 32)
COLUMNS = {"conservative": "val_conservative_meV_per_A", "direct": "val_direct_meV_per_A"}


def levels(folder: Path) -> Numbers:
    """Processor seconds to each error, of both ways; None where it isn't reached for good."""
    sys.path.insert(0, str(HERE / "training"))
    import curves

    direct, finetune, scratch = (curves.read(folder / name) for name in STAGES)
    staged = curves.chain(direct, finetune)
    found: Numbers = {
        "n_steps": [int(curve["step"][-1]) for curve in (direct, finetune, scratch)],
        "levels_meV_per_A": list(LEVELS_MEV_PER_A),
    }
    for kind, column in COLUMNS.items():
        for way, curve in (("scratch", scratch), ("staged", staged), ("direct", direct)):
            times = [curves.time_to(curve, column, level) for level in LEVELS_MEV_PER_A]
            found[f"{kind}_{way}_s"] = [None if math.isnan(t) else float(t) for t in times]
            found[f"{kind}_{way}_best_meV_per_A"] = float(np.min(curve[column]))
    return found


def speedups(records: list[Numbers], kind: str, way: str) -> list[tuple[int, list[float]]]:
    """Of each level that some seeds reach both ways: time from scratch over time staged."""
    rows = []
    for k, level in enumerate(LEVELS_MEV_PER_A):
        pairs = [(r[f"{kind}_scratch_s"][k], r[f"{kind}_{way}_s"][k]) for r in records]
        if ratios := [one / two for one, two in pairs if one and two]:
            rows.append((level, ratios))
    return rows


def _call(name: str, seed: int, full_steps: tuple[int, ...], hours: float) -> Call:
    def command(choice: Choice, out: Path) -> list[str]:
        steps = (4, 4, 4) if choice.small else full_steps
        device = ["--device", choice.device]
        words = [str(out), "--seed", str(seed), *device, "--steps", *map(str, steps)]
        words += ["--no-compile"] if choice.small else []
        return [sys.executable, "-m", "reproduction.training", *words]

    return Call(name, command, lambda out: load(out / "levels.json"), hours)


CALLS = (
    *(_call(f"training-seed{seed}", seed, STEPS, 0.28) for seed in SEEDS),
    _call("training-long", 1, LONG_STEPS, 1.05),
)


def often_validated(recipe: str, n_steps: int) -> str:
    """A recipe with ten points on its curve."""
    every = f"validate_every = {max(1, n_steps // 10)}"
    changed, n = re.subn(r"^validate_every = \d+$", every, recipe, flags=re.MULTILINE)
    if n != 1:
        sys.exit(f"{RECIPE} has {n} lines validate_every = N; one is needed")
    return changed


def stages(out: Path, seed: int, steps: list[int], more: list[str]) -> None:
    """Train what isn't there."""
    out.mkdir(parents=True, exist_ok=True)
    for stage, n_steps in zip(STAGES, steps, strict=True):
        folder = out / stage
        if (folder / "training.json").exists():
            continue
        recipe = out / f"{stage}.toml"
        recipe.write_text(often_validated(RECIPE.read_text(), n_steps))
        words = [recipe, "--data", RECIPE.parent, "--stage", stage, "--seed", seed]
        words += ["--n-steps", n_steps]
        words += ["--init", out / "direct" / "checkpoint.pt"] if stage == "finetune" else []
        words += [*more, "--out", folder, "--force"]
        must(ncforce("train", *words))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, nargs=3, default=STEPS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()
    options = ["--device", args.device, *["--no-compile"] * args.no_compile]
    stages(args.out, args.seed, args.steps, options)
    (args.out / "levels.json").write_text(json.dumps(levels(args.out), indent=1) + "\n")
