"""Signals and a time limit where no run goes on: the end at once, with the right exit code."""

import os
import signal
import threading
import time
from contextlib import contextmanager
from math import inf

import pytest

from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.launch import between as module
from ncforce_ipi.launch.between import Between, Stopped, stoppable
from ncforce_ipi.launch.processes.stops import SIGNALS, stop_requests
from ncforce_ipi.launch.processes.timelimit import TimeLimit

LONG_S = 60.0  # never waited for: a signal comes before


def near(left_s):
    """A limit of an hour that makes a run stop in so many seconds: two minutes before its end."""
    return TimeLimit(3600.0, begun_s=time.monotonic() - 3600.0 + 120.0 + left_s)


@contextmanager
def stopped(limit=None):
    """Until something ends the block; how."""
    caught = []
    try:
        with stoppable(limit) as between:
            yield between, caught
            time.sleep(LONG_S)
    except Stopped as stop:
        caught.append(stop.ending)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_ends_it_at_once(number):
    own = {one: signal.signal(one, signal.SIG_DFL) for one in SIGNALS}  # some may be ignored here
    try:
        with stopped() as (_, caught):
            os.kill(os.getpid(), number)
        (ending,) = caught
        assert (ending.exit_code, ending.reason) == (128 + number, f"stopped by {number.name}")
        assert {signal.getsignal(one) for one in SIGNALS} == {signal.SIG_DFL}
    finally:
        for one, handler in own.items():
            signal.signal(one, handler)


def test_the_end_of_the_limit_ends_it():
    with stopped(near(0.2)) as (_, caught):
        pass
    (ending,) = caught
    assert (ending.exit_code, ending.reason) == (75, "stopped for the time limit of 01:00:00")


def test_a_run_looks_at_the_limit_itself():
    """Its launcher has time to end i-PI; afterwards the clock goes on."""
    reached = []
    with stopped(near(2.0)) as (between, caught):  # noqa: SIM117
        with between.run():
            with stop_requests() as request:
                os.kill(os.getpid(), signal.SIGTERM)
                assert request.name == "SIGTERM"  # noted, not raised
            time.sleep(2.2)  # beyond the limit, to which a slow machine comes in time
            reached.append(True)
    assert reached == [True]
    assert [ending.exit_code for ending in caught] == [75]


def test_no_run_begins_where_there_is_no_time_for_it():
    with stoppable() as without, without.run():
        pass
    late = Between(near(-1.0))
    with pytest.raises(Stopped, match="time limit"), late.run():
        pytest.fail("it began")


def test_without_a_limit_there_is_no_clock():
    threads = threading.active_count()
    with stoppable(TimeLimit(inf)):
        assert threading.active_count() == threads


def test_a_process_that_was_forked_leaves_signals_to_its_parent():
    """Batches are made in such ones."""
    with stoppable():
        child = os.fork()
        if not child:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_model_may_hear_of_it_first(monkeypatch):
    """A scheduler's signal to all processes: the lost driver isn't the reason."""

    def late(seconds):
        assert seconds == module.TOGETHER_S
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(module.time, "sleep", late)
    with pytest.raises(Stopped, match="stopped by SIGTERM"), stoppable():
        raise ModelError("the driver is gone")
    with pytest.raises(InputError, match="no such file"), stoppable():
        raise InputError("no such file")


def test_a_thread_of_a_larger_program_leaves_signals_alone():
    found = []

    def inside():
        with stoppable(near(0.0)) as between:
            found.append((signal.getsignal(signal.SIGTERM), between.limit.seconds))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [(signal.getsignal(signal.SIGTERM), 3600.0)]
