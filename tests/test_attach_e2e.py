"""Drivers that come, go and are replaced while a real i-PI runs: the trajectory stays bitwise."""

import json
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from ncforce_ipi import cli
from ncforce_ipi.launch import job, resume, run
from ncforce_ipi.launch.processes import Child
from tests.ipi_host import ANALYTIC, N_OUTER, TIMEOUT_S, host, molecules

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e

SLOWLY = {"NCFORCE_TEST_SLEEP_S": "0.02"}


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


@pytest.fixture
def launch(tmp_path, monkeypatch, capfd):
    """``launch(out, ...)``: ``ncforce run`` with the analytic driver; code, stderr, record."""
    monkeypatch.setattr(job, "PROGRAM", (sys.executable, ANALYTIC))
    monkeypatch.setenv("NCFORCE_TEST_FAULT", str(tmp_path / "fault"))
    monkeypatch.chdir(tmp_path)
    Path("start.xyz").write_text(molecules())
    Path("model.txt").write_text("any file")

    def call(out, *words):
        words = ("--model", "model.txt", "--structure", "start.xyz", *words)
        words += ("--family", "analytic", "--mts", "4", "--time-ps", "0.06", "--out", out)
        code = cli.main(["run", *words])
        return code, capfd.readouterr().err, json.loads(Path(out, "run.json").read_text())

    return call


def trajectory(directory):
    """Bytes of every output of ``ncforce run``."""
    names = ("simulation.out", "simulation.pos_0.extxyz", "simulation.vel_0.xyz")
    return {name: Path(directory, name).read_bytes() for name in names}


def test_one_of_two_drivers_of_a_run_is_killed(launch, monkeypatch):
    """From outside, at any moment: a driver is started again, or i-PI from its last checkpoint."""
    assert launch("straight")[0] == 0
    monkeypatch.setenv("NCFORCE_TEST_SLEEP_S", "0.01")
    children = []

    def start(*arguments, **options):
        children.append(Child(*arguments, **options))
        return children[-1]

    def kill():
        """The first driver, once step 10 is written."""
        for _ in range(20 * TIMEOUT_S):
            if resume.last_step(Path("two", "simulation.out")) >= 10:
                next(child for child in children if child.name == "driver-1").kill()
                return
            time.sleep(0.05)

    monkeypatch.setattr(run, "Child", start)
    thread = threading.Thread(target=kill)
    thread.start()
    code, said, record = launch("two", "--drivers", "2")
    thread.join()
    assert code == 0, said
    assert trajectory("two") == trajectory("straight")
    deaths = [death for part in record["segments"] for death in part.get("driver_deaths", [])]
    assert len(record["segments"]) == 2 or "driver-1 ended with signal SIGKILL" in deaths[0]
    assert record["driver"]["drivers"] == 2
