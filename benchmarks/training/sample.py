"""Frames where a model itself goes: short MD of the model, and strained, displaced crystals.

    python benchmarks/training/sample.py carbon/rounds.toml --model MODEL.pt --out FRAMES.xyz

First half of a round of extending the data; ``label.py`` gives the frames energies and forces.  The
plan is a TOML file with two kinds of tables: ``[[dynamics]]``, Langevin MD by ASE with the model's
conservative force from frames of the data, and ``[[crystals]]``; keys are the dataclasses below.
A trajectory that leaves for nowhere (``MAX_FORCE``, ``MAX_HEATING``) ends, its frames so far stay.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomllib
from ase import Atoms, units
from ase.build import bulk, graphene
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from metatomic_ase import MetatomicCalculator

from ncforce_ipi.training.dataset import read_atoms

MAX_FORCE = 60.0  # eV/A
MAX_HEATING = 2.5  # times the temperature aimed for
VACUUM_A = 15.0

log = logging.getLogger("sample")


@dataclass(frozen=True)
class Dynamics:
    """MD from random frames of ``start`` ("train:liquid"); pairs are drawn uniformly between."""

    kind: str
    start: str
    trajectories: int
    temperature_K: tuple[float, float]
    length_fs: float
    every_fs: float
    scale: tuple[float, float] = (1.0, 1.0)  # of cell and positions
    timestep_fs: float = 1.0
    friction_per_fs: float = 0.01


@dataclass(frozen=True)
class Crystals:
    """``n`` supercells of ``lattice``: "graphene", or "diamond", "fcc" and others of ASE."""

    kind: str
    symbol: str
    lattice: str
    n: int
    a_A: tuple[float, float]
    repeat: tuple[int, int, int]
    strain: float = 0.0  # standard deviation of each component
    displacement_A: tuple[float, float] = (0.0, 0.0)  # Gaussian, standard deviation


def crystal(plan: Crystals, random: np.random.Generator) -> Atoms:
    """One strained, displaced supercell."""
    a = random.uniform(*plan.a_A)
    if plan.lattice == "graphene":
        atoms = graphene(f"{plan.symbol}2", a=a, vacuum=VACUUM_A / 2)
        atoms.pbc = True
    else:
        atoms = bulk(plan.symbol, plan.lattice, a=a, cubic=True)
    atoms *= plan.repeat
    strain = random.normal(0.0, plan.strain, (3, 3))
    strain = 0.5 * (strain + strain.T)
    if plan.lattice == "graphene":
        strain[2, :] = strain[:, 2] = 0.0
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.positions += random.normal(0.0, random.uniform(*plan.displacement_A), (len(atoms), 3))
    atoms.info = {"kind": plan.kind, "source": "crystal", "T": 0}
    return atoms


def trajectory(
    plan: Dynamics, start: Atoms, model: MetatomicCalculator, random: np.random.Generator
) -> Iterator[Atoms]:
    """Frames of one trajectory, the start itself left out."""
    atoms = Atoms(start.numbers, start.positions, cell=start.cell, pbc=start.pbc)
    atoms.set_cell(atoms.cell.array * random.uniform(*plan.scale), scale_atoms=True)
    temperature = random.uniform(*plan.temperature_K)
    atoms.calc = model
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=random)
    dynamics = Langevin(
        atoms,
        plan.timestep_fs * units.fs,
        temperature_K=temperature,
        friction=plan.friction_per_fs / units.fs,
        rng=random,
    )
    for _ in range(round(plan.length_fs / plan.every_fs)):
        dynamics.run(round(plan.every_fs / plan.timestep_fs))
        frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        frame.info = {"kind": plan.kind, "source": "student", "T": round(temperature)}
        yield frame
        largest, heating = np.abs(atoms.get_forces()).max(), atoms.get_temperature() / temperature
        if largest > MAX_FORCE or heating > MAX_HEATING:
            log.warning("%s, %.0f K: %.0f eV/A, stopped", plan.kind, temperature, largest)
            return


def pool(name: str, folder: Path) -> list[Atoms]:
    """Frames of a data file and kind, as a recipe names them."""
    stem, _, kind = name.partition(":")
    frames = read_atoms(folder / f"{stem}.xyz.xz")
    return [a for a in frames if kind in ("", a.info["kind"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("plan", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    plan = tomllib.loads(args.plan.read_text())
    random = np.random.default_rng(args.seed)
    model = MetatomicCalculator(args.model, device="cpu", check_consistency=False)
    frames = [
        crystal(c, random) for t in plan.get("crystals", []) for c in [Crystals(**t)] * t["n"]
    ]
    for table in plan.get("dynamics", []):
        dynamics = Dynamics(**table)
        starts = pool(dynamics.start, args.plan.parent)
        for _ in range(dynamics.trajectories):
            start = starts[int(random.integers(len(starts)))]
            frames += trajectory(dynamics, start, model, random)
        log.info("%s at %s K: %d frames by now", dynamics.kind, dynamics.temperature_K, len(frames))
    for frame in frames:
        frame.calc = None
    write(args.out, frames, format="extxyz")


if __name__ == "__main__":
    main()
