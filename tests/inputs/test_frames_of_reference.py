"""The same structure in every frame of reference is the same structure, and the same trajectory."""

import ase.io
import ase.units
import numpy as np
import pytest
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ncforce_ipi import cli
from ncforce_ipi.backend import Wanted
from ncforce_ipi.drivers.analytic import load
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.reading.properties import read_properties
from ncforce_ipi.reading.structures import to_structure

CELL = np.array([[5.6, 0.0, 0.0], [1.2, 6.0, 0.0], [-0.9, 1.4, 6.4]])
MODEL = load("lennard-jones", arguments={"cutoff_A": 6.0, "swirl_eV_per_A2": 0.0})
CONSERVATIVE = Wanted(frozenset(["conservative"]))


def argon():
    """Four atoms in a skewed cell, with momenta at rest as a whole; each has its own force."""
    rng = np.random.default_rng(0)
    sites = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    atoms = Atoms("Ar4", sites @ CELL + rng.normal(0, 0.1, (4, 3)), cell=CELL, pbc=True)
    momenta = rng.normal(0, 0.4, (4, 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    return atoms


@st.composite
def frames(draw):
    """How the same crystal may be written: turned, other vectors of the lattice, other images."""
    angles = st.floats(-np.pi, np.pi)
    turn = Rotation.from_euler("zyz", [draw(angles) for _ in range(3)]).as_matrix()
    order = draw(st.permutations([0, 1, 2]))
    signs = np.array([draw(st.sampled_from([-1.0, 1.0])) for _ in range(3)])
    skew = np.eye(3)
    if draw(st.booleans()):
        skew[draw(st.sampled_from([(0, 1), (1, 2), (2, 0)]))] = draw(st.sampled_from([-1.0, 1.0]))
    images = np.array(draw(st.lists(st.integers(-1000, 1000), min_size=12, max_size=12)))
    noise = draw(st.sampled_from([0.0, 1e-15, 1e-10]))
    return turn, skew @ (signs[:, None] * np.eye(3))[order], images.reshape(4, 3), noise


def written(how):
    """The crystal as this frame has it."""
    turn, combination, images, noise = how
    atoms = argon()
    cell = combination @ CELL @ turn
    cell = cell + noise * np.random.default_rng(1).normal(size=(3, 3))
    positions = atoms.positions @ turn + images @ cell
    found = Atoms(atoms.symbols, positions, cell=cell, pbc=True)
    found.set_momenta(atoms.get_momenta() @ turn)
    return found


def scalars(atoms):
    """What no frame changes: energy, sizes of forces, their power, principal virials."""
    found = MODEL.evaluate(to_structure(atoms), CONSERVATIVE)["conservative"]
    power = np.einsum("ia,ia->i", found.forces, atoms.get_velocities())
    sizes = np.linalg.norm(found.forces, axis=1)
    return np.concatenate([[found.energy], sizes, power, np.linalg.eigvalsh(found.virial)])


@given(frames())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_gate_makes_the_same_structure_of_every_frame(tmp_path, how):
    file = str(tmp_path / "frame.traj")  # all digits
    ase.io.write(file, written(how))
    found = read_structure(file, file)
    cell = found.cell.array
    assert not np.triu(cell, 1).any()
    assert (np.diagonal(cell) > 0).all()
    # images of 1e3 cells cost 1e-12 A, noise of the cell 1e-10 A times 1e3 images is 1e-7 A; forces
    # have a stiffness of 0.1 eV/A^2
    tolerance = 1e-11 if how[3] < 1e-12 else 1e-7
    np.testing.assert_allclose(scalars(found), scalars(argon()), rtol=0, atol=tolerance)


def test_the_scalars_tell_wrong_frames():
    """Velocities that aren't turned, and a mirror image, are seen."""
    turn = Rotation.from_euler("zyz", [0.3, 0.4, 0.5]).as_matrix()
    atoms = written((turn, np.eye(3), np.zeros((4, 3)), 0.0))
    np.testing.assert_allclose(scalars(atoms), scalars(argon()), rtol=0, atol=1e-12)
    atoms.set_momenta(argon().get_momenta())
    assert np.abs(scalars(atoms) - scalars(argon())).max() > 1e-5


FRAMES = {
    "turned": (Rotation.from_euler("zyz", [1.0, 2.0, -0.4]).as_matrix(), np.eye(3), 0.0),
    "left-handed": (np.eye(3), np.eye(3)[[1, 0, 2]], 0.0),
    "far away": (np.eye(3), np.diag([-1.0, 1.0, 1.0]), 0.0),
    "nearly triangular": (np.eye(3), np.eye(3), 1e-10),
}


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("ensemble", "names"),
    [
        (["nve"], tuple(FRAMES)),
        # the noise on the cell is of its components, of other ones where lattice vectors differ
        (["npt", "--barostat", "anisotropic"], ("turned", "nearly triangular")),
    ],
    ids=["nve", "npt"],
)
def test_the_same_trajectory_in_every_frame(tmp_path, ensemble, names):
    """Real runs of i-PI: temperature and energies at every step."""
    starts = {"plain": argon()}
    for name, (turn, combination, noise) in ((name, FRAMES[name]) for name in names):
        images = np.full((4, 3), 50) if name == "far away" else np.zeros((4, 3))
        starts[name] = written((turn, combination, images, noise))
    tables = {}
    for name, atoms in starts.items():
        file = str(tmp_path / f"{name}.extxyz")
        atoms.info["step"] = 7
        ase.io.write(file, atoms)
        words = ["run", "--model", "analytic:lennard-jones", "--structure", file]
        words += ["--velocities", file, "--forces", "slow", "--timestep-fs", "4", "--time-ps"]
        words += ["0.04", "--ensemble", *ensemble, "--temperature-K", "40"]
        assert cli.main([*words, "--out", str(tmp_path / name)]) == 0
        tables[name] = read_properties(tmp_path / name / "simulation.out")
    expected = tables.pop("plain")
    assert np.ptp(expected.column("temperature", "kelvin")) > 0.2  # K
    for table in tables.values():
        for column in ("temperature", "potential", "conserved"):
            unit = "kelvin" if column == "temperature" else "electronvolt"
            # extxyz has 8 decimals: 1e-8 A times 1 eV/A^2, and 40 K for 1e-2 eV
            np.testing.assert_allclose(
                table.column(column, unit), expected.column(column, unit), rtol=1e-5, atol=1e-6
            )
