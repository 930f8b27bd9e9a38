"""Replicas of water in torch-sim and in ``ncforce run``: milliseconds of a step of one replica.

The shipped model, one kind of force, NVE at 0.5 fs, N replicas in one process of torch-sim (its
``MetatomicModel``, ``nve_step``, no output) and in one ``ncforce run --replicas N`` (i-PI, outputs,
checkpoints), in turns, one core.  torch-sim integrates in float32, i-PI in float64.  Seconds of the
processor, of all processes together: of torch-sim those of the steps; of a run those of a long
one less those of a short one, so that starting doesn't count.  Smallest of the rounds.  Both
must give the same forces first::

    OMP_NUM_THREADS=1 python benchmarks/torchsim.py --out DIR

torch-sim-atomistic 0.6 needs Python 3.12; besides it ``metatomic-torchsim``, ``vesin`` and ``ase``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from replicas import ran
from rig import INNER_STEP_FS, water

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.drivers import metatomic
from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256

FORCES = {"conservative": "slow", "direct": "fast"}  # by the words of ncforce run
N_WARM = 4  # steps, of a short run too
AGREE_EV_PER_A = 1e-4  # sums in another order in float32, positions rounded to float32
Numbers = dict[str, Any]


class TorchSim:
    """N replicas of the same start, with velocities of their own, ready to go on."""

    def __init__(self, kind: str, n_replicas: int) -> None:
        import torch
        import torch_sim as ts
        from torch_sim.models.metatomic import MetatomicModel
        from torch_sim.units import MetalUnits

        torch.set_num_threads(1)
        self.model = MetatomicModel(
            model_path("water"),
            device="cpu",
            compute_stress=False,
            non_conservative="forces" if kind == "direct" else False,
        )
        state = ts.initialize_state([water()] * n_replicas, torch.device("cpu"), torch.float32)
        state.rng = 5
        self._dt = INNER_STEP_FS * 1e-3 * float(MetalUnits.time)
        self._state = ts.nve_init(state, self.model, kT=300.0 * float(MetalUnits.temperature))
        self._step = ts.nve_step

    def forces(self) -> np.ndarray:
        """``(n_replicas * n_atoms, 3)``, eV/A, where it is."""
        return self._state.forces.numpy().astype(float)

    def run(self, n: int) -> float:
        """Milliseconds of the processor of a step, all replicas together."""
        start = time.process_time()
        for _ in range(n):
            self._state = self._step(self._state, self.model, dt=self._dt)
        return 1e3 * (time.process_time() - start) / n


def check(theirs: TorchSim, kind: str) -> float:
    """Largest difference of the forces from ours at the start, eV/A; it must be rounding."""
    ours, atoms = metatomic.load("water", device="cpu"), water()
    at = Structure(atoms.numbers.astype(np.int32), atoms.positions, atoms.cell.array)
    found = ours.evaluate(at, Wanted(frozenset([kind])))[kind].forces  # type: ignore[index,list-item]
    forces = theirs.forces().reshape(-1, *found.shape)
    if kind == "direct":  # torch-sim's come without their mean, as the driver sends ours
        found = found - found.mean(axis=0)
    apart = float(np.abs(forces - found).max())
    if apart > AGREE_EV_PER_A:
        raise SystemExit(f"{kind} forces differ by {apart} eV/A")
    return apart


def of_children_s() -> float:
    """Of the processor, of all processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def ours(directory: Path, kind: str, n_replicas: int, n_steps: int) -> float:
    """Milliseconds of the processor of a step, all replicas together."""
    spent = []
    for n in (N_WARM, N_WARM + n_steps):
        words = ["water", "--ensemble", "nve", "--forces", FORCES[kind]]
        words += ["--time-ps", repr(1e-3 * n * INNER_STEP_FS)]
        words += ["--replicas", str(n_replicas)] if n_replicas > 1 else []
        before = of_children_s()
        ran(directory, words)
        spent.append(of_children_s() - before)
        shutil.rmtree(directory)
    return 1e3 * (spent[1] - spent[0]) / n_steps


def measure(args: argparse.Namespace, kind: str, n: int) -> Numbers:
    """A row: ms of the processor of a step of one replica."""
    n_steps = max(args.replica_steps // n, 1)
    theirs = TorchSim(kind, n)
    row: Numbers = {"forces": kind, "replicas": n, "steps": n_steps}
    row["largest difference, eV/A"] = check(theirs, kind)
    theirs.run(N_WARM)
    turns = [
        (theirs.run(n_steps) / n, ours(args.out / "run", kind, n, n_steps) / n)
        for _ in range(args.rounds)
    ]
    row["torch-sim"], row["ncforce run"] = (min(each) for each in zip(*turns, strict=True))
    return row | {"ratio": row["ncforce run"] / row["torch-sim"], "turns": turns}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forces", nargs="+", choices=FORCES, default=list(FORCES))
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    parser.add_argument("--replica-steps", type=int, default=160, help="steps times replicas")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="directory of runs and results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    record: Numbers = {"model_sha256": sha256(model_path("water")), "rounds": args.rounds}
    record["rows"] = rows = []
    for kind in args.forces:
        for n in args.replicas:
            rows.append(measure(args, kind, n))
            print(rows[-1], flush=True)
            (args.out / "torchsim.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
