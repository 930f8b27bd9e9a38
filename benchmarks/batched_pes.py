"""All beads in one request of i-PI's ``<ffdirect>``: our PES file beside i-PI's own metatomic PES.

Both are called as i-PI calls them, with lists of cells and positions in atomic units, in turns in
one process; ``loop`` is ours with one structure a request.  Milliseconds of CPU time for each
structure (other programs hardly count), smallest of all rounds, at positions that change from call
to call::

    OMP_NUM_THREADS=1 python benchmarks/batched_pes.py --out DIR
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rig import water

from ncforce_ipi.inputs.recipe import structure_xyz
from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256
from ncforce_ipi.serve.pes import Pes
from ncforce_ipi.units import BOHR_A

Call = Callable[[list[np.ndarray], list[np.ndarray]], Any]
KINDS = {"fast": True, "slow": False}  # role, and i-PI's word: non_conservative


def callers(template: str, model: str, role: str) -> dict[str, Call]:
    """What is compared."""
    from ipi.pes.metatomic import MetatomicDriver

    ours = Pes(template=template, model=model, role=role, joint=False)
    stock = MetatomicDriver(template, model, non_conservative=KINDS[role])

    def loop(cells: list[np.ndarray], positions: list[np.ndarray]) -> list[Any]:
        return [ours([h], [r])[0] for h, r in zip(cells, positions, strict=True)]

    return {"ours": ours, "loop": loop, "i-PI": stock}


def measure(template: str, model: str, sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    """Rows: role, structures, ms per structure of each, largest difference of the forces."""
    atoms, rng, rows = water(), np.random.default_rng(0), []
    cell = np.array(atoms.cell).T / BOHR_A
    for role in KINDS:
        calls = callers(template, model, role)
        for n in sizes:
            times: dict[str, list[float]] = {name: [] for name in calls}
            apart = 0.0
            for _ in range(rounds + 1):
                shifts = 0.05 * rng.normal(size=(n, len(atoms), 3))
                positions = list((atoms.positions + shifts) / BOHR_A)
                forces = {}
                for name, call in calls.items():
                    start = time.process_time()
                    found = call([cell] * n, positions)
                    times[name].append(1e3 * (time.process_time() - start) / n)
                    forces[name] = np.array([np.reshape(answer[1], (-1, 3)) for answer in found])
                apart = max(apart, float(np.abs(forces["ours"] - forces["i-PI"]).max()))
                if not np.array_equal(forces["ours"], forces["loop"]):
                    raise SystemExit("a batch isn't its structures one by one, bit by bit")
            best = {name: min(values[1:]) for name, values in times.items()}
            rows.append({"role": role, "structures": n, **best, "forces_apart_au": apart})
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="water")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    args = parser.parse_args()
    model = model_path(args.model)
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "init.xyz")
        template.write_text(structure_xyz(water()))
        rows = measure(str(template), str(model), args.sizes, args.rounds)
    record = {"model_sha256": sha256(model), "rounds": args.rounds, "rows": rows}
    (args.out / "batched_pes.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
