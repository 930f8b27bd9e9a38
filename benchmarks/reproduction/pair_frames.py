"""``ncforce inspect-pair`` of frames of liquid water: what time steps alone do to T(H), T(O).

    python -m reproduction.pair_frames OUT [--frames 12] [--most 8]

Frame by frame, those that are there are kept; OUT/pair.json has the mean over them so far and its
standard error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ase.io
import numpy as np
from bounded import write_json
from diagnosing import frames

from reproduction.tasks import Numbers, load, must, ncforce

N_ATOMS = 96  # 32 H2O: a Jacobian takes a quarter of that of 64
STRETCH_PER_CM = 2500.0
SPECIES = "kinetic_temperature_"


def merged(found: list[Numbers]) -> Numbers:
    """Means over structures, each with modes of one."""
    scan = []
    for rows in zip(*(each["scan"] for each in found), strict=True):
        row: Numbers = {"M": rows[0]["M"], "n_structures": len(rows)}
        keys = [k for k in rows[0] if k.startswith(SPECIES) and not k.endswith("standard_error")]
        for key in (*keys, "n_growing", "total_growth_per_ps"):
            values = np.array([one[key] for one in rows], float)
            row[key] = float(values.mean())
            error = float(values.std(ddof=1) / len(rows) ** 0.5) if len(rows) > 1 else None
            row[f"{key}_standard_error"] = error
        scan.append(row)
    modes = [mode for each in found for mode in each["modes"]]
    delta = np.concatenate([mode["delta"] for mode in modes])
    stretch = np.concatenate([mode["wavenumber_per_cm"] for mode in modes]) > STRETCH_PER_CM
    return {
        "n_structures": len(found),
        "scan": scan,
        "delta_of_stretches_mean": float(delta[stretch].mean()) if stretch.any() else None,
        "delta_of_stretches_rms": float((delta[stretch] ** 2).mean() ** 0.5)
        if stretch.any()
        else None,
        "lambda_fast": [one for each in found for one in each["lambda_fast"]],
    }


def measure(out: Path, n_frames: int, most: int) -> None:
    """Frames of the test set, 300 K."""
    start = out / "water96.xyz"
    chosen = [a for a in frames("water", {"kind": "md", "T": 300}) if len(a) == N_ATOMS]
    ase.io.write(start, chosen)
    places = np.linspace(0, len(chosen) - 1, n_frames).round().astype(int)
    found = []
    for k in places[np.argsort(np.arange(n_frames) % 3, kind="stable")]:  # far apart first
        result = out / f"frame{k:02d}.json"
        if not result.exists():
            words = [f"{start}@{k}", "--model", "water", "--most-mts", most, "--json", result]
            must(ncforce("inspect-pair", *words))
        found.append(dict(load(result)["results"]))
        write_json(out / "pair.json", merged(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--most", type=int, default=8)
    args = parser.parse_args()
    measure(args.out, args.frames, args.most)
