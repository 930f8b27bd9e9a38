"""Milliseconds of a call of each model here, from which hours are estimated.

python -m reproduction.calls OUT [--device cpu] [--compile]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import ase.io

import ncforce_ipi as nc
from ncforce_ipi import xml_inputs

MODELS = {
    "water": "water", "graphene": "carbon", "amorphous-carbon": "carbon",
    "aluminium": "aluminium", "o-on-cu3al": "cu3al-o",
}  # fmt: skip
HOST_MS = {"cpu": 1.0}  # i-PI and the driver for each step; of other devices as of a CPU


def start(system: str) -> Any:
    """The start structure of a system."""
    return ase.io.read(Path(str(xml_inputs.__path__[0])) / f"{system}.xyz")


def milliseconds(model: nc.Model, atoms: Any, kind: Any, calls: int) -> list[float]:
    """Of calls at positions that change, after two that warm up.

    Of the processor on a CPU, so that other jobs there don't count.
    """
    on_cpu = "cpu" in model.description
    clock = time.process_time if on_cpu else time.perf_counter
    found = []
    for n in range(calls + 2):
        moved = atoms.copy()
        moved.rattle(1e-3, seed=n)
        begin = clock()
        model.evaluate(moved, kind)
        found.append(1e3 * (clock() - begin))
    return found[2:]


def of_systems(device: str, calls: int, compiled: bool = False) -> dict[str, Any]:
    """Of each system with slow and with fast forces, the quickest call, and of i-PI."""
    options: dict[str, Any] = {"compile": True} if compiled else {}
    found = {}
    for system, name in MODELS.items():
        atoms = start(system)
        with nc.load(name, device=device, **options) as model:
            ms = {
                role: min(milliseconds(model, atoms, kind, calls))
                for role, kind in (("slow_ms", "conservative"), ("fast_ms", "direct"))
            }
        found[system] = {role: value + HOST_MS["cpu"] for role, value in ms.items()}
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--calls", type=int, default=5)
    args = parser.parse_args()
    result = of_systems(args.device, args.calls, args.compile)
    (args.out / "calls.json").write_text(json.dumps(result, indent=1) + "\n")
