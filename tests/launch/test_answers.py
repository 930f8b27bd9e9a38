"""Who computes: counts of our drivers against what i-PI asks; and drivers that answer no more."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch.watching.answers import Demand, Heard, given, stranger
from ncforce_ipi.launch.watching.drivers import MAX_RESTARTS, REFILL_STEPS, Driver
from ncforce_ipi.launch.watching.hangs import Watchdog, is_stopped
from ncforce_ipi.launch.watching.supervise import Limits, StopRequest, Watch
from ncforce_ipi.serve import patience
from ncforce_ipi.serve.patience import Patience
from ncforce_ipi.serve.pulse import LAYOUT, Beat, Pulse, live_file, this_machine


@pytest.mark.parametrize(
    ("forces", "mts", "beads", "at_once", "needed"),
    [
        ("mts", 8, 1, 1, {"slow": 11, "fast": 81}),
        ("mts", 4, 3, 1, {"slow": 33, "fast": 123}),
        ("mts", 4, 3, 3, {"slow": 33, "fast": 123}),
        ("mts", 4, 3, 2, {"slow": 44, "fast": 164}),  # two batches of two: one copy
        ("slow", 1, 1, 1, {"slow": 11}),
        ("fast", 1, 2, 1, {"fast": 22}),
    ],
)
def test_what_ten_steps_need(forces, mts, beads, at_once, needed, tmp_path):
    socket = "<ffsocket name='{}' mode='unix'> <address>x</address>{}</ffsocket>"
    batch = f"<batch_size> {at_once} </batch_size>" * (at_once > 1)
    sockets = "".join(socket.format(name, batch) for name in ("slow", "fast"))
    text = f"<!-- /a--b is no XML -->\n<simulation>{sockets}</simulation>"
    (tmp_path / "input.xml").write_text(text)
    demand = Demand.of(Plan(forces, mts, 0.5, 100), beads, tmp_path / "input.xml")
    assert demand.until(10) == needed


def test_a_deficit_is_somebody_else_and_a_surplus_is_none():
    beats = [("both", Beat(slow=5, fast=17)), ("fast", Beat(fast=4))]
    assert given(beats) == {"slow": 5, "fast": 21}
    assert stranger({"slow": 5, "fast": 21}, given(beats)) is None
    assert stranger({"slow": 4, "fast": 2}, given(beats)) is None
    reason = stranger({"slow": 5, "fast": 22}, given(beats))
    assert "answered 21 of the 22 requests for fast forces" in reason


def test_a_driver_that_does_not_say_is_not_accused():
    """A program of another environment, until its report is there."""
    answers = given([("fast", Beat(fast=9)), ("slow", None)])
    assert answers == {"slow": None, "fast": 9}
    assert stranger({"slow": 3, "fast": 9}, answers) is None


def report_of(fast):
    return json.dumps({"end": "EXIT from the server", "roles": {"fast": {"evaluations": fast}}})


def test_a_report_takes_the_place_of_the_pulse(tmp_path):
    """Also of a program without one; but not for a process before that said nothing."""
    heard = Heard(tmp_path / "r.json")
    assert heard.beat is None  # of another program: it may be an old one
    heard.report.write_text(report_of(fast=7))
    assert heard.beat.fast == 7
    heard.starts_again()
    assert not heard.report.exists()
    heard.report.write_text(report_of(fast=2))
    assert heard.beat.fast == 9
    silent = Heard(tmp_path / "s.json")
    silent.starts_again()  # killed before it wrote anything
    silent.report.write_text(report_of(fast=2))
    assert silent.beat is None


def test_answers_of_a_driver_that_died_stay_counted(tmp_path):
    heard = Heard(tmp_path / "r.json", ours=True)
    assert heard.beat == Beat()  # not there yet: it hasn't reached i-PI
    for _ in range(2):
        pulse = Pulse(live_file(heard.report))
        for _ in range(3):
            pulse.begins()
            pulse.answered("fast", 2)
        pulse.close()
        heard.starts_again()
    assert heard.beat.fast == 12
    assert list(tmp_path.iterdir()) == []


class Process:
    """A child that runs, as far as it is looked at."""

    def __init__(self, pid=None):
        self.pid, self.code = pid or os.getpid(), None


class Clock:
    """A clock and a driver that a test moves."""

    def __init__(self, path):
        self.now = 1000.0
        self.path = live_file(path)
        self.driver = Driver(Process, Process(), heard={0: Heard(path, ours=True)})
        self.watchdog = Watchdog(600.0, Patience(lambda: self.now))

    def beat(self, busy_since_s, longest_s):
        beat = Beat(this_machine(), 5, 5, busy_since_s, longest_s)
        self.path.write_bytes(hangs_layout(beat))

    def hangs_after(self, limit_s):
        """Seconds until the watchdog says so; None if not within the limit."""
        start = self.now
        while self.now < start + limit_s:
            if self.watchdog.look([self.driver]):
                return self.now - start
            self.now += 1.0
        return None


def hangs_layout(beat):
    return LAYOUT.pack(*vars(beat).values())


def test_the_bound_of_a_call_grows_with_the_longest(tmp_path):
    for longest_s, expected in ((0.01, 121.0), (10.0, 201.0), (40.0, 301.0)):
        clock = Clock(tmp_path / "x")  # 300 s: half of the run's own limit
        clock.beat(1.0, longest_s)
        assert clock.hangs_after(700.0) == expected


def test_the_first_call_of_all_has_the_bound_of_the_run(tmp_path):
    clock = Clock(tmp_path / "x")
    clock.beat(1.0, 0.0)
    assert clock.hangs_after(700.0) is None


def test_call_after_call_is_no_hang(tmp_path):
    clock = Clock(tmp_path / "x")
    for start in range(200):
        clock.beat(float(start + 1), 0.01)
        assert clock.hangs_after(30.0) is None
    clock.beat(0.0, 0.01)
    assert clock.hangs_after(5000.0) is None  # it waits for i-PI


def test_time_in_which_the_whole_job_was_stopped_does_not_count(tmp_path):
    """Suspended by a batch system for an hour, launcher and all."""
    clock = Clock(tmp_path / "x")
    clock.beat(1.0, 0.01)
    assert clock.hangs_after(10.0) is None
    clock.now += 3600.0
    assert clock.hangs_after(40.0) is None
    assert clock.hangs_after(100.0) is not None


def test_a_process_that_was_stopped(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert not is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert is_stopped(process.pid)
        clock = Clock(tmp_path / "x")
        clock.driver.child = Process(process.pid)
        clock.beat(0.0, 0.01)
        assert clock.hangs_after(200.0) == patience.HANG_S + 1.0
    finally:
        process.kill()
        process.wait()
    assert not is_stopped(process.pid)


def test_the_budget_of_restarts_is_filled_up_by_progress():
    driver = Driver(lambda _: Process(), Process())
    driver.child.code = -9
    step = 0
    for _ in range(5 * MAX_RESTARTS):
        step += REFILL_STEPS
        assert driver.worth_a_restart(step)
        driver.again(step, [0])
        driver.child.code = -9
    for _ in range(MAX_RESTARTS - 1):
        step += REFILL_STEPS - 1
        assert driver.worth_a_restart(step)
        driver.again(step, [0])
        driver.child.code = -9
    assert not driver.worth_a_restart(step + 1)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"end": "OutputError: x: y"}', "OutputError"),
        ('{"end": "EXIT from the server"}', ""),
        ('{"end": "slow: EXIT from the server, fast: EXIT from the server"}', ""),
        ("{", ""),
        ("[]", ""),
        (None, ""),
    ],
)
def test_the_kind_of_error_that_a_driver_reports(text, error, tmp_path):
    report = tmp_path / "report.json"
    if text is not None:
        report.write_text(text)
    assert Heard(report).error == error
    assert Heard().error == ""


def test_a_stall_is_counted_without_the_time_that_we_were_stopped():
    class Silence:
        step, first, path = 7, None, Path("simulation.out")

    clock = [0.0]
    watch = Watch(Process(), [], Silence(), 100, 300.0, 10, Limits(stall_s=50.0), StopRequest())
    watch.patience.clock = lambda: clock[0]
    watch.server.last_words = lambda: "it said nothing"
    for tick_s, ends in ((1.0, False), (3600.0, False), (1.0, True)):
        found = []
        for _ in range(1 if tick_s > 60 else 30):
            clock[0] += tick_s
            watch.patience.tick()
            found.append(watch._stalled())
        assert any(found) == ends
    assert "no outer step after step 7 for 51 s" in next(filter(None, found)).reason
