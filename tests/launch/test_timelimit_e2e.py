"""A run that its time limit stops, again and again, is the uninterrupted one; with real i-PI."""

import re
from math import inf
from pathlib import Path

import pytest

from ncforce_ipi import cli
from ncforce_ipi.launch.directory import tails
from ncforce_ipi.launch.processes import timelimit

pytestmark = pytest.mark.e2e
STEPS = 6
OUTPUTS = ("simulation.out", "simulation.pos_0.extxyz", "simulation.vel_0.xyz")


@pytest.fixture
def soon(monkeypatch):
    """Limits that come some steps after the first ones of each part, on any machine."""
    seen = []  # each limit, and the step at which it was asked first

    def is_near(limit, step_s):
        step = tails.last_step(Path("parts/simulation.out"))
        if step_s > 0.0 and (not seen or seen[-1][0] is not limit):
            seen.append((limit, step))
        return limit.seconds < inf and step_s > 0.0 and step - seen[-1][1] >= STEPS

    monkeypatch.setattr(timelimit.TimeLimit, "is_near", is_near)


def test_one_part_after_the_other_to_the_very_end(launch, straight, monkeypatch, soon, capfd):
    # i-PI takes up to a second to see that it is to stop, some eight steps
    monkeypatch.setenv("NCFORCE_TEST_SLEEP_S", "0.03")
    code, err, record = launch("parts", "--time-limit", "1:00:00")
    assert (code, record["state"]) == (75, "stopped")
    assert record["reason"] == "stopped for the time limit of 01:00:00"
    done = record["steps_done"]
    assert 0 < done < record["plan"]["n_outer"] == 30
    assert re.search(
        rf"ncforce run: stopped for the time limit of 01:00:00 after step {done} of 30 \([\d.]+ "
        r"ns/day, [\d:]+ to go, about 1 more job of 01:00:00\); go on with: ncforce run --resume",
        err,
    )
    n_jobs = 1
    while code == 75 and n_jobs < 30 // STEPS + 1:
        code = cli.main(["run", "--resume", "--out", "parts", "--time-limit", "1:00:00"])
        n_jobs += 1
    out, err = capfd.readouterr()
    assert code == 0, err
    assert re.search(r"ns/day, slow - fast [\d.]+ eV/A; next: ncforce analyze parts", out)
    for name in OUTPUTS:
        assert Path("parts", name).read_bytes() == Path(straight, name).read_bytes(), name


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
