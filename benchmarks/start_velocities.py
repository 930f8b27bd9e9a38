"""Start velocities for a system whose start structure is equilibrated, so that T is what it says.

    python benchmarks/start_velocities.py water --seed 3 --start-K 331 --out VELOCITIES.xyz

In equilibrium velocities don't know of positions, so a Maxwell-Boltzmann draw is one.  But its
kinetic energy is anything within 6 % of the mean (192 atoms), a frame's potential energy isn't the
mean either, and a run at constant energy keeps what it got: from the random velocities of seed 1
``water`` reads 287 K over a picosecond, where 300 K was asked for.  So the draw is scaled to
``--start-K``, its centre of mass at rest.  To find it, run NVE from the file and compare the mean
temperature with the one wanted: of a kelvin more at the start about half stays kinetic.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from ncforce_ipi.inputs.structure import read_structure


def main() -> None:
    """Write structure and momenta as extended xyz, in ASE's units."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("structure", help="shipped system or file")
    parser.add_argument("--seed", type=int, default=3, help="of the draw, default 3")
    parser.add_argument(
        "--start-K", type=float, required=True, help="of the velocities without the centre of mass"
    )
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    atoms = read_structure(args.structure)
    atoms.set_velocities(drawn(atoms, args.start_K, np.random.default_rng(args.seed)))
    columns = ["symbols", "positions", "momenta"]
    ase.io.write(args.out, atoms, format="extxyz", columns=columns)


def drawn(atoms: Atoms, temperature_K: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Velocities ``(n_atoms, 3)``, ASE's unit: normal, at rest as a whole, scaled to exactly T."""
    masses = atoms.get_masses()[:, None]
    velocities = random.standard_normal((len(atoms), 3)) / np.sqrt(masses)
    velocities -= (masses * velocities).sum(0) / masses.sum()
    twice_kinetic = (masses * velocities**2).sum()
    wanted = (3 * len(atoms) - 3) * units.kB * temperature_K
    return velocities * np.sqrt(wanted / twice_kinetic)


if __name__ == "__main__":
    main()
