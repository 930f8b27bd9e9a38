"""Energies, forces and stresses of a teacher for frames: data files for training.

    python benchmarks/training/label.py FRAMES.xyz --family sevennet --model 7net-0 --out X.xyz.xz

Any conservative model of ``ipi_drivers`` can teach.  Frames with a force beyond ``--max-force``
are dropped: a few would own the loss.  Numbers are rounded far below any model's errors.
"""

from __future__ import annotations

import argparse
import io
import logging
import lzma
from pathlib import Path

import backends
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ncforce_ipi.backend import Backend
from ncforce_ipi.training.dataset import read_atoms

log = logging.getLogger("label")


def label(atoms: Atoms, teacher: Backend) -> Atoms:
    """A copy with the teacher's labels: 1e-5 A, 1e-5 eV, 1e-4 eV/A, 1e-6 eV/A^3 (if periodic)."""
    result = Atoms(
        atoms.numbers, atoms.positions.round(5), cell=atoms.cell, pbc=atoms.pbc, info=atoms.info
    )
    found = teacher.evaluate(backends.structure(result), backends.CONSERVATIVE)["conservative"]
    labels = {"energy": round(found.energy, 5), "forces": found.forces.round(4)}
    if atoms.pbc.any():
        stress = (-found.virial / atoms.get_volume()).round(6)
        labels["stress"] = stress.flat[[0, 4, 8, 5, 2, 1]]  # Voigt
    result.calc = SinglePointCalculator(result, **labels)
    return result


def save(frames: list[Atoms], path: Path) -> None:
    """Extended xyz; compressed where the name ends in .xz."""
    text = io.StringIO()
    write(text, frames, format="extxyz")
    data = text.getvalue().encode()
    path.write_bytes(lzma.compress(data, preset=9) if path.suffix == ".xz" else data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("frames", type=Path, nargs="+")
    parser.add_argument("--family", default="sevennet")
    parser.add_argument("--max-force", type=float, default=30.0, help="eV/A")
    parser.add_argument("--out", type=Path, required=True)
    args = backends.parse(parser, {"sevennet": "7net-0"})
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    teacher = backends.load(args)
    log.info("teacher: %s", teacher.description)
    frames = [a for path in args.frames for a in read_atoms(path)]
    kept = []
    for k, atoms in enumerate(frames):
        labelled = label(atoms, teacher)
        if np.abs(labelled.get_forces()).max() <= args.max_force:
            kept.append(labelled)
        if (k + 1) % 50 == 0:
            save(kept, args.out)
            log.info("%d of %d", k + 1, len(frames))
    save(kept, args.out)
    log.info("%d frames labelled, %d kept", len(frames), len(kept))


if __name__ == "__main__":
    main()
