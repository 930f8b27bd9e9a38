"""Is the structure of a long run still whole? Neighbours of every atom in every frame.

    python benchmarks/intact.py RUN --bond-A 1.85 --out result.json

Counts neighbours within the bond length (about the first minimum of g(r)) in all frames that a
directory of ``ncforce run`` holds.  A crystal or a sheet is whole when every atom keeps the number
it began with; an amorphous network may exchange bonds, but keeps their mean number and lets no atom
go.  Beside that: the shortest distance ever, how far an atom gets from its
start against the centre of mass, temperature, and the drift of the conserved quantity.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from vesin import NeighborList

from ncforce_ipi.analysis.drift import fit_drift
from ncforce_ipi.reading.directory import trajectory_in
from ncforce_ipi.reading.properties import read_properties
from ncforce_ipi.reading.trajectory import open_trajectory
from ncforce_ipi.rundir import PROPERTIES_FILE, read_record


def coordination(
    positions_A: np.ndarray, cell_A: np.ndarray, bond_A: float
) -> tuple[np.ndarray, float]:
    """Neighbours of each atom, ``(n_atoms,)``, and the shortest of their distances, A."""
    first, distances_A = NeighborList(cutoff=bond_A, full_list=True).compute(
        points=positions_A, box=cell_A, periodic=True, quantities="id"
    )
    return np.bincount(first, minlength=len(positions_A)), float(distances_A.min())


def shares(counts: np.ndarray) -> dict[str, float]:
    """Share of atoms with each number of neighbours."""
    values, numbers = np.unique(counts, return_counts=True)
    return {str(v): round(float(n / counts.size), 4) for v, n in zip(values, numbers, strict=True)}


def structure(run: Path, bond_A: float) -> dict[str, object]:
    """All that the positions say."""
    trajectory = open_trajectory(trajectory_in(run, "positions"))
    counts, shortest_A, farthest_A = [], np.inf, 0.0
    start = None
    for block in trajectory.blocks(64):
        for positions_A, cell_A in zip(block.values, block.cells, strict=True):
            found, distance_A = coordination(positions_A, cell_A, bond_A)
            counts.append(found)
            shortest_A = min(shortest_A, distance_A)
            start = positions_A if start is None else start
            moved_A = positions_A - start
            moved_A = np.linalg.norm(moved_A - moved_A.mean(axis=0), axis=1)
            farthest_A = max(farthest_A, float(moved_A.max()))
    neighbours = np.array(counts)  # (n_frames, n_atoms)
    tenth = max(len(neighbours) // 10, 1)
    return {
        "n_frames": len(neighbours),
        "bond_A": bond_A,
        "shortest_A": shortest_A,
        "largest_displacement_A": farthest_A,
        "mean_coordination_first_tenth": float(neighbours[:tenth].mean()),
        "mean_coordination_last_tenth": float(neighbours[-tenth:].mean()),
        "shares_first_tenth": shares(neighbours[:tenth]),
        "shares_last_tenth": shares(neighbours[-tenth:]),
        "frames_with_an_atom_off_its_number": int((neighbours != neighbours[0]).any(axis=1).sum()),
        "frames_with_a_lone_atom": int((neighbours == 0).any(axis=1).sum()),
    }


def energies(run: Path) -> dict[str, float]:
    """Temperature and drift."""
    table, facts = read_properties(run / PROPERTIES_FILE), read_record(run)
    time_ps = table.column("time", "picosecond")
    conserved_meV = 1e3 * table.column("conserved", "electronvolt") / facts["n_atoms"]
    temperature_K = table.column("temperature", "kelvin")
    found = fit_drift(time_ps, conserved_meV)
    return {
        "time_ps": float(time_ps[-1] - time_ps[0]),
        "temperature_first_half_K": float(temperature_K[: len(time_ps) // 2].mean()),
        "temperature_second_half_K": float(temperature_K[len(time_ps) // 2 :].mean()),
        "drift_meV_per_atom_per_ps": found.slope,
        "drift_ci95_meV_per_atom_per_ps": found.ci95,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--bond-A", type=float, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    record = read_record(args.run)
    found = {"command": record["command"], "model_sha256": record["model"]["sha256"]}
    found |= energies(args.run) | structure(args.run, args.bond_A)
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
