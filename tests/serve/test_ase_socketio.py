"""The driver as a user starts it, serving servers that are not ours, over unix and TCP sockets."""

import json
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import contextmanager

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.socketio import SocketIOCalculator
from metatomic_ase import MetatomicCalculator

from tests.conftest import WATER_XYZ
from tests.ipi_server import Server

TIMEOUT_S = 120  # for a process to start, load torch and connect on a busy machine


@contextmanager
def driver(*options, structure=WATER_XYZ):
    """``ncforce driver metatomic`` with ``options``; its exit is waited for."""
    command = [sys.executable, "-m", "ncforce_ipi", "driver", "metatomic"]
    command += ["--structure", str(structure), *map(str, options)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
        process.wait(TIMEOUT_S)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def unix_server(directory, *roles):
    """Listen in ``directory`` for each role; give a function that accepts them all."""
    listeners = []
    for role in roles:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(directory / role))
        listener.listen(1)
        listener.settimeout(TIMEOUT_S)
        listeners.append(listener)
    accepted = []

    def accept():
        accepted.extend(Server(listener.accept()[0]) for listener in listeners)
        return accepted

    try:
        yield accept
    finally:
        for sock in [*listeners, *(server.sock for server in accepted)]:
            sock.close()


def reference(path, water, direct):
    """Energy, forces and virial of metatomic's own calculator, net force removed."""
    atoms = Atoms(water.numbers, water.positions, cell=water.cell, pbc=True)
    # the driver's neighbour list has no skin; with one, pairs are summed in another order
    atoms.calc = MetatomicCalculator(
        path, device="cpu", non_conservative=direct, do_gradients_with_energy=False, neighbor_skin=0
    )
    forces = atoms.get_forces()
    virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
    return atoms.get_potential_energy(), forces - forces.mean(axis=0), virial


@pytest.mark.parametrize("transport", ["unix", "inet"])
@pytest.mark.parametrize("direct", [False, True])
def test_ase_socketiocalculator(water, transport, direct):
    """Forces, energy and stress as ASE gets them, for two structures, then a clean end."""
    if transport == "unix":
        name = f"ncforce_test_{uuid.uuid4().hex[:12]}"
        theirs, ours = {"unixsocket": name}, ("--unix", name)
    else:
        port = free_port()
        theirs, ours = {"port": port}, ("--host", "localhost", "--port", port)
    ours += ("--direct-energy", "--direct-virial", "--role", "fast" if direct else "slow")
    atoms = Atoms(water.numbers, water.positions, cell=water.cell, pbc=True)
    own = atoms.copy()
    own.calc = MetatomicCalculator(water_model(), device="cpu", non_conservative=direct)
    with (
        driver("--model", "water", *ours) as process,
        SocketIOCalculator(timeout=TIMEOUT_S, **theirs) as calculator,
    ):
        atoms.calc = calculator
        for _ in range(2):
            forces = own.get_forces() - own.get_forces().mean(axis=0)
            ours_ = atoms.get_forces() - atoms.get_forces().mean(axis=0)
            # float32: ASE's Bohr (CODATA 2014) moves atoms by 5e-9 A, which turns the last bit of
            # some positions (1e-6 A at 12 A), times stiffnesses of 50 eV/A^2
            np.testing.assert_allclose(ours_, forces, atol=5e-5)
            energy = own.get_potential_energy()
            assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-3)
            np.testing.assert_allclose(atoms.get_stress(), own.get_stress(), atol=1e-6)
            for each in (atoms, own):
                each.positions[:] = water.positions + 0.01
                each.positions[0] += 0.05
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        ("float32", 1e-5),  # rounding of positions at 12 A to 1e-6 A, times forces' slopes
        ("float64", 1e-9),  # A -> Bohr -> A rounds at 1e-15 A; sums of 100 pairs
    ],
)
def test_forces_through_the_socket_are_the_calculators(
    tmp_path, water, random_model, dtype, tolerance
):
    """Both roles on one model, asked as i-PI asks: fast, then slow, at the same positions."""
    path = random_model(dtype)
    report = tmp_path / "report.json"
    options = ("--model", path, "--role", "both", "--socket-dir", tmp_path, "--report", report)
    options += ("--direct-energy", "--direct-virial")
    with unix_server(tmp_path, "slow", "fast") as accept, driver(*options) as process:
        slow, fast = accept()
        for server in (slow, fast):
            assert server.status() == "NEEDINIT"
            server.init()
        for server, direct in ((fast, True), (slow, False)):
            server.ask(water.positions, water.cell)
            energy, forces, virial, _ = server.forces()
            assert server.status() == "READY"
            expected = reference(path, water, direct)
            forces = forces - forces.mean(axis=0)
            np.testing.assert_allclose(forces, expected[1], atol=tolerance)
            np.testing.assert_allclose(virial, expected[2], atol=192 * tolerance)  # a sum of atoms
            assert energy == pytest.approx(expected[0], abs=192 * tolerance)
            assert np.abs(forces).max() > 1e-3  # nothing compares to nothing
        slow.exit()
        fast.exit()
    assert process.returncode == 0
    record = json.loads(report.read_text())
    assert record["end"] == "slow: EXIT from the server, fast: EXIT from the server"
    assert [record["roles"][role]["evaluations"] for role in ("slow", "fast")] == [1, 1]
    assert record["kinds"] == {"slow": "conservative", "fast": "direct"}


def test_the_shipped_model_through_the_socket(tmp_path, water):
    options = ("--model", "water", "--role", "slow", "--socket-dir", tmp_path)
    with unix_server(tmp_path, "slow") as accept, driver(*options):
        (slow,) = accept()
        slow.ask(water.positions, water.cell)
        forces = slow.forces()[1]
        slow.exit()
    _, expected, _ = reference(water_model(), water, direct=False)
    # float32, and ours are of the atoms' images in the cell: 3e-5 eV/A apart
    np.testing.assert_allclose(forces - forces.mean(axis=0), expected, atol=1e-4)


def test_the_fast_role_can_serve_conservative_forces(tmp_path, water, random_model):
    """Slow = fast: multiple time stepping is then plain velocity Verlet."""
    options = ("--model", random_model("float64"), "--role", "both", "--socket-dir", tmp_path)
    options += ("--fast-kind", "conservative")
    with unix_server(tmp_path, "slow", "fast") as accept, driver(*options):
        answers = []
        for server in accept():
            server.ask(water.positions, water.cell)
            answers.append(server.forces())
            server.exit()
    assert answers[0][0] == answers[1][0]
    np.testing.assert_array_equal(answers[0][1], answers[1][1])


def test_sigterm_is_a_clean_end_with_a_report(tmp_path, water, random_model):
    report = tmp_path / "report.json"
    options = ("--model", random_model("float64"), "--role", "slow", "--socket-dir", tmp_path)
    with (
        unix_server(tmp_path, "slow") as accept,
        driver(*options, "--report", report) as process,
    ):
        (slow,) = accept()
        slow.ask(water.positions, water.cell)
        process.send_signal(signal.SIGTERM)  # while it evaluates, or just before
        slow.forces()
        with pytest.raises(EOFError):
            slow.read(1)
        slow.sock.close()
    assert process.returncode == 0
    assert json.loads(report.read_text())["end"] == "asked to stop"


def test_sigterm_while_waiting_for_a_server(tmp_path, random_model):
    options = ("--model", random_model("float64"), "--role", "slow", "--socket-dir", tmp_path)
    with driver(*options) as process:
        for line in process.stderr:
            if "waiting up to" in line:
                break
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def test_another_number_of_atoms_is_one_line_and_exit_1(tmp_path, water, random_model):
    options = ("--model", random_model("float64"), "--role", "slow", "--socket-dir", tmp_path)
    with unix_server(tmp_path, "slow") as accept, driver(*options) as process:
        (slow,) = accept()
        slow.ask(water.positions[:3], water.cell)
        with pytest.raises(EOFError):
            slow.forces()
        slow.sock.close()
        last = process.stderr.read().splitlines()[-1]
    assert process.returncode == 1
    assert last.startswith("ncforce driver: the server sends 3 atoms, expected 192")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def water_model() -> str:
    from ncforce_ipi.models import model_path

    return str(model_path("water"))
