"""Calls of the shipped water model as captured CUDA graphs, against the same through metatomic.

Milliseconds from numpy positions to numpy forces, medians at positions that change from call to
call, for direct, conservative and joint calls: through metatomic, from a graph with TorchScript's
fused kernels, from one without, from one of compiled code, and of the replay alone.  ``list`` is a
new list of pairs, which an MD run needs every twentieth step or so.  A row says why where a graph
did not pass the gate.  On a CPU nothing is captured: the same calls, on the same arrays, as a
test::

    OMP_NUM_THREADS=1 python benchmarks/captured_calls.py --device cuda --out DIR
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from device_calls import N_FIRST, Calls
from mts_overhead import WANTED
from rig import water

from ncforce_ipi.backend import Backend, Wanted
from ncforce_ipi.drivers import (
    metatomic,
    metatomic_captured,
    metatomic_compiled,
    metatomic_graphs,
    pairlist,
)
from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256

Row = dict[str, object]


def captures(device: str) -> dict[str, metatomic_graphs.Capture]:
    """Ways to capture, by name."""
    if device == "cpu":
        return {"not captured": lambda function, arrays: partial(function, arrays)}
    return {
        "fused": metatomic_graphs.cuda_capture(device),
        "unfused": metatomic_graphs.cuda_capture(device, fused=False),
        "compiled": metatomic_compiled.compiled_graphs(device),
    }


def median_ms(call: Callable[[], object], n_calls: int, device: str) -> float:
    """Of calls that end when the device has done them."""
    times = []
    for _ in range(n_calls):
        start = time.perf_counter()
        call()
        if device != "cpu":
            torch.cuda.synchronize(device)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def evaluate(backend: Backend, calls: Calls, wanted: Wanted) -> None:
    """At new positions."""
    backend.evaluate(calls.structure(), wanted)


def measure(
    calls: Calls, name: str, how: dict[str, metatomic_captured.CapturedBackend], n_calls: int
) -> Row:
    """A row: one kind of call, at one size."""
    device, wanted = calls.device, WANTED[name]
    n_first = N_FIRST if device != "cpu" else 1
    row: Row = {"atoms": len(calls.atoms), "call": name}
    through = partial(evaluate, calls.backend, calls, wanted)
    median_ms(through, n_first, device)
    row["metatomic"] = median_ms(through, n_calls, device)
    for label, backend in how.items():
        start = time.perf_counter()
        evaluate(backend, calls, wanted)
        row[f"{label}, first call"] = 1e3 * (time.perf_counter() - start)
        row[label] = median_ms(partial(evaluate, backend, calls, wanted), n_calls, device)
        row[f"{label}, replay"] = None
        row[f"{label}, why not"] = backend.why_not
        if not backend.why_not:
            replay = backend.last_graph(wanted.kinds)
            row[f"{label}, replay"] = median_ms(replay, n_calls, device)
    structure = calls.structure()
    cutoff = calls.backend._model.module.net.cutoff
    row["list"] = median_ms(
        lambda: pairlist.find_pairs(structure, cutoff, backend._how.skin_A), n_calls, device
    )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", default="water")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 2], help="of 64 H2O, a side")
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    args = parser.parse_args()
    model = model_path(args.model)
    record: dict[str, object] = {"model_sha256": sha256(model), "calls": args.calls}
    record["rows"] = rows = []
    args.out.mkdir(parents=True, exist_ok=True)
    for n_copies in args.copies:
        calls = Calls(model, args.device, water(n_copies))
        how = {}
        for label, capture in captures(args.device).items():
            eager = metatomic.open_model(model, device=args.device)
            how[label] = metatomic_captured.CapturedBackend(eager, metatomic_graphs.How(capture))
        for name in WANTED:
            rows.append(measure(calls, name, how, args.calls))
            print(rows[-1], flush=True)
            (args.out / "captured_calls.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
