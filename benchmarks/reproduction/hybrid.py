"""What a model with an energy and a direct force of its own can do on water.

Errors, asymmetry, modes that grow, and drifts at constant energy: each by the command for it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import resumable

from reproduction import values
from reproduction.tasks import ncforce

STEP_FS = 0.5
RUNS = ("slow", "fast", "mts2", "mts4", "mts8")
N_JACOBIANS = 4


def errors(model: str, test: list[Any]) -> dict[str, float]:
    """Mean absolute errors of forces, meV/A, on test frames, each with its standard error."""
    import ncforce_ipi as nc

    found = {}
    with nc.load(model) as loaded:
        for kind in ("conservative", "direct"):
            each = [
                1e3 * np.abs(loaded.evaluate(a, kind).forces - a.arrays["forces"]).mean()
                for a in test
            ]
            found[f"{kind}_mae_meV_per_A"] = float(np.mean(each))
            error = float(np.std(each, ddof=1) / np.sqrt(len(each)))
            found[f"{kind}_mae_standard_error_meV_per_A"] = error
    return found


def pair(model: str, start: Path, out: Path) -> dict[str, Any]:
    """``ncforce inspect-pair`` of the first two frames, in short."""
    result = out / "pair.json"
    words = [f"{start}@:2", "--model", model, "--json", result, "--force"]
    subprocess.run(ncforce("inspect-pair", *words), check=True)
    found = json.loads(result.read_text())["results"]
    kept = ("rmse_meV_per_A", "cost", "largest_M_without_growth")
    return {key: found[key] for key in kept}


def asymmetry(model: str, start: Path, out: Path) -> dict[str, Any]:
    """Lambda of the direct force: over some frames, and the standard error of that."""
    result = out / "jacobian.json"
    words = [start, "--frames", N_JACOBIANS, "--kind", "direct", "--model", model]
    subprocess.run(ncforce("jacobian", *words, "--json", result, "--force"), check=True)
    found = json.loads(result.read_text())["results"][0]
    return {"lambda": found["lambda"], "lambda_standard_error": found["lambda_error"]}


def drifts(
    model: str,
    start: Path,
    out: Path,
    ps: float,
    runs: tuple[str, ...] = RUNS,
    device: str = "cpu",
) -> dict[str, Any]:
    """Of NVE from the first frame, by forces; why there is none where a run ends early.

    Drifts are in meV/atom/ps, each with its 95 % interval.
    """
    found = {}
    for forces in runs:
        folder = out / f"nve-{forces}"
        mts = ["mts", "--mts", forces[3:]] if forces.startswith("mts") else [forces]
        words = ["--model", model, "--ensemble", "nve", "--timestep-fs", str(STEP_FS)]
        words += ["--forces", *mts]
        command = resumable.command(folder, f"--structure={start}@0", words, device, ps)
        if command:
            subprocess.run(command, check=False)
        numbers = resumable.analysed(folder)
        record = resumable.record_of(folder)
        measured = values.drift(numbers)
        found[forces] = {
            "ps": numbers["ps"],
            "drift_meV_per_atom_per_ps": measured and measured[0],
            "drift_ci95_meV_per_atom_per_ps": measured and measured[1],
            "why": "" if record.get("state") == "finished" else record.get("reason", "no run"),
        }
    return found
