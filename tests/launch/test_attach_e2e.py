"""Drivers that come, go and are replaced while a real i-PI runs: the trajectory stays bitwise."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ncforce_ipi import cli
from tests.ipi_host import ANALYTIC, INET, N_OUTER, TIMEOUT_S, free_port, host, trajectory

from .runs import children_of, deaths, evaluation_after, while_held

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e

SLOWLY = {"NCFORCE_TEST_SLEEP_S": "0.02"}


def find_sshd():
    """The ssh server, if it and its client can be used here."""
    path = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    usable = os.getuid() != 0 or Path("/run/sshd").is_dir()  # root's sshd wants that directory
    return path if usable and shutil.which("ssh") and shutil.which("ssh-keygen") else None


SSHD = find_sshd()


def undisturbed(directory, n_beads=1):
    """What i-PI writes with one driver for each role that stays to the end."""
    with host(directory) as it:
        server = it.ipi(n_beads=n_beads)
        for role in ("slow", "fast"):
            it.driver(f"{role}.log", role)
        outputs = it.finish(server)
        assert len(it.table()) == N_OUTER + 1
        return outputs


def test_a_fast_driver_is_killed_and_another_joins(tmp_path):
    """Two beads, so that both fast drivers work; SIGKILL comes in the middle of an evaluation."""
    expected = undisturbed(tmp_path / "a", n_beads=2)
    with host(tmp_path / "b") as it:
        fault = it.directory / "fault"
        fault.write_text("kill 21")
        server = it.ipi(n_beads=2)
        slow = it.driver("slow.log", "slow")
        stays = it.driver("stays.log", "fast", **SLOWLY)
        killed = it.driver("killed.log", "fast", NCFORCE_TEST_FAULT=str(fault), **SLOWLY)
        assert killed.wait(TIMEOUT_S) == -signal.SIGKILL
        slow.send_signal(signal.SIGSTOP)  # so that the run isn't over before the other is there
        joins = it.driver("joins.log", "fast")
        it.wait_for("connected", "joins.log")
        slow.send_signal(signal.SIGCONT)
        assert it.finish(server) == expected
        for driver, log in ((stays, "stays.log"), (joins, "joins.log")):
            assert driver.wait(TIMEOUT_S) == 0
            assert it.evaluations(log, "fast") > 0


def test_one_of_two_drivers_of_a_run_is_killed(launch, straight, monkeypatch):
    """From outside, at whatever it does: it is started again, or i-PI from its last checkpoint."""
    children = children_of(monkeypatch)
    first = lambda: next(child for child in children if child.name == "driver-1")  # noqa: E731
    thread = while_held(evaluation_after(5), lambda: first().kill())  # by either of them
    code, said, record = launch("two", "--drivers", "2")
    thread.join()
    assert code == 0, said
    assert trajectory("two") == trajectory("straight")
    ends = deaths(record)
    assert len(record["segments"]) == 2 or "driver-1 ended with signal SIGKILL" in ends[0]
    assert record["driver"]["drivers"] == 2


def test_a_driver_attaches_over_tcp(tmp_path):
    """The wire carries every bit: the same trajectory as over unix sockets."""
    expected = undisturbed(tmp_path / "a")
    port = free_port()
    with host(tmp_path / "b") as it:
        server = it.ipi(fast=INET.format(port))
        it.driver("slow.log", "slow")
        fast = it.driver("fast.log", "fast", "--host", "127.0.0.1", "--port", str(port))
        assert it.finish(server) == expected
        assert fast.wait(TIMEOUT_S) == 0


@pytest.mark.skipif(not SSHD, reason="needs sshd, ssh and ssh-keygen; for root, /run/sshd too")
def test_a_driver_attaches_through_ssh(tmp_path):
    """The fast driver's socket is another file, which ssh forwards; a killed driver is replaced."""
    expected = undisturbed(tmp_path / "a")
    with host(tmp_path / "b") as it:
        (it.directory / "fault").write_text("kill 21")
        login = ssh_server(it)
        server = it.ipi()
        it.wait_for("(fast): Starting the polling thread", "ipi.log")
        node = it.directory / "node"  # a directory of the other host
        node.mkdir(mode=0o700)
        forward = f"{node}/fast:{it.directory}/fast"
        it.start([*login, "-N", "-L", forward, "127.0.0.1"], "ssh.log")
        there = ("--socket-dir", str(node))
        it.driver("slow.log", "slow")
        fault = {"NCFORCE_TEST_FAULT": str(it.directory / "fault")}
        killed = it.driver("killed.log", "fast", *there, **fault)
        assert killed.wait(TIMEOUT_S) == -signal.SIGKILL
        joins = it.driver("joins.log", "fast", *there)
        assert it.finish(server) == expected
        assert joins.wait(TIMEOUT_S) == 0
        assert it.evaluations("joins.log", "fast") > 0


def ssh_server(it):
    """An sshd of our own on a loopback port; the command that logs in there."""
    port = free_port()
    for name in ("host_key", "user_key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(it.directory / name)]
        subprocess.run(words, check=True, timeout=TIMEOUT_S)
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": it.directory / "host_key",
        "AuthorizedKeysFile": it.directory / "user_key.pub",
        "PidFile": "none",
        "StrictModes": "no",  # pytest's directories lie below /tmp
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "AllowStreamLocalForwarding": "yes",
    }
    text = "".join(f"{name} {value}\n" for name, value in settings.items())
    (it.directory / "sshd_config").write_text(text)
    it.start([str(SSHD), "-D", "-e", "-f", str(it.directory / "sshd_config")], "sshd.log")
    it.wait_for("Server listening", "sshd.log")
    public = (it.directory / "host_key.pub").read_text().split()
    (it.directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    options = {
        "Port": port,
        "IdentityFile": it.directory / "user_key",
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": it.directory / "known_hosts",
        "BatchMode": "yes",
        "ExitOnForwardFailure": "yes",
    }
    return ["ssh", "-F", "none", *(f"-o{name}={value}" for name, value in options.items())]


def test_slow_and_fast_forces_from_two_programs(launch, straight, tmp_path, capfd):
    """``--slow`` with the same model in another process changes nothing."""
    Path("slow.txt").write_text("another file")
    program = tmp_path / "ncforce"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ANALYTIC}" "$@"\n')
    program.chmod(0o755)
    command = f"{program} driver analytic --model=slow.txt"
    fast = f"{program} driver analytic --model model.txt"
    code, said, record = launch("two", "--slow", command, "--fast", fast)
    assert code == 0, said
    assert trajectory("two") == trajectory("straight")
    report = record["segments"][0]["driver_report"]
    assert report["kinds"] == {"slow": "conservative", "fast": "direct"}
    assert report["drivers"] == 2
    assert {path.name for path in Path("two/logs").glob("*driver*.log")} == {
        "driver.log", "slow-driver.log",
    }  # fmt: skip
    assert record["slow_model"]["name"] == str(Path("slow.txt").absolute())
    assert record["slow_model"]["sha256"] != record["model"]["sha256"]
    for file, message in {
        "slow.txt": "slow model {} is another file than when the run began",
        "model.txt": "model {} is another file than when the run began",
    }.items():
        text = Path(file).read_text()
        Path(file).write_text("changed")
        assert cli.main(["run", "--resume", "--out", "two", "--time-ps", "0.08"]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert message.format(Path(file).absolute()) in line
        Path(file).write_text(text)
    assert cli.main(["run", "--resume", "--out", "two", "--time-ps", "0.08"]) == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo driver mace --role slow", "expected 'ncforce driver FAMILY --model ...', got"),
        ("echo driver mace --model", "expected 'ncforce driver FAMILY --model ...', got"),
        ("echo driver", "names no family; expected a shipped model"),
        ("/no/such/ncforce driver mace --model x", "/no/such/ncforce is no program"),
        ("nothing:", "names no model; expected a shipped model"),
    ],
)
def test_a_slow_driver_that_is_none(command, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = cli.main(["run", "water", "--out", "x", "--slow", command])
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not Path("x").exists()
