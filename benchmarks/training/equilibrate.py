"""Equilibrate a start structure with a model's conservative force: how ``xml_inputs`` was made.

    python benchmarks/training/equilibrate.py START.xyz --model water --out water.xyz
    python benchmarks/training/equilibrate.py graphene --a-A 2.467 --model carbon --out graphene.xyz
    python benchmarks/training/equilibrate.py ac64.xyz --repeat 2 2 2 --anneal-K 1500 ...

Langevin dynamics by ASE: with ``--anneal-K``, first 1 ps there with a friction of 1/(100 fs) and
1 ps of cooling; then 0.5 ps with 1/(50 fs) and 1.5 ps with 1/(200 fs) at the temperature itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import backends
import numpy as np
from ase import Atoms, units
from ase.build import bulk, make_supercell
from ase.build import graphene as hexagonal
from ase.io import iread, write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256

STAGES = ((500.0, 50.0), (1500.0, 200.0))  # length and inverse friction, fs
ANNEAL_FS, ANNEAL_MEMORY_FS, COOLING_STAGES = 1000.0, 100.0, 10
VACUUM_A = 15.0


def graphene(a_A: float) -> Atoms:
    """112 atoms, a nearly square sheet."""
    atoms = hexagonal("C2", a=a_A, vacuum=VACUUM_A / 2)
    atoms.pbc = True
    rectangle = make_supercell(atoms, [[1, 0, 0], [1, 2, 0], [0, 0, 1]])
    return rectangle * (7, 4, 1)


def start(args: argparse.Namespace) -> Atoms:
    """A crystal by its name, or a file."""
    if args.start == "graphene":
        return graphene(args.a_A)
    if args.start == "aluminium":
        return bulk("Al", "fcc", a=args.a_A, cubic=True) * (4, 4, 4)
    return next(iread(args.start, index=-1)) * tuple(args.repeat)


def schedule(args: argparse.Namespace) -> Iterator[tuple[float, float, float]]:
    """Length (fs), inverse friction (fs) and temperature (K) of every stage."""
    if args.anneal_K:
        yield ANNEAL_FS, ANNEAL_MEMORY_FS, args.anneal_K
        for k in range(COOLING_STAGES):
            share = (k + 1) / COOLING_STAGES
            between = args.anneal_K + share * (args.temperature_K - args.anneal_K)
            yield ANNEAL_FS / COOLING_STAGES, ANNEAL_MEMORY_FS, between
    for length_fs, memory_fs in STAGES:
        yield length_fs, memory_fs, args.temperature_K


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("start", help="file, graphene or aluminium")
    parser.add_argument("--a-A", type=float, help="lattice constant of a crystal")
    parser.add_argument("--repeat", type=int, nargs=3, default=[1, 1, 1])
    parser.add_argument("--anneal-K", type=float)
    parser.add_argument("--temperature-K", type=float, default=300.0)
    parser.add_argument("--timestep-fs", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--description", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(family="metatomic")
    args = backends.parse(parser, {"metatomic": "water"})
    path = model_path(args.model)
    atoms = start(args)
    atoms.calc = backends.ConservativeCalculator(backends.load(args))
    random = np.random.default_rng(args.seed)
    first_K = args.anneal_K or args.temperature_K
    MaxwellBoltzmannDistribution(atoms, temperature_K=first_K, rng=random)
    for length_fs, memory_fs, temperature_K in schedule(args):
        dynamics = Langevin(
            atoms,
            args.timestep_fs * units.fs,
            temperature_K=temperature_K,
            friction=1.0 / (memory_fs * units.fs),
            fixcm=False,
            rng=random,
        )
        dynamics.run(round(length_fs / args.timestep_fs))
        print(
            f"{length_fs:g} fs: {atoms.get_temperature():.0f} K, {atoms.get_potential_energy()} eV",
            flush=True,
        )
    atoms.calc = None
    atoms.set_momenta(None)
    atoms.info = {
        "model_sha256": sha256(path)[:12],
        "equilibrated_at_K": args.temperature_K,
    }
    if args.description:
        atoms.info["description"] = args.description
    write(args.out, atoms, format="extxyz", columns=["symbols", "positions"])


if __name__ == "__main__":
    main()
