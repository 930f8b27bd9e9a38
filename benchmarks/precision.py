"""What float32 does to forces, and how that depends on the size of the cell.

The shipped model of a system, called in float32 and in float64, at displaced copies of its start
structure: root mean square and largest difference of the forces, eV/A.  ``rounded`` are the
differences when pair vectors are made of positions in float32, as they are by i-PI's own metatomic
PES and by metatomic's ASE calculator::

    OMP_NUM_THREADS=1 python benchmarks/precision.py water --copies 1 2 4 --out DIR
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from ncforce_ipi.backend import Kind, Structure, Wanted
from ncforce_ipi.drivers import metatomic
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.inputs.systems import system as known_system
from ncforce_ipi.models import model_path

DISPLACEMENT_A = 0.02
KINDS: tuple[Kind, ...] = ("direct", "conservative")


def start(system: str, n_copies: int) -> Structure:
    """Copies along each axis, all atoms displaced."""
    atoms = read_structure(system) * (n_copies, n_copies, n_copies)
    moved = DISPLACEMENT_A * np.random.default_rng(3).normal(size=atoms.positions.shape)
    return Structure(atoms.numbers.astype(np.int32), atoms.positions + moved, atoms.cell.array)


def rounded(structure: Structure) -> Structure:
    """Positions and cell as float32 holds them: what the model sees of them then."""
    return Structure(
        structure.numbers,
        structure.positions.astype(np.float32).astype(float),
        structure.cell.astype(np.float32).astype(float),
    )


def measure(system: str, n_copies: int) -> list[dict[str, object]]:
    """Rows: one for each kind of force."""
    path = model_path(known_system(system).model)
    single, double = (metatomic.open_model(path, device="cpu") for _ in range(2))
    double.turn("float64")
    structure, rows = start(system, n_copies), []
    for kind in KINDS:
        wanted = Wanted(frozenset([kind]))
        exact = double.evaluate(structure, wanted)[kind].forces
        row: dict[str, object] = {"atoms": len(structure.numbers), "kind": kind}
        for name, at in (("ours", structure), ("rounded", rounded(structure))):
            apart = single.evaluate(at, wanted)[kind].forces - exact
            row[f"{name}, rms"] = float(np.sqrt((apart**2).mean()))
            row[f"{name}, largest"] = float(np.abs(apart).max())
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", nargs="?", default="water")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 2], help="along each axis")
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for n_copies in args.copies:
        for row in measure(args.system, n_copies):
            rows.append(row)
            print(row, flush=True)
        text = json.dumps({"system": args.system, "rows": rows}, indent=1)
        (args.out / f"precision_{args.system}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
