"""Runs as jobs of a real Slurm: whatever ends a job, the next one goes on bitwise.

All jobs are submitted at once and run side by side; what shall happen to one does at a step of it.
"""

import re
import subprocess

import pytest

from .conftest import LENT, N_OUTER, call, happen


def restarts(job):
    found = call("scontrol", "show", "job", "-o", job).split()
    return next(int(word.partition("=")[2]) for word in found if word.startswith("Restarts="))


def test_a_job(jobs, submitted, plain):
    assert jobs.record(plain)["state"] == "finished"
    assert jobs.steps(plain) == list(range(N_OUTER + 1))
    assert restarts(submitted[plain]) == 0
    assert "ns/day" in jobs.log(plain)


def test_a_signal_before_the_wall_time(jobs, submitted, plain):
    """As Slurm sends it (``--signal``), at step 20."""
    assert jobs.ends(submitted["signal"], "signal") == {"COMPLETED"}, jobs.log("signal")
    assert restarts(submitted["signal"]) == 1
    assert "stopped by SIGUSR1 after step" in jobs.log("signal")
    jobs.same("signal", plain)


def test_a_killed_driver_is_started_again(jobs, submitted, plain):
    assert jobs.ends(submitted["driver"], "driver") == {"COMPLETED"}, jobs.log("driver")
    (segment,) = jobs.record("driver")["segments"]
    (death,) = segment["driver_deaths"]
    assert "signal SIGKILL" in death
    assert restarts(submitted["driver"]) == 0
    jobs.same("driver", plain)


@pytest.mark.parametrize("name", ["i-PI", "launcher"])
def test_what_is_killed_goes_on_when_it_is_submitted_again(jobs, submitted, plain, name):
    out = name.replace("-", "").lower()
    assert jobs.ends(submitted[out], out) == {"FAILED"}, jobs.log(out)
    second = jobs.submit(out)
    assert jobs.ends(second, out) == {"COMPLETED"}, jobs.log(out)
    jobs.same(out, plain)


def test_a_job_leaves_a_node_that_is_drained(jobs, submitted, plain):
    job, node = submitted["drained"], submitted["node"]
    assert jobs.ends(job, "drained") == {"COMPLETED"}, jobs.log("drained")
    assert restarts(job) == 1
    assert jobs.node(job) != node
    jobs.same("drained", plain)


def test_a_node_that_is_gone(jobs, submitted, plain):
    """Power off: what is on the disk goes on elsewhere."""
    job = submitted["off"]
    assert jobs.ends(job, "off") == {"COMPLETED"}, jobs.log("off")
    assert restarts(job) == 1
    assert jobs.node(job) != submitted["node-off"]
    jobs.same("off", plain)


def test_a_node_that_is_down_and_still_at_work(jobs, submitted, plain):
    """Slurm gives it up; what is there is told to end, and ends before the job begins again."""
    job = submitted["down"]
    assert jobs.ends(job, "down") == {"COMPLETED"}, jobs.log("down")
    assert restarts(job) in (1, 2)  # once more where Slurm held it: that didn't begin
    assert "DUE TO NODE FAILURE" in jobs.log("down")
    jobs.same("down", plain)


@pytest.mark.parametrize("out", LENT)
def test_a_job_that_another_one_displaces(jobs, submitted, plain, out):
    """Slurm queues it again or cancels it; then its script queues it, and only then."""
    job = submitted[out]
    assert jobs.ends(job, out) == {"COMPLETED"}, jobs.log(out)
    assert jobs.ends(submitted["owner"]) == {"COMPLETED"}
    assert restarts(job) == 1
    assert "DUE TO PREEMPTION" in jobs.log(out)
    jobs.same(out, plain)


def test_a_cancelled_job_stays_so_and_goes_on_when_it_is_submitted_again(jobs, submitted, plain):
    jobs.write("given-up", sleep_s=0.01)
    job = jobs.submit("given-up")
    happen(jobs, {"given-up": (10, lambda: call("scancel", job))})
    assert jobs.ends(job, "given-up") == {"CANCELLED"}, jobs.log("given-up")
    assert restarts(job) == 0
    assert jobs.record("given-up")["reason"] == "stopped by SIGTERM"
    assert jobs.ends(jobs.submit("given-up"), "given-up") == {"COMPLETED"}, jobs.log("given-up")
    jobs.same("given-up", plain)


def test_an_array_has_one_seed_each(jobs, submitted, plain):
    assert jobs.ends(submitted["array"]) == {"COMPLETED"}, jobs.log("array")
    seeds = [jobs.record(f"array/{index}")["seed"] for index in (1, 2, 3, 4)]
    assert seeds == [1, 2, 3, 4]
    jobs.same("array/1", plain)  # its seed is the default
    ends = {(jobs.path(f"array/{i}") / "simulation.out").read_bytes() for i in (1, 2, 3, 4)}
    assert len(ends) == 4


def test_job_after_job_to_the_last_step(jobs, submitted, plain):
    """One minute each, as Slurm enforces it; too little for a step where the machine is busy."""
    job = submitted["walltime"]
    for _ in range(5):
        if (found := jobs.ends(job, "walltime")) == {"COMPLETED"}:
            break
        said = jobs.log("walltime")
        assert found == {"FAILED"}, said
        assert "; give a longer --time-limit\n" in said, said
        job = jobs.submit("walltime")
    assert len(jobs.record("walltime")["segments"]) > 1
    said = jobs.log("walltime")
    assert re.search(r"stopped for the time limit of 00:0[01]:\d\d after step \d+ of 250", said)
    assert re.search(r"ns/day, \d:\d\d to go, about \d more jobs? of 00:0[01]:\d\d\)", said)
    jobs.same("walltime", plain)


def test_scripts_are_clean_for_shellcheck(jobs, submitted):
    scripts = sorted(str(path) for path in jobs.directory.glob("*/job.sh"))
    assert set(scripts) >= {str(jobs.path(out) / "job.sh") for out in ("plain", "apart", "pair")}
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert done.stdout == ""
