"""Models by their names, and drivers at a socket of which the diagnostics are the server."""

import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.cli import forces
from ncforce_ipi.diagnostics.sides import Side
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.reading.structures import to_structure
from ncforce_ipi.serve import remote

PROGRAM = str(Path(sys.executable).with_name("ncforce"))
SLOW = Wanted(frozenset(["conservative"]))
TIMEOUT_S = 120


@pytest.fixture
def atoms():
    random = np.random.default_rng(0)
    return Structure(np.full(4, 18, np.int32), random.uniform(0, 8, (4, 3)), np.zeros((3, 3)))


@pytest.mark.parametrize(
    "spec",
    ["analytic:lennard-jones", "analytic --model lennard-jones --arguments '{\"cutoff_A\": 8.5}'"],
)
def test_names_of_models(spec, atoms):
    with forces.opened(spec) as backend:
        assert "lennard-jones" in backend.description
        assert np.abs(backend.evaluate(atoms, SLOW)["conservative"].forces).max() > 0


def test_a_metatomic_model_by_name_and_by_file(random_model):
    with forces.opened("water") as backend:
        assert backend.description.startswith("water.pt")
    path = random_model("float64")
    with forces.opened(str(path)) as backend:
        assert forces.identity(str(path), backend)["sha256"] is not None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "got nothing"),
        ("nonsense --model x", "families: metatomic"),
        (
            "analytic --model harmonic --wrong",
            "analytic has no option --wrong; it has --model, --device, .*--arguments",
        ),
        ("analytic", "neither a file nor a shipped model"),
        ("analytic --arguments {}", "the model is missing; expected analytic:MODEL"),
        ("unix:a/b", "expected unix:NAME"),
        ("tcp:99999", "expected unix:NAME"),
        ("/no/such/ncforce driver analytic --model harmonic", "is no program"),
    ],
)
def test_what_makes_no_sense_is_one_line(spec, message):
    with pytest.raises(InputError, match=message):
        forces.opened(spec)


def test_a_driver_is_started_asked_and_ended(atoms):
    """Through the socket, for two compositions, what the model gives in this process."""
    spec = f"{PROGRAM} driver analytic --model lennard-jones"
    with forces.opened("analytic:lennard-jones") as own, forces.opened(spec) as other:
        fewer = Structure(atoms.numbers[:3], atoms.positions[:3], atoms.cell)
        for structure in (atoms, fewer):
            found = other.evaluate(structure, SLOW)["conservative"]
            expected = own.evaluate(structure, SLOW)["conservative"]
            # two Bohrs of CODATA: 1e-9 of lengths and energies
            np.testing.assert_allclose(found.forces, expected.forces, rtol=1e-6, atol=1e-12)
            assert found.energy == pytest.approx(expected.energy, rel=1e-6)
        process = other._process
    assert process.returncode == 0


def test_direct_forces_of_a_driver(atoms):
    words = f"{PROGRAM} driver analytic --model lennard-jones --keep-net-force"
    wanted = Wanted(frozenset(["direct"]))
    with forces.opened("analytic:lennard-jones") as own, forces.opened(words, "direct") as other:
        found = other.evaluate(atoms, wanted)["direct"].forces
        expected = own.evaluate(atoms, wanted)["direct"].forces
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
        with pytest.raises(ModelError, match="has direct forces only"):
            other.evaluate(atoms, SLOW)


def test_the_net_force_of_a_driver_is_there_for_who_keeps_it(atoms):
    """Swirls around fixed wells have one; --keep-net-force is what every command has for it."""
    words = f"{PROGRAM} driver analytic --model harmonic"
    with forces.opened("analytic:harmonic") as own, forces.opened(words, "direct") as other:
        expected = Side(own, "direct", keep_net_force=True).forces(atoms)
        found = Side(other, "direct", keep_net_force=True).forces(atoms)
        assert np.abs(expected.mean(axis=0)).max() > 0.1  # eV/A: the test can fail
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(
            Side(other, "direct").forces(atoms), expected - expected.mean(axis=0), rtol=1e-6,
            atol=1e-8,
        )  # fmt: skip


@pytest.mark.parametrize(("words", "used"), [("", "3"), (" --threads=2", "2")])
def test_a_driver_has_the_threads_that_are_asked_for(atoms, tmp_path, words, used):
    program = tmp_path / "ncforce"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\nexec {PROGRAM} "$@"\n')
    program.chmod(0o755)
    spec = f"{program} driver analytic --model lennard-jones{words}"
    with forces.opened(spec, threads=3) as backend:
        backend.evaluate(atoms, SLOW)
    said = (tmp_path / "words").read_text().replace("=", " ").split()
    assert [said[k + 1] for k, word in enumerate(said) if word == "--threads"] == [used]


def test_a_driver_of_atoms_in_another_order_gives_no_forces(tmp_path):
    """As many of each, so that the protocol alone doesn't tell them apart."""
    from ase.build import molecule

    water = molecule("H2O")
    water.write(tmp_path / "start.xyz")
    name = f"ncforce_test_{uuid.uuid4().hex[:12]}"
    command = [PROGRAM, "driver", "analytic", "--model", "lennard-jones", "--role", "slow"]
    command += ["--structure", str(tmp_path / "start.xyz"), "--unix", name]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        turned = to_structure(water[[1, 0, 2]])
        with (
            forces.opened(f"unix:{name}") as backend,
            pytest.raises(ModelError, match=r"gave no forces.*last words: where it was started"),
        ):
            backend.evaluate(turned, SLOW)
        _, said = process.communicate(timeout=TIMEOUT_S)
        assert "has other atoms, or in another order, than --structure" in said
        assert process.returncode != 0
    finally:
        process.kill()
        process.wait()


def test_a_driver_that_comes_by_itself(atoms, tmp_path):
    import ase.io

    from ncforce_ipi.reading.structures import to_atoms

    ase.io.write(tmp_path / "start.xyz", to_atoms(atoms))
    name = f"ncforce_test_{uuid.uuid4().hex[:12]}"
    command = [PROGRAM, "driver", "analytic", "--model", "lennard-jones", "--role", "slow"]
    command += ["--structure", str(tmp_path / "start.xyz"), "--unix", name]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with forces.opened(f"unix:{name}") as backend:
            assert np.abs(backend.evaluate(atoms, SLOW)["conservative"].forces).max() > 0
        assert process.wait(TIMEOUT_S) == 0
    finally:
        process.kill()
        process.wait()


STRICT = """
import sys
import numpy as np
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.socketio import SocketClient


class Strict(LennardJones):
    def calculate(self, atoms, properties, changes):
        cell = atoms.cell.array
        if np.triu(cell, 1).any() or np.linalg.det(cell) <= 0:
            sys.exit("cells of LAMMPS and i-PI have a along x and b in the xy plane")
        super().calculate(atoms, properties, changes)


atoms = Atoms("Ar8", np.arange(24).reshape(8, 3), cell=np.eye(3) * 8, pbc=True)
atoms.calc = Strict(epsilon=0.0104, sigma=3.4, rc=5.0)
SocketClient(unixsocket=sys.argv[1], timeout=60).run(atoms)
"""


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2]])
def test_a_client_that_knows_only_cells_like_ipi(tmp_path, turned, order):
    """Any frame and either hand; forces come back in the frame of the structure."""
    from ase import Atoms
    from ase.calculators.lj import LennardJones
    from scipy.spatial.transform import Rotation

    from ncforce_ipi.reading.structures import to_structure

    rng = np.random.default_rng(0)
    cell = np.array([[7.6, 0, 0], [1.0, 7.8, 0], [-1.5, 0.5, 8.0]])
    positions = (np.array(list(np.ndindex(2, 2, 2))) / 2) @ cell + rng.normal(0, 0.1, (8, 3))
    turn = Rotation.random(random_state=1).as_matrix() if turned else np.eye(3)
    atoms = Atoms("Ar8", positions @ turn, cell=(cell @ turn)[order], pbc=True)
    name = f"ncforce_test_{uuid.uuid4().hex[:12]}"
    (tmp_path / "strict.py").write_text(STRICT)
    with forces.opened(f"unix:{name}") as backend:
        asked = subprocess.Popen(
            [sys.executable, "-c", LATER, str(tmp_path / "strict.py"), name],
            stderr=subprocess.DEVNULL,
        )
        try:
            found = backend.evaluate(to_structure(atoms), SLOW)["conservative"]
        finally:
            backend.close()
            asked.wait(TIMEOUT_S)
    atoms.calc = LennardJones(epsilon=0.0104, sigma=3.4, rc=5.0)
    # two Bohrs of CODATA: 1e-9 of lengths and energies
    np.testing.assert_allclose(found.forces, atoms.get_forces(), rtol=1e-6, atol=1e-8)
    assert found.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-6)


LATER = """
import pathlib, runpy, sys, time
sys.argv = sys.argv[1:]
for _ in range(600):
    if pathlib.Path("/tmp/ipi_" + sys.argv[1]).exists():
        break
    time.sleep(0.1)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_driver_that_dies_says_why_in_one_line(atoms):
    spec = f"{PROGRAM} driver analytic --model no-such-model"
    with (
        forces.opened(spec) as backend,
        pytest.raises(ModelError, match=r"its process ended with code 2; .*no-such-model"),
    ):
        backend.evaluate(atoms, SLOW)


def test_threads_of_a_driver_that_comes_are_its_own(caplog):
    for threads in (1, 3):
        forces.opened("unix:ncforce_test_nobody", threads=threads).close()
    (record,) = caplog.records
    assert record.message == (
        "unix:ncforce_test_nobody: 3 threads aren't used; the driver that comes has its own"
    )


def test_nobody_comes(atoms, monkeypatch):
    monkeypatch.setattr(remote, "WAIT_S", 0.5)
    name = f"unix:ncforce_test_{uuid.uuid4().hex[:12]}"
    with (
        forces.opened(name) as backend,
        pytest.raises(ModelError, match=r"no driver connected within 0\.5 s"),
    ):
        backend.evaluate(atoms, SLOW)
