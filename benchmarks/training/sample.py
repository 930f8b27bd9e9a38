"""Frames where a model itself goes: short MD and relaxations of the model; displaced structures.

    python benchmarks/training/sample.py carbon/rounds.toml --model MODEL.pt --out FRAMES.xyz

First half of a round of extending the data; ``label.py`` gives the frames energies and forces.  The
plan is a TOML file with tables ``[[dynamics]]``, Langevin MD by ASE with the model's conservative
force from frames of the data, ``[[relaxations]]`` from displaced atoms likewise, ``[[displaced]]``,
``[[crystals]]`` and ``[[slabs]]``; keys are the dataclasses below.
``--family sevennet --model 7net-0`` lets the teacher move the atoms itself.  A trajectory that
leaves for nowhere (``MAX_FORCE``, ``MAX_HEATING``) ends, its frames so far stay.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import backends
import numpy as np
import tomllib
from ase import Atoms, optimize, units
from ase.build import bulk, graphene, surface
from ase.calculators.calculator import Calculator
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from ncforce_ipi.training.dataset import read_atoms

MAX_FORCE = 60.0  # eV/A
MAX_HEATING = 2.5  # times the temperature at the start
VACUUM_A = 15.0

log = logging.getLogger("sample")


@dataclass(frozen=True)
class Dynamics:
    """MD from random frames of ``start`` ("train:liquid"); pairs are drawn uniformly between.

    With ``quench_to_K`` the thermostat goes linearly to a temperature drawn from there.
    """

    kind: str
    start: str
    trajectories: int
    temperature_K: tuple[float, float]
    length_fs: float
    every_fs: float
    scale: tuple[float, float] = (1.0, 1.0)  # of cell and positions
    timestep_fs: float = 1.0
    friction_per_fs: float = 0.01
    quench_to_K: tuple[float, float] | None = None


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


@dataclass(frozen=True)
class Slabs:
    """``n`` (111) slabs of L1_2 ``host``3 ``guest``, an adsorbate over a random place or none."""

    kind: str
    host: str
    guest: str
    adsorbate: str
    n: int
    a_A: tuple[float, float]
    height_A: tuple[float, float]  # above the top layer
    layers: int = 3
    repeat: tuple[int, int, int] = (2, 2, 1)
    bare: float = 0.1  # share of slabs without the adsorbate
    displacement_A: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Displaced:
    """``n`` frames: each of ``start`` in turn, with gaussian noise on every coordinate."""

    kind: str
    start: str
    n: int
    displacement_A: tuple[float, float]  # standard deviation, one for each frame


@dataclass(frozen=True)
class Relaxations:
    """ASE's optimiser from ``displaced`` frames, each frame after one of ``at_steps`` is kept."""

    kind: str
    start: str
    n: int
    displacement_A: tuple[float, float]
    at_steps: tuple[int, ...]
    optimiser: str = "LBFGS"


def displaced(
    plan: Displaced | Relaxations, starts: list[Atoms], random: np.random.Generator
) -> Iterator[Atoms]:
    """Its frames."""
    for k in range(plan.n):
        start = starts[k % len(starts)]
        noise = random.normal(0.0, random.uniform(*plan.displacement_A), (len(start), 3))
        frame = Atoms(start.numbers, start.positions + noise, cell=start.cell, pbc=start.pbc)
        frame.info = {"kind": plan.kind, "source": "displaced", "T": 0}
        yield frame


def relaxation(plan: Relaxations, start: Atoms, model: Calculator, source: str) -> Iterator[Atoms]:
    """Frames of one optimisation; it ends early where nothing is left to relax."""
    atoms = Atoms(start.numbers, start.positions, cell=start.cell, pbc=start.pbc)
    atoms.calc = model
    moves = getattr(optimize, plan.optimiser)(atoms, logfile=None)
    for k, _ in enumerate(moves.irun(fmax=0.01, steps=max(plan.at_steps))):
        if k in plan.at_steps:
            frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            frame.info = {"kind": plan.kind, "source": source, "T": 0}
            yield frame


def slab(plan: Slabs, random: np.random.Generator) -> Atoms:
    """One slab."""
    cubic = bulk(plan.host, "fcc", a=random.uniform(*plan.a_A), cubic=True)
    cubic.symbols[0] = plan.guest
    atoms = surface(cubic, (1, 1, 1), plan.layers, vacuum=VACUUM_A / 2, periodic=True) * plan.repeat
    atoms.positions += random.normal(0.0, random.uniform(*plan.displacement_A), (len(atoms), 3))
    if random.random() > plan.bare:
        place = random.random(2) @ atoms.cell.array[:2]
        place[2] = atoms.positions[:, 2].max() + random.uniform(*plan.height_A)
        atoms += Atoms(plan.adsorbate, [place])
    atoms.info = {"kind": plan.kind, "source": "slab", "T": 0}
    return atoms


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
    plan: Dynamics, start: Atoms, model: Calculator, source: str, random: np.random.Generator
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
        fixcm=False,
        rng=random,
    )
    final = random.uniform(*plan.quench_to_K) if plan.quench_to_K else temperature
    for aim in np.linspace(temperature, final, round(plan.length_fs / plan.every_fs)):
        dynamics.set_temperature(temperature_K=aim)
        dynamics.run(round(plan.every_fs / plan.timestep_fs))
        frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        frame.info = {"kind": plan.kind, "source": source, "T": round(aim)}
        yield frame
        largest, heating = np.abs(atoms.get_forces()).max(), atoms.get_temperature() / temperature
        if largest > MAX_FORCE or heating > MAX_HEATING:
            log.warning("%s, %.0f K: %.0f eV/A, stopped", plan.kind, aim, largest)
            return


def pool(name: str, folder: Path) -> list[Atoms]:
    """Frames of a data file and kind, as a recipe names them."""
    stem, _, kind = name.partition(":")
    frames = read_atoms(folder / f"{stem}.xyz.xz")
    return [a for a in frames if kind in ("", a.info["kind"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("plan", type=Path)
    parser.add_argument("--family", default="metatomic")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = backends.parse(parser)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    plan = tomllib.loads(args.plan.read_text())
    random = np.random.default_rng(args.seed)
    source = "student" if args.family == "metatomic" else "teacher"
    model = backends.ConservativeCalculator(backends.load(args))
    frames = [
        crystal(c, random) for t in plan.get("crystals", []) for c in [Crystals(**t)] * t["n"]
    ]
    frames += [slab(p, random) for t in plan.get("slabs", []) for p in [Slabs(**t)] * t["n"]]
    for table in plan.get("displaced", []):
        moved = Displaced(**table)
        frames += displaced(moved, pool(moved.start, args.plan.parent), random)
    for table in plan.get("relaxations", []):
        relaxed = Relaxations(**table)
        for start in displaced(relaxed, pool(relaxed.start, args.plan.parent), random):
            frames += relaxation(relaxed, start, model, source)
        log.info("%s: %d frames by now", relaxed.kind, len(frames))
    for table in plan.get("dynamics", []):
        dynamics = Dynamics(**table)
        starts = pool(dynamics.start, args.plan.parent)
        for _ in range(dynamics.trajectories):
            start = starts[int(random.integers(len(starts)))]
            frames += trajectory(dynamics, start, model, source, random)
        log.info("%s at %s K: %d frames by now", dynamics.kind, dynamics.temperature_K, len(frames))
    for frame in frames:
        frame.calc = None
    write(args.out, frames, format="extxyz")


if __name__ == "__main__":
    main()
