"""Replicas with real i-PI and real sockets: each is the single run with its seed, bit by bit."""

import os
import signal
from pathlib import Path

import pytest

from ncforce_ipi import cli
from ncforce_ipi.launch.directory import tails
from tests.ipi_host import trajectory

from .runs import (
    N_OUTER,
    children_of,
    copied,
    evaluation_after,
    once_held,
    record,
    wait_for,
    while_held,
)

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e

TWO = ("--replicas", "2", "--ensemble", "svr")
HOW = [
    pytest.param(("--drivers", "2"), id="a driver for each"),
    pytest.param((), id="one driver for both"),
]


@pytest.fixture
def alone(launch, undisturbed):
    """The single runs with the seeds 1 and 2."""
    for seed in (1, 2):
        copied(undisturbed("--ensemble", "svr", "--seed", str(seed)), f"alone-{seed}")
    assert trajectory("alone-1") != trajectory("alone-2")


def assert_same(out):
    """Both replicas are the single runs."""
    for place in (0, 1):
        assert trajectory(f"{out}/replica-{place}") == trajectory(f"alone-{place + 1}"), place


def resume(out, *words):
    return cli.main(["run", "--resume", "--out", out, *words])


@pytest.mark.parametrize("drivers", HOW)
def test_an_i_pi_that_is_killed_is_its_own_replicas_business(
    launch, alone, monkeypatch, drivers, capfd
):
    children = children_of(monkeypatch)
    first = lambda: next(child for child in children if child.name == "i-PI")  # noqa: E731
    thread = while_held(evaluation_after(7), lambda: first().kill())
    code, said, found = launch("set", *TWO, *drivers)
    thread.join()
    assert code == 1
    last = said.splitlines()[-1]
    assert last.startswith("ncforce run: 1 of 2 replicas failed: replica-0: i-PI ended with signal")
    assert last.endswith("go on with: ncforce run --resume --out set")
    assert (found["state"], found["reason"]) == ("failed", last.removeprefix("ncforce run: "))
    assert [record(f"set/replica-{k}")["state"] for k in (0, 1)] == ["failed", "finished"]
    requests = record("set/replica-1")["segments"][0]["requests"]
    for role, per_step in (("slow", 1), ("fast", 4)):
        n = per_step * N_OUTER + 1
        assert requests[role] == {"needed": n, "answered_by_our_drivers": n}
    del children[:]
    assert resume("set") == 0, capfd.readouterr().err
    assert [child.name for child in children].count("i-PI") == 1  # the other one was done
    assert record("set")["state"] == "finished"
    assert_same("set")


@pytest.mark.parametrize("drivers", HOW)
def test_a_signal_stops_all_and_all_go_on(launch, alone, drivers, request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    logs = [Path(f"set/replica-{k}/logs/ipi.log").absolute() for k in (0, 1)]
    steps = [Path(f"set/replica-{k}/simulation.out").absolute() for k in (0, 1)]

    def both_have_done_a_step():
        return all(path.exists() and tails.last_step(path) > 0 for path in steps)

    def interrupt():
        """The drivers go on when both know that they are to stop."""
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: all("EXIT file detected" in log.read_text() for log in logs))

    thread = once_held(evaluation_after(13), both_have_done_a_step, interrupt)
    code, said, found = launch("set", *TWO, *drivers)
    thread.join()
    assert code == 128 + signal.SIGINT
    assert "stopped by SIGINT after step " in said
    assert "go on with: ncforce run --resume --out set" in said
    assert (found["state"], found["reason"]) == ("stopped", "stopped by SIGINT")
    assert {record(f"set/replica-{k}")["state"] for k in (0, 1)} == {"stopped"}
    assert resume("set") == 0
    assert_same("set")


@pytest.mark.parametrize("drivers", HOW)
@pytest.mark.parametrize("fault", ["kill 40", "deaf 40"])
def test_a_driver_that_dies(launch, alone, tmp_path, drivers, fault):
    """Killed, it is started again; where an i-PI has become deaf, all go on from checkpoints."""
    (tmp_path / "fault").write_text(fault)
    code, said, _ = launch("set", *TWO, *drivers)
    assert code == 0, said
    assert not (tmp_path / "fault").exists()
    assert_same("set")


def test_a_replica_goes_on_alone(launch, alone):
    """It is an ordinary run: longer by itself, then the set follows."""
    assert launch("set", *TWO, "--drivers", "2")[0] == 0
    assert resume("alone-1", "--time-ps", "0.08") == 0
    assert resume("set/replica-0", "--time-ps", "0.08") == 0
    assert trajectory("set/replica-0") == trajectory("alone-1")
    assert resume("alone-2", "--time-ps", "0.08") == 0
    assert resume("set", "--time-ps", "0.08") == 0
    assert_same("set")


@pytest.mark.parametrize("drivers", HOW)
def test_one_whose_forces_are_not_finite(launch, alone, tmp_path, drivers):
    """It runs away alone and isn't taken up again."""
    (tmp_path / "fault").write_text("nan 60")
    code, said, found = launch("set", *TWO, *drivers)
    assert code == 1
    assert "1 of 2 replicas failed" in said.splitlines()[-1]
    assert "is not finite" in found["reason"]
    assert found["reason"].endswith("the others are unaffected")
    unphysical = [record(f"set/replica-{k}")["unphysical"] for k in (0, 1)]
    assert sorted(unphysical) == [False, True]
    other = unphysical.index(False)
    assert trajectory(f"set/replica-{other}") == trajectory(f"alone-{other + 1}")


@pytest.mark.parametrize("drivers", HOW)
def test_beads_of_replicas(launch, undisturbed, drivers):
    """Batches of each; the first replica is the single path integral."""
    beads = ("--ensemble", "langevin", "--beads", "2")
    alone = undisturbed(*beads, "--seed", "1")
    code, said, _ = launch("set", "--replicas", "2", *beads, *drivers)
    assert code == 0, said
    one, first = (Path(path, "simulation.out").read_bytes() for path in (alone, "set/replica-0"))
    assert first == one
    requests = record("set/replica-1")["segments"][0]["requests"]
    assert {role: one["needed"] for role, one in requests.items()} == {"slow": 62, "fast": 242}
