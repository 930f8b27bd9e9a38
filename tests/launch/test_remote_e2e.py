"""Drivers of other machines: real i-PI behind the gate of a run, over TCP with a secret and TLS."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ncforce_ipi import cli
from ncforce_ipi.serve import secret
from tests.ipi_host import ANALYTIC, TIMEOUT_S, host, trajectory

from .runs import children_of, evaluation_after, wait_for, while_held

pytest.importorskip("ipi")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl is here"),
]
REMOTE = ("--remote", "127.0.0.1:0")
SETPRIV = shutil.which("setpriv")


def words_of(directory, token="run/driver.token"):
    """Of a driver elsewhere: all that it knows are two files."""
    return [
        sys.executable, ANALYTIC, "driver", "analytic", "--role", "both",
        "--model", str(directory / "model.txt"), "--structure", str(directory / "start.xyz"),
        "--token-file", str(directory / token), "--report", str(directory / "elsewhere.json"),
    ]  # fmt: skip


@pytest.fixture
def elsewhere(tmp_path):
    """Starts drivers that aren't the launcher's."""
    with host(tmp_path / "node") as it:
        wait = ("--wait-s", str(TIMEOUT_S))
        yield lambda log, *words: it.start([*words_of(tmp_path), *wait, *words], log)


def test_the_run_is_the_same_and_the_secret_is_nowhere(launch, straight, elsewhere, tmp_path):
    driver = elsewhere("driver.log")  # before the run: it waits for the file
    seen = {}

    def look():
        path = Path("run/driver.token")
        seen["mode"] = stat.S_IMODE(path.stat().st_mode)
        seen["key"] = json.loads(path.read_text())["key"]
        seen["commands"] = "".join(
            Path(f"/proc/{pid}/cmdline").read_text()
            for pid in [*map(int, filter(str.isdigit, os.listdir("/proc")))]  # noqa: PTH208
            if Path(f"/proc/{pid}/cmdline").exists()
        )

    thread = while_held(evaluation_after(3), look)
    code, said, record = launch("run", *REMOTE)
    thread.join()
    assert code == 0, said
    assert trajectory("run") == trajectory("straight")
    assert driver.wait(TIMEOUT_S) == 0
    assert seen["mode"] == 0o600
    assert "run/driver.token" in said  # the command to type
    logs = "".join(path.read_text("utf-8", "replace") for path in Path("run/logs").iterdir())
    texts = (said, logs, json.dumps(record), seen["commands"], Path("run/input.xml").read_text())
    assert not any(seen["key"] in text for text in texts)
    assert not Path("run/driver.token").exists()  # of no use any more
    assert record["driver"]["remote"] == {"host": "127.0.0.1", "port": 0, "clear": False}
    report = json.loads(Path("elsewhere.json").read_text())
    assert report["roles"]["slow"]["evaluations"] == record["plan"]["n_outer"] + 1


def test_a_gate_that_is_killed_costs_nothing(launch, straight, elsewhere, monkeypatch):
    """The driver comes again, to the new one."""
    children = children_of(monkeypatch)
    driver = elsewhere("driver.log", "--idle-s", str(TIMEOUT_S))

    def kill():
        next(child for child in children if child.name == "gate").kill()

    thread = while_held(evaluation_after(5), kill)
    code, said, record = launch("run", *REMOTE)
    thread.join()
    assert code == 0, said
    assert trajectory("run") == trajectory("straight")
    assert driver.wait(TIMEOUT_S) == 0
    assert [child.name for child in children] == ["i-PI", "gate", "gate"]
    (death,) = record["segments"][0]["driver_deaths"]
    assert "gate ended with signal SIGKILL (log gate.log) at step" in death


def test_a_driver_elsewhere_that_is_killed_costs_nothing(launch, straight, elsewhere):
    """And the next, which shows the same secret, takes its request; a run stopped goes on."""
    first = elsewhere("first.log")

    def replace():
        first.send_signal(signal.SIGKILL)
        elsewhere("second.log")

    thread = while_held(evaluation_after(5), replace)
    code, said, _ = launch("run", *REMOTE)
    thread.join()
    assert code == 0, said
    assert trajectory("run") == trajectory("straight")
    elsewhere("third.log")
    assert cli.main(["run", "--resume", "--out", "run", "--time-ps", "0.08"]) == 0


def test_another_secret(launch, elsewhere, tmp_path, capfd):
    """Refused in one line; the run waits for the right one, which may come late."""
    wrong = tmp_path / "wrong.token"
    found = {}

    def refuse():
        right = secret.read(Path("run/driver.token"))
        secret.write(wrong, secret.Secret.new(right.host, right.port, right.certificate_sha256))
        words = words_of(tmp_path, "wrong.token")
        found["refused"] = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S)
        elsewhere("driver.log")

    def wait():
        wait_for(Path("run/driver.token").exists)
        refuse()

    thread = threading.Thread(target=wait)
    thread.start()
    code, said, _ = launch("run", *REMOTE)
    thread.join()
    assert code == 0, said
    assert found["refused"].returncode == 1
    last = found["refused"].stderr.splitlines()[-1]
    assert "doesn't know the secret of the --token-file" in last
    assert "was sent away: wrong secret" in Path("run/logs/gate.log").read_text()


@pytest.mark.skipif(os.geteuid() != 0 or not SETPRIV, reason="needs root and setpriv")
def test_another_user_gets_nowhere(launch, elsewhere, tmp_path):
    """Neither to i-PI's sockets nor to the secret, wherever directories are open to all."""
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    (driver,) = [elsewhere("driver.log")]
    found = {}

    def as_nobody(code):
        words = [str(SETPRIV), "--reuid=65534", "--clear-groups", "/usr/bin/env", "python3"]
        words += ["-I", "-c", code]
        return subprocess.run(words, capture_output=True, text=True, timeout=60).stderr

    def look():
        log = Path("run/logs/gate.log").read_text()
        sockets = Path(log.split("unix:")[1].split()[0]) if "unix:" in log else None
        token = tmp_path / "run/driver.token"
        found["token"] = as_nobody(f"open({str(token)!r})")
        command = Path(f"/proc/{gate_pid()}/cmdline").read_text().split("\0")
        directory = Path(command[-3])
        found["mode"] = stat.S_IMODE(directory.stat().st_mode), sockets
        found["sockets"] = [
            as_nobody(f"import socket; socket.socket(1).connect({str(directory / role)!r})")
            for role in ("slow", "fast")
        ]
        found["ours"] = [(directory / role).exists() for role in ("slow", "fast")]
        found["keys"] = as_nobody(f"open({command[-2] + '/key.pem'!r})")

    def gate_pid():
        return json.loads(Path("run/run.json").read_text())["processes"]["gate"]

    thread = while_held(evaluation_after(3), look)
    code, said, _ = launch("run", *REMOTE)
    thread.join()
    assert code == 0, said
    assert driver.wait(TIMEOUT_S) == 0
    assert found["mode"][0] == 0o700
    assert found["ours"] == [True, True]
    for text in (found["token"], *found["sockets"], found["keys"]):
        assert "PermissionError: [Errno 13] Permission denied" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--remote", "here"), "--remote: expected [HOST:]PORT, got 'here'; port 0 is a free one"),
        (("--remote", "a:70000"), "--remote: expected [HOST:]PORT, got 'a:70000'"),
        (("--remote", "5000", "--port", "5000"), "leave --port out"),
        (("--clear",), "--clear says how drivers of --remote connect; give --remote too"),
    ],
)
def test_words_that_make_no_sense(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "water", "--out", "x", *words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not Path("x").exists()
