"""Calls of a model compiled on a CPU (``--compile``), against the same calls of it as it is.

Milliseconds of the processor from numpy positions to numpy forces, in turns in one process, medians
at positions that change.  ``first, s`` is the first call of the compiled model, which compiles it;
``ratio`` is that of the medians, ``from`` and ``to`` the smallest and largest of single turns::

    OMP_NUM_THREADS=1 python benchmarks/compiled_calls.py water --out DIR
    python benchmarks/compiled_calls.py water --model 'mace:FILE --trust' --atoms 96 --out DIR
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
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.inputs.systems import system as known_system
from ncforce_ipi.provenance import sha256
from ncforce_ipi.serve.load import load_model

DISPLACEMENT_A = 0.01


def cpu_ms(call: Callable[[], object]) -> float:
    """Of the processor, for one call."""
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def measure(
    plain: Backend, fast: Backend, structure: Structure, name: str, n_calls: int
) -> dict[str, object]:
    """A row: one kind of call."""
    random = np.random.default_rng(1)
    start = time.perf_counter()
    fast.evaluate(structure, WANTED[name])
    row: dict[str, object] = {"atoms": len(structure.numbers), "call": name}
    row["first, s"] = time.perf_counter() - start
    by_name = {"as it is": plain, "compiled": fast}
    times: dict[str, list[float]] = {label: [] for label in by_name}
    for _ in range(n_calls):
        move = DISPLACEMENT_A * random.normal(size=structure.positions.shape)
        at = Structure(structure.numbers, structure.positions + move, structure.cell)
        for label, backend in by_name.items():
            times[label].append(cpu_ms(partial(backend.evaluate, at, WANTED[name])))
    row |= {label: statistics.median(each) for label, each in times.items()}
    turns = [a / b for a, b in zip(*times.values(), strict=True)]
    row |= {"ratio": statistics.median(turns), "from": min(turns), "to": max(turns)}
    return row | {"why not": getattr(fast, "why_not", "")}


def start_structure(system: str, n_copies: int, n_atoms: int | None) -> Structure:
    """Of a shipped system, repeated, or its first atoms in the same cell."""
    atoms = read_structure(system).repeat(n_copies)[:n_atoms]
    return Structure(atoms.numbers.astype(np.int32), atoms.positions, atoms.cell.array)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", nargs="?", default="water")
    parser.add_argument("--model", help="any spelling of a model; default: the system's own")
    parser.add_argument("--copies", type=int, default=1, help="along each axis")
    parser.add_argument("--atoms", type=int, help="only the first so many, in the same cell")
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--name", help="of the result; default: of the system")
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    args = parser.parse_args()
    structure = start_structure(args.system, args.copies, args.atoms)
    model = args.model or known_system(args.system).model
    plain, fast = (load_model(model, device="cpu", compile=how) for how in (False, True))
    args.out.mkdir(parents=True, exist_ok=True)
    record: dict[str, object] = {"model": fast.description, "calls": args.calls}
    record["model_sha256"] = sha256(plain.source) if plain.source else ""
    record["rows"] = rows = []
    for name in (name for name, wanted in WANTED.items() if wanted.kinds <= plain.kinds):
        rows.append(measure(plain, fast, structure, name, args.calls))
        print(rows[-1], flush=True)
        text = json.dumps(record, indent=1)
        (args.out / f"compiled_calls_{args.name or args.system}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
