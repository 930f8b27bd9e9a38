"""Equilibrate a start structure with a model's conservative force: how ``xml_inputs`` was made.

    python benchmarks/training/equilibrate.py START.xyz --model water --out water.xyz

Langevin dynamics by ASE: 0.5 ps with a friction of 1/(50 fs), then 1.5 ps with 1/(200 fs).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import units
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from metatomic_ase import MetatomicCalculator

from ncforce_ipi.models import model_path, sha256

STAGES = ((500.0, 50.0), (1500.0, 200.0))  # length and inverse friction, fs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("start", type=Path)
    parser.add_argument("--model", default="water")
    parser.add_argument("--temperature-K", type=float, default=300.0)
    parser.add_argument("--timestep-fs", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    path = model_path(args.model)
    atoms = read(args.start)
    atoms.calc = MetatomicCalculator(path, device="cpu", check_consistency=False)
    random = np.random.default_rng(args.seed)
    MaxwellBoltzmannDistribution(atoms, temperature_K=args.temperature_K, rng=random)
    for length_fs, memory_fs in STAGES:
        dynamics = Langevin(
            atoms,
            args.timestep_fs * units.fs,
            temperature_K=args.temperature_K,
            friction=1.0 / (memory_fs * units.fs),
            rng=random,
        )
        dynamics.run(round(length_fs / args.timestep_fs))
        print(
            f"{length_fs:g} fs: {atoms.get_temperature():.0f} K, {atoms.get_potential_energy()} eV"
        )
    atoms.calc = None
    atoms.set_momenta(None)
    atoms.info = {
        "model_sha256": sha256(path)[:12],
        "equilibrated_at_K": args.temperature_K,
    }
    write(args.out, atoms, format="extxyz", columns=["symbols", "positions"])


if __name__ == "__main__":
    main()
