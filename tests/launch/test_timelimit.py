"""Wall-time limits: how they are written, when a run stops for one, and what is still to do."""

import math
import subprocess
import sys

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch.processes.timelimit import TimeLimit, seconds_of, spare_s, written
from ncforce_ipi.launch.progress.estimate import more_jobs, ns_per_day, of_what_is_left

HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [  # as in Slurm's manual of sbatch, --time; and as squeue's %L shows them
        ("30", 1800),
        ("0:05", 5),
        ("59:59", 3599),
        ("1:00:00", 3600),
        ("24:00:00", 86400),
        ("2-12", 216000),
        ("2-12:30", 217800),
        ("1-00:00:01", 86401),
        ("UNLIMITED", math.inf),
        (" infinite ", math.inf),
    ],
)
def test_a_time_is_read_as_slurm_reads_it(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0:00:00", "24h", "-5", "1-", "1:2:3:4", "NOT_SET", "1.5", "INVALID"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InputError, match=r"time limit: expected MINUTES, .* got "):
        seconds_of(text)


@pytest.mark.parametrize("seconds", [1, 59, 60, 3599, 3600, 86399, 86400, 987654, math.inf])
def test_a_time_is_written_as_it_is_read(seconds):
    assert seconds_of(written(seconds)) == seconds


@pytest.mark.parametrize(
    ("limit_s", "spare"), [(24 * HOUR_S, 120), (20 * 60, 120), (300, 30), (60, 10)]
)
def test_what_is_spared_for_the_end(limit_s, spare):
    assert spare_s(limit_s) == spare


class Clock:
    """A clock that a test turns."""

    now_s = 1000.0

    def __call__(self):
        return self.now_s


def test_a_run_stops_early_enough_for_its_own_steps():
    clock = Clock()
    limit = TimeLimit(HOUR_S, clock)
    clock.now_s += HOUR_S - 121
    assert not limit.is_near(step_s=0.1)
    assert limit.is_near(step_s=1.0)  # 120 s and three steps
    clock.now_s += 2
    assert limit.is_near(step_s=0.0)
    assert not TimeLimit(math.inf, clock).is_near(step_s=1e6)


def test_time_runs_from_the_start_of_the_process():
    """Not from the end of its imports: the job's time doesn't wait for them."""
    code = (
        "import time; time.sleep(1.5)\n"
        "from ncforce_ipi.launch.processes.timelimit import TimeLimit, process_age_s\n"
        "print(process_age_s(), 3600 - TimeLimit.of_this_process('1:00:00').left_s)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    age_s, used_s = map(float, done.stdout.split())
    assert age_s > 1.4  # /proc counts in hundredths
    assert used_s > 1.4


def test_how_much_a_day_gives():
    assert ns_per_day(0.004, 4.0) == pytest.approx(86.4)  # 1 fs takes 1 ms: 86.4e6 fs
    assert math.isnan(ns_per_day(0.0, 4.0))


def test_how_many_jobs_follow():
    """Of an hour, two minutes of which are spared, and eight of which pass until the first step."""
    clock = Clock()
    limit = TimeLimit(HOUR_S, clock)
    clock.now_s += HOUR_S / 2  # 28 minutes are left of this one, 50 are good in each later one
    minutes = {28: 0, 29: 1, 28 + 50: 1, 28 + 51: 2, 28 + 500: 10}
    for to_go, jobs in minutes.items():
        assert more_jobs(60.0 * to_go, limit, start_s=480.0) == jobs, to_go
    assert more_jobs(1e9, TimeLimit(math.inf, clock)) == 0
    assert more_jobs(1e9, TimeLimit(60.0, clock), start_s=90.0) == 1  # nobody knows


def test_what_is_left_in_words():
    plan = Plan("mts", 8, 0.5, 100_000)
    record = {"timings": {"ms_per_inner_step": 90.0}, "steps_done": 20_000}
    text = of_what_is_left(record, plan, TimeLimit(10 * HOUR_S))
    # 80000 steps of 0.72 s are 16 h; each job has 10 h less 2 minutes
    assert text == "0.48 ns/day, 16:00:00 to go, about 2 more jobs of 10:00:00"
    assert of_what_is_left(record, plan, TimeLimit()) == "0.48 ns/day, 16:00:00 to go"
    assert of_what_is_left({"timings": {}}, plan, TimeLimit()) == ""
