"""Calls of the shipped water model for many structures at once: milliseconds of each structure.

``Backend.evaluate_batch`` of 1 to 64 copies of 64 H2O that all differ a little, for direct,
conservative and joint evaluation, through metatomic, by captured graphs (on a CPU: on the same
arrays, not captured) and, on a GPU, by captured graphs of compiled code::

    OMP_NUM_THREADS=1 python benchmarks/batched_calls.py --device cuda --out DIR
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from captured_calls import captures
from device_calls import N_FIRST, Calls
from mts_overhead import WANTED
from rig import water

from ncforce_ipi.backend import Backend
from ncforce_ipi.drivers import metatomic, metatomic_captured, metatomic_graphs
from ncforce_ipi.errors import ModelError
from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256


def once(backend: Backend, calls: Calls, n: int, name: str) -> float:
    """Milliseconds of one call for ``n`` structures."""
    structures = [calls.structure() for _ in range(n)]
    start = time.perf_counter()
    backend.evaluate_batch(structures, WANTED[name])
    return 1e3 * (time.perf_counter() - start)


def measure(backends: dict[str, Backend], calls: Calls, n: int, n_calls: int) -> dict[str, object]:
    """A row of the table: milliseconds per structure, medians of ``n_calls``."""
    n_first = N_FIRST if calls.device != "cpu" else 1
    row: dict[str, object] = {"structures": n}
    for label, backend in backends.items():
        for name in WANTED:
            try:
                found = [once(backend, calls, n, name) for _ in range(n_first + n_calls)]
            except ModelError as err:  # out of memory
                row[f"{name}{label}"] = str(err)
            else:
                row[f"{name}{label}"] = statistics.median(found[n_first:]) / n
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", default="water")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    args = parser.parse_args()
    model = model_path(args.model)
    calls = Calls(model, args.device, water())
    ways = captures(args.device)
    graphs = {"captured": next(iter(ways.values()))}
    graphs |= {"compiled": ways["compiled"]} if "compiled" in ways else {}
    backends: dict[str, Backend] = {"": calls.backend}
    for name, capture in graphs.items():
        eager = metatomic.open_model(model, device=args.device)
        how = metatomic_graphs.How(capture)
        backends[f", {name}"] = metatomic_captured.CapturedBackend(eager, how)
    record: dict[str, object] = {"model_sha256": sha256(model), "calls": args.calls}
    record["rows"] = rows = []
    args.out.mkdir(parents=True, exist_ok=True)
    for n in args.sizes:
        rows.append(measure(backends, calls, n, args.calls))
        record["why_not_captured"] = "; ".join(
            f"{name[2:]}: {backend.why_not}"
            for name, backend in backends.items()
            if isinstance(backend, metatomic_captured.CapturedBackend) and backend.why_not
        )
        print(rows[-1], flush=True)
        (args.out / "batched_calls.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
