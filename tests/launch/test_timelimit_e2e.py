"""A run that its time limit stops, again and again, is the uninterrupted one; with real i-PI."""

import re
from math import inf
from pathlib import Path

import pytest

from ncforce_ipi import cli
from ncforce_ipi.launch.processes import timelimit

pytestmark = pytest.mark.e2e
OUTPUTS = ("simulation.out", "simulation.pos_0.extxyz", "simulation.vel_0.xyz")


@pytest.fixture
def soon(monkeypatch):
    """Limits that come a second after the first steps."""
    first_s = {}

    def is_near(limit, step_s):
        if step_s > 0.0:
            first_s.setdefault(id(limit), limit.left_s)
        return limit.seconds < inf and first_s.get(id(limit), 0.0) - limit.left_s > 1.0

    monkeypatch.setattr(timelimit.TimeLimit, "is_near", is_near)


def test_one_part_after_the_other_to_the_very_end(launch, monkeypatch, soon, capfd):
    launch("whole", "--time-limit", "UNLIMITED")
    monkeypatch.setenv("NCFORCE_TEST_SLEEP_S", "0.03")  # some 5 s in all
    code, err, record = launch("parts", "--time-limit", "1:00:00")
    assert (code, record["state"]) == (75, "stopped")
    assert record["reason"] == "stopped for the time limit of 01:00:00"
    done = record["steps_done"]
    assert 0 < done < record["plan"]["n_outer"] == 30
    assert re.search(
        rf"ncforce run: stopped for the time limit of 01:00:00 after step {done} of 30 \([\d.]+ "
        r"ns/day, 0:\d\d to go, about 1 more job of 01:00:00\); go on with: ncforce run --resume",
        err,
    )
    n_jobs = 1
    while code == 75 and n_jobs < 30:
        code = cli.main(["run", "--resume", "--out", "parts", "--time-limit", "1:00:00"])
        n_jobs += 1
    out, err = capfd.readouterr()
    assert code == 0, err
    assert re.search(r"ns/day, slow - fast [\d.]+ eV/A; next: ncforce analyze parts", out)
    for name in OUTPUTS:
        assert Path("parts", name).read_bytes() == Path("whole", name).read_bytes(), name


def test_no_step_in_the_time_is_a_failure(launch, monkeypatch):
    """Else a script would submit the same job for ever."""
    monkeypatch.setattr(timelimit.TimeLimit, "is_near", lambda limit, step_s: True)
    code, err, record = launch("late", "--time-limit", "0:30")
    assert (code, record["state"], record["steps_done"]) == (1, "failed", 0)
    assert err.endswith("ncforce run: no step was done in 00:00:30; give a longer --time-limit\n")


def test_what_is_no_time_is_refused(tmp_path, capfd):
    words = ["run", "water", "--time-limit", "24h", "--out", str(tmp_path / "no")]
    assert cli.main(words) == 2
    assert "time limit: expected MINUTES" in capfd.readouterr().err
    assert not (tmp_path / "no").exists()
