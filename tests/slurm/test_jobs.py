"""Runs as jobs of a real Slurm: whatever ends a job, the next one goes on bitwise.

All jobs are submitted at once; each test looks after one of them.
"""

import subprocess

import pytest

from .conftest import N_OUTER, call

SLOW = 0.06  # seconds of an evaluation: 75 s in all, for wall times of a minute


@pytest.fixture(scope="session")
def submitted(jobs):
    """Number of each job by its directory; gone with the cluster."""
    return {
        "plain": jobs.submit("plain", sleep_s=0),
        "walltime": jobs.submit("walltime", "--gpus", "1", time="1", sleep_s=SLOW),
        "signal": jobs.submit("signal"),
        "driver": jobs.submit("driver", fault="kill 700"),
        "ipi": jobs.submit("ipi"),
        "launcher": jobs.submit("launcher"),
        "drained": jobs.submit("drained"),
        "array": jobs.submit("array", "--array", "1-4", sleep_s=0),
    }


@pytest.fixture
def plain(jobs, submitted):
    """A run that nothing interrupts."""
    assert jobs.ends(submitted["plain"], "plain") == {"COMPLETED"}, jobs.log("plain")
    return "plain"


def restarts(job):
    found = call("scontrol", "show", "job", "-o", job).split()
    return next(int(word.partition("=")[2]) for word in found if word.startswith("Restarts="))


def test_a_job(jobs, submitted, plain):
    assert jobs.record(plain)["state"] == "finished"
    assert jobs.steps(plain) == list(range(N_OUTER + 1))
    assert restarts(submitted[plain]) == 0
    assert "ns/day" in jobs.log(plain)


def test_a_signal_before_the_wall_time(jobs, submitted, plain):
    """As Slurm sends it (``--signal``), some seconds after the first steps."""
    jobs.at("signal", 20)
    call("scancel", "--batch", "--signal=USR1", submitted["signal"])
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
    jobs.at(out, 110)
    jobs.kill(out, name)
    assert jobs.ends(submitted[out], out) == {"FAILED"}, jobs.log(out)
    second = jobs.again(out)
    assert jobs.ends(second, out) == {"COMPLETED"}, jobs.log(out)
    jobs.same(out, plain)


def test_a_job_leaves_a_node_that_is_drained(jobs, submitted, plain):
    jobs.at("drained", 20)
    job = submitted["drained"]
    node = call("squeue", "-h", "-j", job, "-o", "%N").strip()
    call("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    try:
        call("scancel", "--batch", "--signal=USR1", job)
        assert jobs.ends(job, "drained") == {"COMPLETED"}, jobs.log("drained")
    finally:
        call("scontrol", "update", f"nodename={node}", "state=resume")
    assert f"NodeList={node}" not in call("scontrol", "show", "job", "-o", job).split()
    jobs.same("drained", plain)


def test_an_array_has_one_seed_each(jobs, submitted, plain):
    assert jobs.ends(submitted["array"]) == {"COMPLETED"}, jobs.log("array")
    seeds = [jobs.record(f"array/{index}")["seed"] for index in (1, 2, 3, 4)]
    assert seeds == [1, 2, 3, 4]
    jobs.same("array/1", plain)  # its seed is the default
    ends = {(jobs.path(f"array/{i}") / "simulation.out").read_bytes() for i in (1, 2, 3, 4)}
    assert len(ends) == 4


def test_job_after_job_to_the_last_step(jobs, submitted, plain):
    """One minute each, as Slurm enforces it."""
    job = submitted["walltime"]
    assert jobs.ends(job, "walltime") == {"COMPLETED"}, jobs.log("walltime")
    assert restarts(job) >= 1
    said = jobs.log("walltime")
    assert "stopped for the time limit of 00:01:00 after step" in said
    assert "about 1 more job of 00:01:00" in said
    jobs.same("walltime", plain)


def test_scripts_are_clean_for_shellcheck(jobs, submitted):
    scripts = sorted(str(path) for path in jobs.directory.glob("*/job.sh"))
    assert len(scripts) == len(submitted)
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert done.stdout == ""
