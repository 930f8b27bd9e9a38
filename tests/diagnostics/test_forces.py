"""Models by their names, and drivers at a socket of which the diagnostics are the server."""

import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.cli import forces
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.serve import remote

PROGRAM = str(Path(sys.executable).with_name("ncforce"))
SLOW = Wanted(frozenset(["conservative"]))
TIMEOUT_S = 60


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


def test_a_driver_that_dies_says_why_in_one_line(atoms):
    spec = f"{PROGRAM} driver analytic --model no-such-model"
    with (
        forces.opened(spec) as backend,
        pytest.raises(ModelError, match=r"gave no forces within .*no-such-model"),
    ):
        backend.evaluate(atoms, SLOW)


def test_nobody_comes(atoms, monkeypatch):
    monkeypatch.setattr(remote, "WAIT_S", 0.5)
    name = f"unix:ncforce_test_{uuid.uuid4().hex[:12]}"
    with (
        forces.opened(name) as backend,
        pytest.raises(ModelError, match="no driver in time"),
    ):
        backend.evaluate(atoms, SLOW)
