"""Runs by hand, with the commands that `ncforce input` writes, where others run too."""

import re
import shlex
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from ncforce_ipi import cli
from tests.ipi_host import TIMEOUT_S, host, two_free_ports

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e

BIN = Path(sys.executable).parent
N_OUTER = 6


@pytest.fixture
def made(tmp_path, monkeypatch):
    """``made(name, more options)``: the directory of an input of solid argon."""
    monkeypatch.chdir(tmp_path)
    argon = bulk("Ar", "fcc", a=5.35, cubic=True)
    argon.positions += np.random.default_rng(0).normal(0, 0.05, argon.positions.shape)
    write("start.xyz", argon)

    def call(name, *words, model="analytic:lennard-jones"):
        words = ("input", "--structure", "start.xyz", "--model", model, *words, "--out", name)
        assert cli.main([*words, "--mts", "4", "--time-ps", "0.012"]) == 0
        return tmp_path / name

    return call


def commands(directory):
    """The words of i-PI and of each driver, with the programs of this environment."""
    text = (directory / "input.xml").read_text()
    found = [shlex.split(line) for line in re.findall(r"<\?(?:first|second|third) (.*?) \?>", text)]
    return [[sys.executable, str(BIN / Path(words[0]).name), *words[1:]] for words in found]


def potential(directory):
    """Column of the slow potential, eV."""
    return np.loadtxt(directory / "simulation.out")[:, 6]


def start(stack, directory, wait_s=f"{TIMEOUT_S}"):
    """i-PI and its drivers in a directory; the log of each lies beside it."""
    first, *drivers = commands(directory)
    server = stack.start(["env", "-C", str(directory), *first], f"{directory.name}.ipi.log")
    return server, [
        stack.start(
            ["env", "-C", str(directory), *words, "--wait-s", wait_s], f"{directory.name}.log"
        )
        for words in drivers
    ]


def test_two_runs_at_once_keep_apart(made, tmp_path):
    """Different models, the same names of sockets; the drivers of the second are there first."""
    one = made("one")
    (tmp_path / "other.json").write_text('{"model": "lennard-jones", "epsilon_eV": 0.02}')
    two = made("two", model="analytic:other.json")
    alone = {}
    for directory in (one, two):
        with host(tmp_path / f"alone-{directory.name}") as it:
            server, drivers = start(it, directory)
            assert server.wait(TIMEOUT_S) == 0, it.text(f"{directory.name}.log")
            assert [driver.wait(TIMEOUT_S) for driver in drivers] == [0]
        alone[directory] = potential(directory)
        for path in directory.glob("simulation.*"):
            path.unlink()
    assert abs(alone[one] - alone[two]).max() > 1e-3  # else this test couldn't fail, eV
    with host(tmp_path / "both") as it:
        _, *words = commands(two)
        wait = ("--wait-s", "250")  # longer than the other run takes on any machine
        early = it.start(["env", "-C", str(two), *words[0], *wait], "early.log")
        it.wait_for("waiting up to 250 s for a server at unix:./slow", "early.log")
        server, drivers = start(it, one)
        assert server.wait(TIMEOUT_S) == 0, it.text("one.log")
        assert early.poll() is None
        server = it.start(["env", "-C", str(two), *commands(two)[0]], "two.ipi.log")
        assert server.wait(TIMEOUT_S) == 0, it.text("early.log")
        assert early.wait(TIMEOUT_S) == 0
    for directory in (one, two):
        np.testing.assert_array_equal(potential(directory), alone[directory])
        assert not (directory / "slow").exists()


@pytest.mark.parametrize("words", ["another model", "swapped", "other atoms"])
def test_a_driver_of_another_run_is_refused_over_tcp(made, tmp_path, words):
    """The same ports: the protocol carries what the input says, and the run waits for its own."""
    port = two_free_ports()
    directory = made("one", "--port", str(port))
    with host(tmp_path / "host") as it:
        first, own = commands(directory)
        if words == "swapped":
            wrong = [*own, "--slow-port", str(port + 1), "--fast-port", str(port)]
            expected = r"127\.0\.0\.1:\d+ asks for the (slow|fast) force.* swapped$"
        elif words == "other atoms":
            krypton = (directory / "init.xyz").read_text().replace("Ar", "Kr")
            (directory / "other.xyz").write_text(krypton)
            wrong = ["other.xyz" if word == "init.xyz" else word for word in own]
            expected = r"has other atoms, or in another order, than --structure"
        else:
            place = own.index("lennard-jones")
            wrong = [*own[:place], "harmonic", *own[place + 1 :]]
            expected = "asks for model analytic/lennard-jones .*, this driver has analytic/harmonic"
        server = it.start(["env", "-C", str(directory), *first], "ipi.log")
        refused = it.start(["env", "-C", str(directory), *wrong], "wrong.log")
        assert refused.wait(TIMEOUT_S) == 2
        assert re.search(expected, it.text("wrong.log").splitlines()[-1])
        it.start(["env", "-C", str(directory), *own], "own.log")
        assert server.wait(TIMEOUT_S) == 0, it.text("own.log")
    assert np.loadtxt(directory / "simulation.out")[-1, 0] == N_OUTER


def test_by_hand_again_from_its_own_restart(made, tmp_path):
    """RESTART holds the sockets' place and what is said to drivers."""
    directory = made("one")
    with host(tmp_path / "host") as it:
        server, _ = start(it, directory)
        assert server.wait(TIMEOUT_S) == 0, it.text("one.log")
        first, own = commands(directory)
        restart = directory / "RESTART"
        text = restart.read_text()
        assert "ncforce_role: slow" in text
        assert 'sockets_prefix="./"' in text.replace("'", '"')
        restart.write_text(
            re.sub(r"<total_steps>.*?</total_steps>", "<total_steps>9</total_steps>", text)
        )
        first[first.index("input.xml")] = "RESTART"
        server = it.start(["env", "-C", str(directory), *first], "again.ipi.log")
        it.start(["env", "-C", str(directory), *own], "again.log")
        assert server.wait(TIMEOUT_S) == 0, it.text("again.log")
    assert np.loadtxt(directory / "simulation.out")[-1, 0] == 9


def test_a_socket_that_nobody_listens_to_any_more(made, tmp_path):
    """A killed i-PI leaves its socket: said by i-PI at once, and a driver waits in vain."""
    directory = made("one")
    for name in ("slow", "fast"):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(directory / name))
    with host(tmp_path / "host") as it:
        server, (driver,) = start(it, directory, wait_s="1")
        assert server.wait(TIMEOUT_S) != 0
        assert "Check if a file ./slow exists, and remove it if unused" in it.text("one.ipi.log")
        assert driver.wait(TIMEOUT_S) == 1
        last = it.text("one.log").splitlines()[-1]
        assert "no server at unix:./slow within 1 s ([Errno 111] Connection refused)" in last
