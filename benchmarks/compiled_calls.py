"""Calls of a shipped model compiled on a CPU (``--compile``), against the same through metatomic.

Milliseconds of the processor from numpy positions to numpy forces, in turns in one process, medians
at positions that change; ``first`` is the first call of the compiled model, which compiles it::

    OMP_NUM_THREADS=1 python benchmarks/compiled_calls.py water --out DIR
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from mts_overhead import WANTED

from ncforce_ipi.backend import Backend, Structure
from ncforce_ipi.drivers import metatomic
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.inputs.systems import system as known_system
from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256


def cpu_ms(call: Callable[[], object]) -> float:
    """Of the processor, for one call."""
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def measure(path: Path, structure: Structure, name: str, n_calls: int) -> dict[str, object]:
    """A row: one kind of call."""
    plain = metatomic.open_model(path, device="cpu")
    fast = metatomic.faster(metatomic.open_model(path, device="cpu"), False, compile=True)
    random = np.random.default_rng(1)
    start = time.perf_counter()
    fast.evaluate(structure, WANTED[name])
    row: dict[str, object] = {"atoms": len(structure.numbers), "call": name}
    row["first, s"] = time.perf_counter() - start
    by_name: dict[str, Backend] = {"metatomic": plain, "compiled": fast}
    times: dict[str, list[float]] = {label: [] for label in by_name}
    for _ in range(n_calls):
        moved = structure.positions + 0.01 * random.normal(size=structure.positions.shape)
        at = Structure(structure.numbers, moved, structure.cell)
        for label, backend in by_name.items():
            times[label].append(cpu_ms(partial(backend.evaluate, at, WANTED[name])))
    row |= {label: statistics.median(each) for label, each in times.items()}
    return row | {"why not": fast.why_not}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", nargs="?", default="water")
    parser.add_argument("--copies", type=int, default=1, help="along each axis")
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    args = parser.parse_args()
    atoms = read_structure(args.system) * (args.copies,) * 3
    structure = Structure(atoms.numbers.astype(np.int32), atoms.positions, atoms.cell.array)
    path = model_path(known_system(args.system).model)
    args.out.mkdir(parents=True, exist_ok=True)
    record: dict[str, object] = {"model_sha256": sha256(path), "calls": args.calls}
    record["rows"] = rows = []
    for name in WANTED:
        rows.append(measure(path, structure, name, args.calls))
        print(rows[-1], flush=True)
        text = json.dumps(record, indent=1)
        (args.out / f"compiled_calls_{args.system}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
