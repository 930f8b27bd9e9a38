"""Real runs in which somebody else computes, or a driver doesn't answer any more."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from ncforce_ipi import cli
from ncforce_ipi.serve import patience
from tests.ipi_host import ANALYTIC, TIMEOUT_S, host, trajectory, two_free_ports

from . import runs
from .runs import MTS, N_OUTER, children_of, deaths, evaluation_after, while_held

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e


def requests(record):
    """Of both roles, summed over the parts of a run: needed, and answered by our drivers."""
    return {
        role: tuple(
            sum(part["requests"][role][key] for part in record["segments"])
            for key in ("needed", "answered_by_our_drivers")
        )
        for role in ("slow", "fast")
    }


@pytest.mark.parametrize(
    ("words", "beads"),
    [
        ([], 1),
        (["--ensemble", "svr"], 1),
        (["--ensemble", "gle"], 1),
        (["--ensemble", "npt"], 1),
        (["--beads", "3", "--ensemble", "langevin"], 3),
        (["--drivers", "2", "--beads", "3", "--ensemble", "langevin"], 3),  # one by one, no copies
    ],
)
def test_i_pi_asks_as_often_as_we_say(launch, words, beads):
    """Each request exactly once: what is needed isn't less than what is asked, nor more."""
    code, said, record = launch("run", *words)
    assert code == 0, said
    slow, fast = beads * (N_OUTER + 1), beads * (MTS * N_OUTER + 1)
    found = requests(record)
    assert {role: needed for role, (needed, _) in found.items()} == {"slow": slow, "fast": fast}
    for needed, ours in found.values():
        assert ours == needed
    assert not list(Path("run/logs").glob("*.live"))


def test_after_a_resume(straight):
    assert cli.main(["run", "--resume", "--out", straight, "--time-ps", "0.08"]) == 0
    again = runs.record(straight)["segments"][1]["requests"]
    assert again["slow"] == {"needed": 11, "answered_by_our_drivers": 11}
    assert again["fast"] == {"needed": 41, "answered_by_our_drivers": 41}


def test_a_stranger_on_the_port_fails_the_run(launch, tmp_path, monkeypatch, capfd):
    """It is there first; our driver connects and is never asked."""
    port = two_free_ports()
    with host(tmp_path / "stranger") as it:
        words = ["driver", "analytic", "--model", str(tmp_path / "model.txt"), "--role", "fast"]
        words += ["--structure", str(tmp_path / "start.xyz"), "--port", str(port + 1)]
        it.start([sys.executable, ANALYTIC, *words, "--wait-s", str(TIMEOUT_S)], "stranger.log")
        it.wait_for(f"waiting up to {TIMEOUT_S} s", "stranger.log")
        monkeypatch.setenv("NCFORCE_TEST_AFTER", str(tmp_path / "stranger" / "stranger.log"))
        code, said, record = launch("run", "--port", str(port))
    assert code == 1
    last = said.splitlines()[-1]
    assert "requests for fast forces that these steps took: another program has connected" in last
    assert record["state"] == "failed"
    assert record["foreign_forces"] is True
    assert record["reason"] in last
    needed, ours = requests(record)["fast"]
    assert ours < needed
    assert cli.main(["run", "--resume", "--out", "run"]) == 2
    assert "this run can't go on: our drivers answered" in capfd.readouterr().err


def test_a_stopped_driver_is_started_again(launch, straight, monkeypatch):
    monkeypatch.setattr(patience, "HANG_S", 1.0)
    children = children_of(monkeypatch)

    def stop():
        os.kill(next(child for child in children if child.name == "driver").pid, signal.SIGSTOP)

    thread = while_held(evaluation_after(5), stop)
    code, said, record = launch("run")
    thread.join()
    assert code == 0, said
    assert trajectory("run") == trajectory("straight")
    assert re.match(
        r"driver was stopped by a signal for \d s at step \d+: ended", deaths(record)[0]
    )
    assert all(needed <= ours for needed, ours in requests(record).values())


def test_a_call_of_the_model_without_end(launch, straight, monkeypatch, tmp_path):
    monkeypatch.setattr(patience, "HANG_S", 1.0)
    (tmp_path / "fault").write_text("hang 40")
    code, said, record = launch("run")
    assert code == 0, said
    assert trajectory("run") == trajectory("straight")
    noticed, death = deaths(record)
    assert re.match(r"driver was in one call of the model for \d s at step 9: ended", noticed)
    assert re.search(r"SIGKILL .*, which had hung \(in one call of the model for \d s\)", death)


def test_a_model_file_that_is_replaced_while_the_run_goes_on(launch, monkeypatch, tmp_path):
    """A driver that is started again has the new file, and is refused by its own input."""
    children = children_of(monkeypatch)

    def replace():
        (tmp_path / "model.txt").write_text("another model")
        next(child for child in children if child.name == "driver").kill()

    thread = while_held(evaluation_after(3), replace)
    code, said, record = launch("run")
    thread.join()
    assert code == 1
    assert re.search("asks for model sha256-.*, this driver has .* the model was changed", said)
    assert record["state"] == "failed"
    assert "the model was changed" in record["reason"]
    assert sum(child.name == "driver" for child in children) in (2, 3)  # none of five more


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("shape 22", r"the direct force is float64 \(13, 3\), expected an array float64 \(12, 3\)"),
        ("raise 22", "analytic failed: KeyError: 'forces'"),
    ],
)
def test_a_fault_of_the_model_ends_the_run_at_once(launch, monkeypatch, tmp_path, fault, says):
    """No crash: it would do so again.  One line on the screen and in the record, no restart."""
    (tmp_path / "fault").write_text(fault)
    children = children_of(monkeypatch)
    code, said, record = launch("run")
    assert code == 1
    assert [child.name for child in children] == ["i-PI", "driver"]
    assert re.search(says, record["reason"])
    assert "role fast, evaluation 21" in record["reason"]
    assert said.splitlines()[-1] == f"ncforce run: {record['reason']}"
    assert record["state"] == "failed"
    assert "EXIT from the server" not in said
    assert "driver_deaths" not in record["segments"][0]
