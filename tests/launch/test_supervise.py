"""What the launcher does about drivers that end, and about physics that is gone."""

import math
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ncforce_ipi.analysis.runaway import kinetic_meV
from ncforce_ipi.launch.processes.child import Child
from ncforce_ipi.launch.processes.stops import StopRequest
from ncforce_ipi.launch.progress.ending import Ending, Limits
from ncforce_ipi.launch.progress.follower import Row
from ncforce_ipi.launch.watching import crew, supervise
from ncforce_ipi.launch.watching.crew import Crew
from ncforce_ipi.launch.watching.drivers import MAX_RESTARTS, Driver
from ncforce_ipi.launch.watching.hangs import Watchdog
from ncforce_ipi.launch.watching.supervise import Watch

KILLED, FAILED, LEFT = -9, 1, 0
REFERENCE_K, N_ATOMS = 300.0, 10


class Process:
    """A child as far as the watch looks at one."""

    pid = 0  # no process has it

    def __init__(self, name, code=None, words="it said nothing"):
        self.name, self.code, self.words = name, code, words

    def how_it_ended(self):
        return f"{self.name} ended with {self.code}"

    def last_words(self):
        return self.words

    def said(self):
        return self.words


class Progress:
    """A follower at a step that the test sets."""

    def __init__(self):
        self.path = Path("simulation.out")
        self.step, self.step_s, self.first, self.rows = 0, 0.0, None, []

    def update(self):
        rows, self.rows = self.rows, []
        self.first = self.first or (rows[0] if rows else None)
        return rows


def watch_of(server, drivers, progress, limits=None):
    """A watch over 100 steps of ten atoms at 300 K."""
    limits = limits or Limits()
    return Watch(
        server, drivers, progress, 100, REFERENCE_K, N_ATOMS, limits, StopRequest()
    )  # fmt: skip


class Bench:
    """A watch over a server and n drivers that never really run."""

    def __init__(self, n):
        self.started = []
        self.progress = Progress()
        self.server = Process("i-PI")
        drivers = [
            Driver(lambda _, index=index: self.start(index), Process(f"driver-{index}"))
            for index in range(n)
        ]
        self.watch = watch_of(self.server, drivers, self.progress)
        self.crew = Crew(drivers, [self.watch], Watchdog(600.0))

    def start(self, index):
        self.started.append(index)
        return Process(f"driver-{index}")

    def ends(self, index, code, words="it said nothing"):
        """The index-th driver ends; how the run then ends, None if it goes on."""
        child = self.watch.drivers[index].child
        child.code, child.words = code, words
        return self.look()

    def look(self):
        """What is done about drivers, and how the run ends; None if it goes on."""
        self.crew.look()
        return self.watch._without_driver()


def test_a_killed_driver_is_started_again_a_bounded_number_of_times():
    bench = Bench(1)
    for _ in range(MAX_RESTARTS):
        assert bench.ends(0, KILLED) is None
    assert bench.started == [0] * MAX_RESTARTS
    ending = bench.ends(0, KILLED)
    assert (ending.state, ending.reason) == (
        "failed", "driver-0 ended with -9 at step 0: it said nothing",
    )  # fmt: skip
    assert len(bench.watch.notices) == MAX_RESTARTS


def test_a_driver_that_gives_up_at_once_is_not_started_again():
    ending = Bench(1).ends(0, FAILED, "no such model")
    assert ending.state == "failed"
    assert ending.reason.endswith("no such model")


def test_a_driver_that_gives_up_after_progress_is_started_again():
    bench = Bench(1)
    bench.progress.step = 3
    assert bench.ends(0, FAILED) is None
    assert bench.started == [0]
    assert bench.ends(0, FAILED).state == "failed"  # it came no further


def test_the_run_goes_on_with_the_drivers_that_are_left():
    bench = Bench(2)
    assert bench.ends(0, FAILED, "out of memory") is None
    assert bench.started == []
    assert bench.look() is None  # once lost is lost: one notice, no restart
    assert bench.watch.notices == ["driver-0 ended with 1 at step 0: out of memory"]
    assert bench.ends(1, FAILED, "no device").reason.endswith("no device")


def test_the_run_ends_when_nobody_is_left_for_one_role():
    """i-PI would wait for the slow forces for ever."""
    bench = Bench(2)
    bench.watch.drivers[0].serves, bench.watch.drivers[1].serves = "fast", "slow"
    ending = bench.ends(1, FAILED, "no such library")
    assert ending.state == "failed"
    assert ending.reason.endswith("no such library")


def row(step, temperature_K, moved_meV=0.0):
    """A line of the properties file; C(0) is 5 eV, then moved by so much for each atom."""
    return Row(step, 1e-3 * step, 5.0 + 1e-3 * N_ATOMS * moved_meV, temperature_K)


def ending_of(*rows, limits=None, code=None):
    """What the watch says of new lines, with i-PI still there or gone with a code."""
    progress = Progress()
    watch = watch_of(Process("i-PI", code), [], progress, limits)
    progress.rows, progress.step = [row(0, REFERENCE_K), *rows], rows[-1].step
    return watch._server_ended() if code is not None else watch._ending(progress.update())


def test_heat_of_its_own_potential_energy_stops_no_run():
    """A start that isn't equilibrated: T is 20 times as high, the conserved quantity stays."""
    assert ending_of(row(1, 20 * REFERENCE_K, moved_meV=30.0)) is None


def test_heat_that_a_thermostat_takes_out_stops_no_run():
    assert ending_of(row(1, REFERENCE_K, moved_meV=-1e6)) is None


@pytest.mark.parametrize(("hot", "stopped"), [(10.0, True), (12.0, False)])
def test_heat_that_the_forces_work_makes_stops_a_run(hot, stopped):
    """At 11 times 300 K, with just as much energy that came from nowhere."""
    moved_meV = 1.01 * 9 * kinetic_meV(REFERENCE_K)
    ending = ending_of(row(7, 11 * REFERENCE_K, moved_meV), limits=Limits(hot=hot))
    assert bool(ending) == stopped
    if stopped:
        assert (ending.state, ending.unphysical) == ("stopped", True)
        assert ending.reason == (
            "stopped at step 7, 0.007 ps: 3300 K is more than 10 times the 300 K asked for, and "
            "the conserved quantity changed by 352 meV/atom; check the start structure for close "
            "atoms, or take a smaller time step"
        )


def test_a_users_own_limit_looks_at_the_temperature_alone():
    ending = ending_of(row(1, 901.0), limits=Limits(max_temperature_K=900.0))
    assert ending.reason.endswith("the temperature (901 K) exceeded the limit (900 K)")
    assert ending.unphysical


@pytest.mark.parametrize("code", [None, 0, 1])
@pytest.mark.parametrize("last", [row(100, math.nan), row(100, 300.0, math.inf)])
def test_a_last_line_that_is_not_finite_is_no_end(code, last):
    """Also where i-PI left at once after it, with its last step done."""
    ending = ending_of(last, code=code)
    assert (ending.state, ending.unphysical) == ("stopped", True)
    assert "energy or temperature is not finite; check the start" in ending.reason


@pytest.mark.parametrize(
    ("free", "ending"),
    [(4095, "the disk is full; make room, then go on with --resume"), (4096, "nothing")],
)
def test_a_full_disk_is_named_where_the_log_had_no_room(monkeypatch, free, ending):
    monkeypatch.setattr(supervise.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    found = ending_of(row(50, 310.0), code=1)
    assert found.state == "failed"
    assert found.reason.endswith(ending)


@pytest.mark.parametrize(
    ("said", "who"),
    [
        ("@SOFTEXIT: EXIT file detected.", "a file EXIT"),
        ("Kill signal received", "a signal to i-PI"),
        ("something else", None),
    ],
)
def test_i_pi_that_left_softly_was_asked_to(said, who):
    """Not when it failed, and not when it did its last step."""
    progress = Progress()
    watch = watch_of(Process("i-PI", 0, said), [], progress)
    progress.step = 50
    ending = watch._server_ended()
    state = ("stopped", f"stopped by {who}") if who else ("failed", ending.reason)
    assert (ending.state, ending.reason) == state
    assert ending.on_request == bool(who)
    watch.server.code = 1
    assert watch._server_ended().state == "failed"


def test_what_was_written_after_the_last_look_decides():
    """A signal came, and meanwhile the numbers went, or the last step was done."""
    asked = Ending("stopped", "stopped by SIGINT", signal=2)
    for last, state, unphysical in [(math.nan, "stopped", True), (310.0, "finished", False)]:
        progress = Progress()
        watch = watch_of(Process("i-PI", 0), [], progress)
        progress.rows, progress.step = [row(0, REFERENCE_K), row(100, last)], 100
        ending = watch.settled(asked)
        assert (ending.state, ending.unphysical) == (state, unphysical)
    progress.step = 99
    assert watch.settled(asked) == asked


def test_the_last_step_is_the_end():
    assert ending_of(row(100, 310.0), code=0).state == "finished"


@pytest.mark.parametrize("n", [1, 2])
def test_forces_that_are_not_finite_end_the_run_with_any_number_of_drivers(n):
    bench = Bench(n)
    bench.progress.step = 7
    ending = bench.ends(0, FAILED, "force is not finite: atom 3")
    assert (ending.state, ending.unphysical) == ("stopped", True)


def test_a_driver_that_left_in_peace_waits_for_the_end_of_i_pi(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(crew.time, "monotonic", lambda: now[0])
    bench = Bench(1)
    bench.progress.step = 5
    assert bench.ends(0, LEFT) is None
    assert bench.started == []
    now[0] += crew.STOP_S + 1  # i-PI lives: somebody else had stopped the driver
    assert bench.look() is None
    assert bench.started == [0]


def test_drivers_that_do_not_stop_are_killed_and_waited_for_together(tmp_path, monkeypatch):
    """Four that ignore SIGTERM: two waits for all, not eight one after the other."""
    monkeypatch.setattr(crew, "DRIVER_STOP_S", 0.5)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"

    def child(name, code):
        return Child(name, [sys.executable, "-c", code], tmp_path, tmp_path / f"{name}.log")

    server = child("i-PI", "pass")
    drivers = [Driver(lambda _: None, child(f"driver-{k}", code)) for k in range(4)]
    watch = watch_of(server, drivers, Progress())
    watch.follower.path = tmp_path / "simulation.out"
    watch.follower.fresh_step = 0
    waits = []
    wait = crew.wait
    monkeypatch.setattr(crew, "wait", lambda *args: waits.append(args[1]) or wait(*args))
    all_of_them = Crew(drivers, [watch], Watchdog(600.0))
    all_of_them.wind_down(StopRequest(), Ending("finished"))
    assert waits == [0.5, 0.5]
    assert all(driver.child.code is not None for driver in drivers)
