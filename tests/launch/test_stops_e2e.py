"""Signals and EXIT files: a clean end with real i-PI, a true run.json, nobody left behind."""

import errno
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress

import pytest

from ncforce_ipi.launch.directory import files, holder
from ncforce_ipi.launch.processes import stops
from ncforce_ipi.launch.processes.stops import StopRequest

from .conftest import WAIT_S, gone

pytestmark = pytest.mark.e2e
LONG = ("--time-ps", "50")
LAUNCHER, EVERYBODY = "launcher", "everybody"


@pytest.mark.parametrize(
    ("numbers", "whom"),
    [
        ((signal.SIGINT,), LAUNCHER),
        ((signal.SIGHUP, signal.SIGTERM, signal.SIGINT), LAUNCHER),  # a terminal that closes
        ((signal.SIGTERM,), LAUNCHER),
        ((signal.SIGUSR1, signal.SIGUSR2), LAUNCHER),
        ((signal.SIGHUP,), EVERYBODY),
        ((signal.SIGXCPU,), EVERYBODY),
        ((signal.SIGTERM,), EVERYBODY),  # a scheduler: i-PI and driver get it too
        ((signal.SIGTERM, signal.SIGTERM), EVERYBODY),  # at once: one request
        ((signal.SIGUSR1,), EVERYBODY),
        ((signal.SIGXCPU, signal.SIGTERM), EVERYBODY),  # and at a time limit
    ],
)
def test_a_signal_is_a_clean_end(launcher, numbers, whom):
    """Everybody: i-PI alone would die without a checkpoint of SIGUSR1, and of two SIGTERM."""
    process = launcher.begin(launcher.words("run", *LONG))
    launcher.at("run", 5)
    pids = launcher.processes("run")
    assert pids["launcher"] == process.pid
    for number in numbers:
        for pid in pids.values() if whom == EVERYBODY else [process.pid]:
            with suppress(ProcessLookupError):  # the first signal has ended it
                os.kill(pid, number)
    _, err = process.communicate(timeout=WAIT_S)
    record = launcher.record("run")
    by = {f"stopped by {number.name}" for number in numbers}  # which came first, who knows
    assert (record["state"], record["reason"] in by) == ("stopped", True)
    assert process.returncode - 128 in numbers
    done = launcher.steps("run")[-1]
    assert record["steps_done"] == done == launcher.restart_step("run")
    assert err.splitlines()[-1] == (  # a line of progress may come before, on a busy machine
        f"ncforce run: {record['reason']} after step {done} of 100000; "
        "go on with: ncforce run --resume --out run"
    )
    assert gone(pids.values())
    assert "processes" not in record
    assert not (launcher.directory / "run/EXIT").exists()


def test_a_second_signal_costs_no_checkpoint(launcher):
    """It comes while i-PI, which looks for the first one once a second, has not written yet."""
    process = launcher.begin(launcher.words("run", *LONG))
    launcher.at("run", 5)
    pids = launcher.processes("run").values()
    for _ in range(3):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(0.05)
    process.communicate(timeout=WAIT_S)
    record = launcher.record("run")
    assert record["state"] == "stopped"
    assert record["steps_done"] == launcher.restart_step("run") == launcher.steps("run")[-1]
    assert gone(pids)


@pytest.mark.parametrize("verb", ["compare", "tune"])
def test_a_signal_stops_runs_one_after_the_other(launcher, verb):
    """In the first of them; the others don't begin."""
    words = ("--model", "analytic:lennard-jones", "--structure", "argon.xyz", "--mts", "2", *LONG)
    process = launcher.begin([sys.executable, "-m", "ncforce_ipi", verb, *words, "--out", "all"])
    launcher.at("all/slow", 5)
    pids = launcher.processes("all/slow")
    os.kill(process.pid, signal.SIGUSR1)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 128 + signal.SIGUSR1
    assert err.splitlines()[-1] == (
        f"ncforce {verb}: stopped by SIGUSR1; go on with the same command and --resume"
    )
    assert launcher.record("all/slow")["state"] == "stopped"
    assert launcher.restart_step("all/slow") == launcher.steps("all/slow")[-1]
    assert gone(pids.values())
    assert not (launcher.directory / "all/mts2").exists()


def test_a_second_signal_ends_it_at_once(launcher):
    """i-PI hangs, so that the first one would wait 20 s for it; what is on the disk counts.

    Such short steps that there is no checkpoint (of every 200 fs) yet on any machine.
    """
    words = ("--timestep-fs", "0.02", "--time-ps", "2")
    process = launcher.begin(launcher.words("run", *words))
    launcher.at("run", 5)
    pids = launcher.processes("run")
    os.kill(pids["i-PI"], signal.SIGSTOP)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(stops.TOGETHER_S + 0.5)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=WAIT_S)
    done = launcher.steps("run")[-1]
    assert process.returncode == 130
    assert f"stopped by SIGINT after step {done} of 100000; go on with: ncforce run" in err
    record = launcher.record("run")
    assert (record["state"], record["steps_done"]) == ("stopped", done)
    assert gone(pids.values())
    before = (launcher.directory / "run/simulation.out").read_bytes()
    code, _, err = launcher.resume("run", "--time-ps", f"{(done + 3) * 0.00002:.5f}")
    assert code == 0, err
    assert "run has no usable checkpoint later than its start and begins again" in err
    assert launcher.steps("run") == list(range(done + 4))
    assert (launcher.directory / "run/simulation.out").read_bytes().startswith(before)
    assert (launcher.directory / "run/previous-1/simulation.out").read_bytes() == before


def test_what_was_ignored_stays_ignored(launcher):
    """``nohup``, and Ctrl-C of a command that was started with &."""
    ignored = (signal.SIGHUP, signal.SIGINT)
    process = launcher.begin(launcher.words("run", "--time-ps", "0.05"), ignored=ignored)
    launcher.at("run", 5)
    for number in ignored:
        os.kill(process.pid, number)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    assert launcher.record("run")["state"] == "finished"
    assert launcher.steps("run") == list(range(101))


def test_a_file_exit_stops_a_run(launcher):
    process = launcher.begin(launcher.words("run", *LONG))
    launcher.at("run", 5)
    (launcher.directory / "run/EXIT").touch()
    _, err = process.communicate(timeout=WAIT_S)
    record = launcher.record("run")
    done = launcher.steps("run")[-1]
    assert (record["state"], record["reason"]) == ("stopped", "stopped by a file EXIT")
    assert record["steps_done"] == done == launcher.restart_step("run")
    assert f"ncforce run: stopped by a file EXIT after step {done} of 100000; go on" in err
    assert process.returncode == 1


def test_a_signal_to_i_pi_alone(launcher):
    process = launcher.begin(launcher.words("run", *LONG))
    launcher.at("run", 5)
    os.kill(launcher.processes("run")["i-PI"], signal.SIGTERM)
    process.communicate(timeout=WAIT_S)
    record = launcher.record("run")
    assert (record["state"], record["reason"]) == ("stopped", "stopped by a signal to i-PI")
    assert record["steps_done"] == launcher.restart_step("run")


def test_a_killed_launcher(launcher):
    """i-PI and the driver work on; the next command says so, and how to end them."""
    process = launcher.begin(launcher.words("run", *LONG))
    launcher.at("run", 5)
    pids = launcher.processes("run")
    process.kill()
    process.communicate(timeout=WAIT_S)
    assert launcher.record("run")["state"] == "running"
    launcher.at("run", launcher.steps("run")[-1] + 3)
    code, _, err = launcher.resume("run")
    assert code == 2
    assert err == (
        f"ncforce run: the launcher of the run in run was killed, but i-PI (pid {pids['i-PI']}), "
        f"driver (pid {pids['driver']}) may go on; wait for the end of the run, or stop it with: "
        "touch run/EXIT; then go on with --resume\n"
    )
    (launcher.directory / "run/EXIT").touch()
    assert gone([pids["i-PI"], pids["driver"]])
    done = launcher.restart_step("run")
    code, _, err = launcher.resume("run", "--time-ps", str((done + 3) * 0.0005))
    assert code == 0, err
    assert "ncforce: the launcher of the run in run was killed; looking at what is there\n" in err
    assert launcher.steps("run") == list(range(done + 4))


def test_a_killed_launcher_whose_run_came_to_its_end(launcher):
    process = launcher.begin(launcher.words("run", "--time-ps", "0.05"))
    pids = launcher.all_processes("run")
    os.kill(pids["i-PI"], signal.SIGSTOP)  # so that it doesn't come there before
    process.kill()
    process.communicate(timeout=WAIT_S)
    os.kill(pids["i-PI"], signal.SIGCONT)
    assert gone([pids["i-PI"], pids["driver"]])
    code, _, err = launcher.resume("run")
    assert code == 0, err
    record = launcher.record("run")
    assert (record["state"], record["steps_done"]) == ("finished", 100)
    assert "processes" not in record


class TestHolder:
    """What is said of a directory that somebody holds."""

    def said(self, tmp_path, **processes):
        (tmp_path / "run.json").write_text(json.dumps({"plan": {}, "processes": processes}))
        return holder.said_of(tmp_path)

    def test_a_run_that_goes_on(self, tmp_path):
        processes = holder.of_this_launcher() | {"i-PI": 7}
        assert self.said(tmp_path, **processes) == (
            f"a run is going on in {tmp_path} (launcher (pid {os.getpid()}), i-PI (pid 7)); "
            f"wait for its end, or stop it with: touch {tmp_path}/EXIT"
        )

    def test_on_another_machine_nobody_is_said_to_be_dead(self, tmp_path):
        said = self.said(tmp_path, host="node7", launcher=2**22 + 1)
        assert "(launcher (pid 4194305) on node7); wait for its end" in said

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"plan": {}, "processes": {"host": 1}}'])
    def test_a_record_that_says_nothing(self, tmp_path, text):
        (tmp_path / "run.json").write_text(text)
        assert str(tmp_path) in holder.said_of(tmp_path)

    def test_a_name_that_a_shell_would_split(self, tmp_path):
        (tmp_path / "a b").mkdir()
        processes = holder.of_this_launcher()
        assert self.said(tmp_path / "a b", **processes).endswith(f"touch '{tmp_path}/a b/EXIT'")

    def test_what_is_said_of_files_that_may_grow(self, tmp_path):
        mine = holder.of_this_launcher() | {"driver": 7}
        dead = mine | {"launcher": 2**22 + 1}
        said = [
            holder.not_ended(tmp_path, {"state": "running", "processes": processes})
            for processes in (mine, dead, {})
        ]
        assert said == [
            f"the run in {tmp_path} is going on; this is what there is of it",
            f"the launcher of the run in {tmp_path} was killed; driver (pid 7) may go on; "
            f"to end it properly: ncforce run --resume --out {tmp_path}",
            f"the launcher of the run in {tmp_path} was killed; "
            f"to end it properly: ncforce run --resume --out {tmp_path}",
        ]
        assert holder.not_ended(tmp_path, {"state": "finished"}) is None
        assert holder.not_ended(tmp_path, {}) is None


class TestStopRequest:
    def test_signals_together_are_one_request(self, monkeypatch):
        now = [10.0]
        monkeypatch.setattr(stops.time, "monotonic", lambda: now[0])
        request = StopRequest()
        request(signal.SIGHUP, None)
        now[0] += stops.TOGETHER_S
        request(signal.SIGTERM, None)
        assert (request.name, request.at_once) == ("SIGHUP", False)
        now[0] += 0.1
        request(signal.SIGTERM, None)
        assert (request.name, request.at_once) == ("SIGHUP", True)

    def test_handlers_come_back(self):
        before = [signal.getsignal(number) for number in stops.SIGNALS]
        with stops.stop_requests() as request:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert request.name == "SIGUSR1"
        assert [signal.getsignal(number) for number in stops.SIGNALS] == before

    def test_a_thread_of_a_larger_program_leaves_signals_alone(self):
        found = []

        def inside():
            with stops.stop_requests():
                found.append(signal.getsignal(signal.SIGTERM))

        before = signal.getsignal(signal.SIGTERM)
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        assert found == [before]


def test_a_shielded_child_survives_what_is_meant_for_its_launcher(tmp_path):
    from ncforce_ipi.launch.processes.child import Child, ended

    code = "import time; print('here', flush=True); time.sleep(60)"
    with ended(Child("it", [sys.executable, "-c", code], tmp_path, tmp_path / "log")) as it:
        while "here" not in it.said():
            time.sleep(0.05)
        for number in stops.LAUNCHERS_OWN:
            os.kill(it.pid, number)
        it.terminate()  # and of this one it ends
        assert it.ends_within(30)
        assert it.code == -signal.SIGTERM
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_the_reserve_is_held_and_given_back(tmp_path):
    with files.locked(tmp_path):
        assert (tmp_path / files.LOCK).stat().st_size == files.RESERVE_BYTES
    assert (tmp_path / files.LOCK).stat().st_size == 0
    with files.locked(tmp_path, keep=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_last_record_takes_the_reserve(tmp_path, monkeypatch):
    """On a full disk, and no other one does; nothing half-written is left."""
    path, full = tmp_path / "run.json", OSError(errno.ENOSPC, "No space left on device")
    real = os.fsync

    def fsync(descriptor):
        if (tmp_path / files.LOCK).stat().st_size:
            raise full
        real(descriptor)

    with files.locked(tmp_path):
        files.write_atomically(path, "begun")
        monkeypatch.setattr(files.os, "fsync", fsync)
        with pytest.raises(OSError, match=r"No space left on device: .*run\.json") as caught:
            files.write_atomically(path, "going on")
        assert caught.value.errno == errno.ENOSPC
        assert path.read_text() == "begun"
        files.write_atomically(path, "ended", last=True)
    assert path.read_text() == "ended"
    assert sorted(found.name for found in tmp_path.iterdir()) == [files.LOCK, "run.json"]
