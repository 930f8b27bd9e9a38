"""Neighbour lists: made anew, or a Verlet list with a skin that is sorted into one order.

A reused list has its pairs in another order than a fresh one, so that the last bits of a force
would depend on what came before; sorting by (i, j, shift) mends that.  Milliseconds for one
structure, medians and means (a mean has the rebuilding in it), steps as of 0.5 fs at 300 K::

    OMP_NUM_THREADS=1 python benchmarks/neighbours.py
"""

import argparse
import statistics
import time

import numpy as np
import torch
import vesin
from rig import water

CUTOFF_A = 4.5
SKIN_A = 1.0
STEP_A = {1: 0.0079, 8: 0.0020}  # sqrt(k_B T / m) x 0.5 fs
STEPS = {1: 100, 2: 40, 4: 20}
METHODS: dict[str, dict[str, float]] = {
    "fresh": {},
    "skin": {"skin": SKIN_A},
    "skin + sort": {"skin": SKIN_A},
}


def sort(pairs: torch.Tensor, shifts: torch.Tensor, vectors: torch.Tensor) -> None:
    """Order by first atom, second atom, shift."""
    key = pairs[:, 0].long() * 2**20 + pairs[:, 1].long()
    for k in range(3):
        key = key * 64 + shifts[:, k] + 32
    order = key.argsort()
    _ = pairs[order], shifts[order], vectors[order]


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    for n_copies, n_steps in STEPS.items():
        atoms = water(n_copies)
        rng = np.random.default_rng(0)
        velocities = rng.normal(size=(len(atoms), 3))
        velocities *= np.array([STEP_A[number] for number in atoms.numbers])[:, None]
        cell, periodic = torch.tensor(np.array(atoms.cell)), torch.ones(3, dtype=torch.bool)
        finders = {
            name: vesin.NeighborList(cutoff=CUTOFF_A, full_list=False, **options)
            for name, options in METHODS.items()
        }
        times: dict[str, list[float]] = {name: [] for name in finders}
        for step in range(n_steps):
            positions = torch.tensor(atoms.positions + step * velocities)
            for name, finder in finders.items():
                start = time.perf_counter()
                found = finder.compute(positions, cell, periodic, quantities="PSD")
                if "sort" in name:
                    sort(*found)
                times[name].append(1e3 * (time.perf_counter() - start))
        print(f"{len(atoms)} atoms, {len(found[0])} pairs")
        for name, values in times.items():
            print(f"  {name:20} {statistics.median(values):8.2f} {statistics.mean(values):8.2f}")


if __name__ == "__main__":
    main()
