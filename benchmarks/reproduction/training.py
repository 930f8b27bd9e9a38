"""Direct pre-training and conservative fine-tuning against both from scratch, with several seeds.

    python -m reproduction.training OUT --seed 1 [--steps 4000 4000 5900]

Stages that are done are kept, one that was cut off goes on.  Each is validated ten times.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Sequence
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


def curves_of(folder: Path) -> Numbers:
    """Of each stage, at each validation: steps, processor seconds and errors, meV/A."""
    sys.path.insert(0, str(HERE / "training"))
    import curves

    found: Numbers = {}
    for stage in STAGES:
        curve = curves.read(folder / stage)
        found[stage] = {name: curve[name].tolist() for name in ("step", "cpu_s", *COLUMNS.values())}
    return {"n_steps": [int(found[stage]["step"][-1]) for stage in STAGES], "curves": found}


def step_s(records: Sequence[Numbers]) -> tuple[float, float]:
    """Processor seconds of a step of the direct stage, and of one with both heads.

    Each the median of what it took between two validations of all records: beside other work a step
    takes up to three times as long, and one stage may have more of it than another.
    """
    found = []
    for stages in (("direct",), ("finetune", "scratch")):
        each = [r["curves"][stage] for r in records for stage in stages]
        took = [np.diff(c["cpu_s"], prepend=0.0) / np.diff(c["step"], prepend=0.0) for c in each]
        found.append(np.median(np.concatenate(took)))
    return float(found[0]), float(found[1])


def times(record: Numbers, kind: str, way: str, costs: tuple[float, float]) -> list[float]:
    """Seconds to each of the levels, steps times their costs; NaN where it isn't reached."""
    sys.path.insert(0, str(HERE / "training"))
    import curves

    def timed(stage: str) -> dict[str, np.ndarray]:
        curve = {key: np.array(values) for key, values in record["curves"][stage].items()}
        return curve | {"cpu_s": curve["step"] * costs[stage != "direct"]}

    curve = timed("scratch" if way == "scratch" else "direct")
    if way == "staged":
        curve = curves.chain(curve, timed("finetune"))
    return [crossing(curve["cpu_s"], curve[COLUMNS[kind]], level) for level in LEVELS_MEV_PER_A]


def crossing(times: np.ndarray, errors: np.ndarray, level: float) -> float:
    """When the error fell below ``level`` for good, between two validations; NaN if it never did.

    A level that is reached by the first validation has the time of that.
    """
    above = np.flatnonzero(errors > level)
    if not len(above):
        return float(times[0])
    last = above[-1]
    if last + 1 == len(errors):
        return math.nan
    part = (errors[last] - level) / (errors[last] - errors[last + 1])
    return float(times[last] + part * (times[last + 1] - times[last]))


def speedups(records: Sequence[Numbers], kind: str, way: str) -> list[tuple[int, list[float]]]:
    """Of each level that some seeds reach both ways: time from scratch over time staged."""
    costs = step_s(records)
    pairs = [
        zip(times(r, kind, "scratch", costs), times(r, kind, way, costs), strict=True)
        for r in records
    ]
    rows = []
    for level, of_seeds in zip(LEVELS_MEV_PER_A, zip(*pairs, strict=True), strict=True):
        ratios = [one / two for one, two in of_seeds]
        if reached := [ratio for ratio in ratios if not math.isnan(ratio)]:
            rows.append((level, reached))
    return rows


def _call(name: str, seed: int, full_steps: tuple[int, ...], hours: float) -> Call:
    def command(choice: Choice, out: Path) -> list[str]:
        steps = (4, 4, 4) if choice.small else full_steps
        device = ["--device", choice.device]
        words = [str(out), "--seed", str(seed), *device, "--steps", *map(str, steps)]
        words += ["--no-compile"] if choice.small else []
        return [sys.executable, "-m", "reproduction.training", *words]

    return Call(name, command, lambda out: load(out / "curves.json"), hours)


CALLS = (
    *(_call(f"training-seed{seed}", seed, STEPS, 0.28) for seed in SEEDS),
    _call("training-long", 1, LONG_STEPS, 1.05),
)


def often_validated(recipe: str, n_steps: int) -> str:
    """A recipe with ten points on its curve, or one where there are fewer steps."""
    every = f"validate_every = {n_steps // 10 or n_steps}"
    changed, n = re.subn(r"^validate_every = \d+$", every, recipe, flags=re.MULTILINE)
    if n != 1:
        sys.exit(f"{RECIPE} has {n} lines validate_every = N; one is needed")
    return changed


def ended(folder: Path, n_steps: int) -> bool:
    """Whether a training came to its last step; its files are there from the first one on."""
    curve = folder / "curve.csv"
    if not curve.exists() or (folder / "progress.pt").exists():
        return False
    last = curve.read_text().splitlines()[-1].split(",")
    return last[1] == str(n_steps)


def stages(out: Path, seed: int, steps: list[int], more: list[str]) -> None:
    """Train what isn't there."""
    out.mkdir(parents=True, exist_ok=True)
    for stage, n_steps in zip(STAGES, steps, strict=True):
        folder = out / stage
        if ended(folder, n_steps):
            continue
        recipe = out / f"{stage}.toml"
        recipe.write_text(often_validated(RECIPE.read_text(), n_steps))
        words = [recipe, "--data", RECIPE.parent, "--stage", stage, "--seed", seed]
        words += ["--n-steps", n_steps]
        words += ["--init", out / "direct" / "checkpoint.pt"] if stage == "finetune" else []
        going_on = (folder / "progress.pt").exists()
        words += [*more, "--out", folder, "--resume" if going_on else "--force"]
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
    (args.out / "curves.json").write_text(json.dumps(curves_of(args.out), indent=1) + "\n")
