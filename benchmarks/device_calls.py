"""Calls of the shipped water model on a device: what each kind of force costs.

For 64 to 32768 H2O: milliseconds of a direct, conservative and joint call of our driver's model
with the structure as i-PI sends it (positions to the device, neighbour list, model, forces back),
of the preparation alone (positions and neighbour list), of the slowest of the first calls, in which
TorchScript compiles, and the largest memory of a call::

    OMP_NUM_THREADS=1 python benchmarks/device_calls.py --devices cuda cpu --out DIR
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from mts_overhead import WANTED
from rig import water

from ncforce_ipi.backend import Structure
from ncforce_ipi.drivers import metatomic
from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256

N_FIRST = 12  # calls that are not in the median
CPU_ATOMS = 12288  # beyond this a CPU takes minutes


class Calls:
    """The model on a device, called at positions that move a little from call to call."""

    def __init__(self, model: Path, device: str, atoms: Atoms) -> None:
        self.backend = metatomic.open_model(model, device=device)
        self.atoms, self.device = atoms, device
        self.random = np.random.default_rng(0)

    def structure(self) -> Structure:
        move = 0.01 * self.random.normal(size=self.atoms.positions.shape)
        numbers = self.atoms.numbers.astype(np.int32)
        return Structure(numbers, self.atoms.positions + move, np.array(self.atoms.cell))

    def once(self, name: str) -> float:
        """Milliseconds of one call, or of the preparation of one."""
        structure = self.structure()
        start = time.perf_counter()
        if name == "preparation":
            self.backend._system(structure, False)
            if self.device != "cpu":
                torch.cuda.synchronize()
        else:
            self.backend.evaluate(structure, WANTED[name])
        return 1e3 * (time.perf_counter() - start)


def measure(model: Path, device: str, atoms: Atoms, n_calls: int) -> dict[str, float]:
    """A row of the table."""
    calls = Calls(model, device, atoms)
    on_gpu = device != "cpu"
    n_first = N_FIRST if on_gpu else 1
    row: dict[str, float] = {"atoms": len(atoms)}
    first = {name: [calls.once(name) for _ in range(n_first)] for name in WANTED}
    row["slowest first"] = max(max(times) for times in first.values())
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    times: dict[str, list[float]] = {name: [] for name in (*WANTED, "preparation")}
    for _ in range(n_calls):
        for name, found in times.items():
            found.append(calls.once(name))
    row |= {name: statistics.median(found) for name, found in times.items()}
    if on_gpu:
        row["GB"] = torch.cuda.max_memory_allocated() / 1e9
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", nargs="+", default=["cuda"])
    parser.add_argument("--model", default="water")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    args = parser.parse_args()
    model = model_path(args.model)
    record: dict[str, object] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "torch": torch.__version__,
        "model_sha256": sha256(model),
        "threads": 1,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    for device in args.devices:
        name = "cpu" if device == "cpu" else torch.cuda.get_device_name(device)
        rows = []
        print(f"{name}: milliseconds of a call", flush=True)
        for n_copies in args.copies:
            atoms = water(n_copies)
            if device == "cpu" and len(atoms) > CPU_ATOMS:
                continue
            few = device == "cpu" and len(atoms) > 2000
            rows.append(measure(model, device, atoms, 2 if few else args.calls))
            print("  ".join(f"{key} {value:.5g}" for key, value in rows[-1].items()), flush=True)
            record[name] = rows
            (args.out / "device_calls.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
