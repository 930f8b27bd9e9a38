"""Numbers of a model card: errors by group of frames, stiffness of both forces, cost of a call.

    python benchmarks/model_card.py --data benchmarks/training/water/test.xyz.xz --kind md
    python benchmarks/model_card.py --model carbon --data benchmarks/training/carbon/test.xyz.xz \
        --by kind --bond C C

Frames without a cell have no errors of stress; without frames at ``--cold-K`` there is no stiffness
and no cost.  Everything is evaluated through the driver's backend, i.e. what a run would get.
Prints Markdown tables; ``--json FILE`` keeps the numbers.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ncforce_ipi.backend import Backend, Structure, Wanted
from ncforce_ipi.drivers import metatomic
from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256
from ncforce_ipi.training.dataset import read_atoms

BOTH = Wanted(frozenset({"conservative", "direct"}), direct_virial=True)
CONSERVATIVE = Wanted(frozenset({"conservative"}))
DIRECT = Wanted(frozenset({"direct"}))
MOVED = 128


def structure(atoms: Atoms, positions: np.ndarray | None = None) -> Structure:
    x = atoms.positions if positions is None else positions
    return Structure(atoms.numbers.astype(np.int32), x.copy(), atoms.cell.array.copy())


def frame_errors(backend: Backend, atoms: Atoms) -> dict[str, np.ndarray]:
    """Errors of one frame: forces eV/A, energy eV/atom, stress eV/A^3."""
    found = backend.evaluate(structure(atoms), BOTH)
    slow, fast, true = found["conservative"], found["direct"], atoms.get_forces()
    errors = {
        "conservative": slow.forces - true,
        "direct": fast.forces - true,
        "difference": fast.forces - slow.forces,
        "energy": np.array([slow.energy - atoms.get_potential_energy()]) / len(atoms),
        "force": true,
    }
    if atoms.pbc.any():
        volume, stress = atoms.get_volume(), atoms.get_stress(voigt=False)
        errors["stress_conservative"] = -slow.virial / volume - stress
        errors["stress_direct"] = -fast.virial / volume - stress
    return errors


def error_table(backend: Backend, frames: Sequence[Atoms], by: str) -> list[dict[str, Any]]:
    """One row per value of ``by``, the last for all: RMSE and MAE of forces, RMSE of the rest."""
    errors = [(a.info[by], frame_errors(backend, a)) for a in frames]
    groups = sorted({group for group, _ in errors})
    rows = []
    for group in [*groups, "all"]:
        chosen = [e for other, e in errors if group in ("all", other)]
        joined = {k: np.concatenate([e[k].ravel() for e in chosen]) for k in chosen[0]}
        row = {by: str(group), "n_frames": len(chosen)}
        for key in ("conservative", "direct", "difference", "force"):
            row[f"{key}_rmse_meV_per_A"] = 1e3 * rms(joined[key])
            row[f"{key}_mae_meV_per_A"] = 1e3 * float(np.abs(joined[key]).mean())
        row["energy_rmse_meV_per_atom"] = 1e3 * rms(joined["energy"])
        for key in ("stress_conservative", "stress_direct"):
            if key in joined:
                row[f"{key}_rmse_meV_per_A3"] = 1e3 * rms(joined[key])
        rows.append(row)
    return rows


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))


def stiffness(
    backend: Backend, frames: Sequence[Atoms], bond: Sequence[str], step_A: float = 0.01
) -> dict[str, float]:
    """k = -dF.u/dx of atoms moved along the bond to their nearest neighbour by +-``step_A``.

    ``bond`` ("O", "H"): of each H, and its nearest O, with both forces; at most
    ``MOVED`` atoms of a frame.

    At 0.01 A the rounding of float32 forces (1e-5 eV/A) stays below 0.001 eV/A^2 and the cubic
    term of the central difference below 0.1 % of k.
    """
    slow, fast = [], []
    for atoms in frames:
        symbols = np.array(atoms.get_chemical_symbols())
        for h in np.flatnonzero(symbols == bond[1])[:MOVED]:
            others = np.setdiff1d(np.flatnonzero(symbols == bond[0]), [h])
            vectors = atoms.get_distances(h, others, mic=True, vector=True)
            nearest = vectors[np.linalg.norm(vectors, axis=1).argmin()]
            unit = -nearest / np.linalg.norm(nearest)
            k = {"conservative": 0.0, "direct": 0.0}
            for sign in (1, -1):
                x = atoms.positions.copy()
                x[h] += sign * step_A * unit
                for kind, e in backend.evaluate(structure(atoms, x), BOTH).items():
                    k[kind] -= sign * float(e.forces[h] @ unit) / (2 * step_A)
            slow.append(k["conservative"])
            fast.append(k["direct"])
    if not slow:
        raise SystemExit(f"no {'-'.join(bond)} bond in these frames; name two elements with --bond")
    ratio = np.array(slow) / np.array(fast) - 1
    return {
        "n_bonds": len(ratio),
        "k_slow_mean_eV_per_A2": float(np.mean(slow)),
        "k_fast_mean_eV_per_A2": float(np.mean(fast)),
        "ratio_minus_1_mean": float(ratio.mean()),
        "abs_ratio_minus_1_mean": float(np.abs(ratio).mean()),
        "abs_ratio_minus_1_p95": float(np.percentile(np.abs(ratio), 95)),
        "abs_ratio_minus_1_max": float(np.abs(ratio).max()),
    }


def cost(backend: Backend, atoms: Atoms, n: int = 40) -> dict[str, float]:
    """Median ms of a call, the three kinds in turn on slightly moving atoms."""
    random = np.random.default_rng(0)
    kinds = (("direct", DIRECT), ("conservative", CONSERVATIVE), ("both", BOTH))
    times: dict[str, list[float]] = {name: [] for name, _ in kinds}
    for _ in range(n + 10):
        moved = structure(atoms, atoms.positions + random.normal(0, 1e-3, atoms.positions.shape))
        for name, wanted in kinds:
            start = time.perf_counter()
            backend.evaluate(moved, wanted)
            times[name].append(time.perf_counter() - start)
    medians = {k: 1e3 * float(np.median(v[10:])) for k, v in times.items()}
    ratio = np.array(times["conservative"][10:]) / np.array(times["direct"][10:])
    result = {f"{k}_ms": v for k, v in medians.items()}
    return {"n_atoms": len(atoms), **result, "conservative_over_direct": float(np.median(ratio))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="water")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device")
    parser.add_argument("--kind", help="frames of this kind only, e.g. md")
    parser.add_argument("--by", default="T", choices=("T", "kind"), help="groups of the table")
    parser.add_argument("--bond", nargs=2, default=["O", "H"], metavar="SYMBOL")
    parser.add_argument("--cold-K", type=float, default=300.0, help="frames for the stiffness")
    parser.add_argument("--stiffness-frames", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    path = Path(args.model) if args.model.endswith(".pt") else model_path(args.model)
    backend = metatomic.open_model(path, device=args.device, threads=args.threads)
    frames = [a for a in read_atoms(args.data) if args.kind in (None, a.info["kind"])]
    cold = [a for a in frames if a.info["T"] == args.cold_K]
    small = sorted(cold, key=len)
    picked = small[:: max(1, len(small) // args.stiffness_frames)][: args.stiffness_frames]
    result: dict[str, Any] = {
        "model_sha256": sha256(path),
        "errors": error_table(backend, frames, args.by),
    }
    if cold:
        result["stiffness"] = stiffness(backend, picked, args.bond)
        result["cost"] = cost(backend, max(cold, key=len))
    show(result, args.by)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def show(result: dict[str, Any], by: str) -> None:
    columns = {
        {"T": "T / K", "kind": "kind"}[by]: by,
        "frames": "n_frames",
        "conservative": "conservative_rmse_meV_per_A",
        "direct": "direct_rmse_meV_per_A",
        "direct - conservative": "difference_rmse_meV_per_A",
        "force itself": "force_rmse_meV_per_A",
        "energy": "energy_rmse_meV_per_atom",
        "stress (cons.)": "stress_conservative_rmse_meV_per_A3",
        "stress (direct)": "stress_direct_rmse_meV_per_A3",
    }
    columns = {title: key for title, key in columns.items() if key in result["errors"][0]}
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in result["errors"]:
        cells = [f"{v:.4g}" if isinstance(v := row[k], float) else str(v) for k in columns.values()]
        print("| " + " | ".join(cells) + " |")
    for name in ("stiffness", "cost"):
        if name not in result:
            continue
        print(f"\n{name}: " + ", ".join(f"{k} {v:.4g}" for k, v in result[name].items()))


if __name__ == "__main__":
    main()
