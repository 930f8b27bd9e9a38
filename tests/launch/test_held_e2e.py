"""Held atoms in real runs: they stay, the others move, and i-PI counts the rest."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.constraints import FixAtoms, FixCartesian

from ncforce_ipi import cli
from ncforce_ipi.inputs.held import held
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.reading.properties import read_properties
from ncforce_ipi.reading.trajectory import open_trajectory
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

pytestmark = pytest.mark.e2e
KELVIN = 40.0


def argon():
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True) * (2, 1, 1)
    atoms.positions += np.random.default_rng(0).normal(0, 0.05, atoms.positions.shape)
    return atoms


CASES = {
    "atoms": (FixAtoms([1, 4, 6]), ["--forces", "mts", "--mts", "2", "--ensemble", "langevin"]),
    "coordinates": (
        FixCartesian([1, 4], mask=(False, True, True)),
        ["--forces", "mts", "--mts", "2", "--ensemble", "svr"],
    ),
    "beads": (FixAtoms([0]), ["--forces", "slow", "--ensemble", "langevin", "--beads", "2"]),
}


@pytest.mark.parametrize("case", CASES)
def test_held_atoms_stay(tmp_path, case):
    atoms = argon()
    constraint, words = CASES[case]
    atoms.set_constraint(constraint)
    ase.io.write(tmp_path / "held.traj", atoms)
    start = ["--model", "analytic:lennard-jones", "--structure", str(tmp_path / "held.traj")]
    time = ["--timestep-fs", "4", "--time-ps", "0.16", "--temperature-K", f"{KELVIN:g}"]
    out = tmp_path / "run"
    assert cli.main(["run", *start, *words, *time, "--out", str(out)]) == 0
    flags = np.zeros((8, 3), bool)
    flags[constraint.index] = constraint.mask if case == "coordinates" else True
    (path,) = out.glob("simulation.pos*")
    (frames,) = open_trajectory(path, "positions").blocks(1000)
    moved = np.abs(frames.values[-1] - atoms.positions)
    assert moved[flags].max() < 1e-8  # decimals of the file
    assert moved[~flags].min() > 1e-6
    table = read_properties(out / "simulation.out")
    kinetic_eV = table.column("kinetic_md", "electronvolt")
    beads = 2 if case == "beads" else 1
    # i-PI adds k_B T/2 for each held coordinate, so that its T is right where its count is
    shown_K = (2 * kinetic_eV / BOLTZMANN_EV_PER_K + KELVIN * flags.sum() * beads) / (24 * beads)
    # i-PI's kelvin is off by 1.5e-6
    np.testing.assert_allclose(table.column("temperature", "kelvin"), shown_K, rtol=2e-5)
    conserved = table.column("conserved", "electronvolt")
    assert np.ptp(conserved) < 0.1 * np.ptp(kinetic_eV)
    for name in (path, out / "init.xyz"):  # a run that goes on from there holds them too
        assert np.array_equal(held(read_structure(str(name))), flags)
