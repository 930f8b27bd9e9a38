"""A Slurm of four nodes for the tests here (``make test-slurm``), and jobs that ``ncforce`` writes.

The model is a formula that takes its time, so that there is something to interrupt.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import pytest

from ncforce_ipi import cli
from tests.ipi_host import ANALYTIC, molecules

HERE = Path(__file__).parent
WAIT_S = float(os.environ.get("NCFORCE_TEST_SLURM_WAIT_S", "240"))  # ten times what it takes
TIME_PS, N_OUTER = "0.5", 250  # outer steps of 2 fs; checkpoints after 100 and 200
DONE = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE"}
OUTPUTS = ("simulation.out", "simulation.pos_0.extxyz", "simulation.vel_0.xyz")


def pytest_collection_modifyitems(items):
    """All that is here needs the cluster."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slurm)


def call(*words, cwd=None):
    """What a command says; it must succeed."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def cluster():
    """The daemons, in a directory with a short name, until the last test has ended."""
    directory = Path(tempfile.mkdtemp(prefix="ncfs", dir="/tmp"))
    try:
        call(str(HERE / "cluster.sh"), "start", str(directory))
        os.environ["SLURM_CONF"] = str(directory / "slurm.conf")
        yield directory
    finally:
        subprocess.run([HERE / "cluster.sh", "stop", directory], check=False, timeout=120)
        shutil.rmtree(directory, ignore_errors=True)


class Cluster:
    """A directory from which jobs are submitted."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "start.xyz").write_text(molecules())
        (directory / "model.txt").write_text("any file")
        program = directory / "slow-formula"
        program.write_text(
            '#!/bin/sh\necho "$SLURMD_NODENAME $CUDA_VISIBLE_DEVICES" '
            f'>>{directory}/seen-$SLURM_JOB_ID\nexec {sys.executable} {ANALYTIC} "$@"\n'
        )
        program.chmod(0o755)
        self.model = f"{program} driver analytic --model model.txt"

    def site(self, sleep_s, fault=""):
        """Settings in which each evaluation takes this long, with a fault on order."""
        path = self.directory / f"site-{sleep_s}-{fault.replace(' ', '-')}.toml"
        lines = [
            f"export PATH={sysconfig.get_path('scripts')}:$PATH OMP_NUM_THREADS=1",
            f"export NCFORCE_TEST_SLEEP_S={sleep_s}",
        ]
        if fault:
            order = self.directory / f"fault-{fault.replace(' ', '-')}"
            order.write_text(fault)
            lines.append(f"export NCFORCE_TEST_FAULT={order}")
        path.write_text(f"setup = {json.dumps(lines)}\n")
        return path

    def write(self, out, *words, sleep_s=0.02, time="10", fault=""):
        """``ncforce slurm``, in this process: it is quicker."""
        with contextlib.chdir(self.directory):
            code = cli.main([
                "slurm", "--model", self.model, "--structure", "start.xyz", "--mts", "4",
                "--time-ps", TIME_PS, "--out", out, "--time", time,
                "--site", str(self.site(sleep_s, fault)), *words,
            ])  # fmt: skip
        assert code == 0

    def submit(self, out):
        """Hand its script to Slurm, for the first time or again; the number of the job."""
        return call("sbatch", str(self.directory / out / "job.sh")).split()[-1]

    def state(self, job):
        """Of all its parts or tasks."""
        return set(call("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").split())

    def ends(self, job, out=None):
        """Wait for its end; its states."""
        deadline = time.monotonic() + WAIT_S
        while not (found := self.state(job)) <= DONE:
            assert time.monotonic() < deadline, f"{found}: {self.log(out) if out else ''}"
            time.sleep(0.5)
        return found

    def seen(self, job):
        """Node and GPUs of each driver that was started in a job."""
        path = self.directory / f"seen-{job}"
        return [tuple(line.split(" ")) for line in path.read_text().splitlines()]

    def node(self, job):
        """The one on which it runs, or ran."""
        found = call("scontrol", "show", "job", "-o", job).split()
        return next(word for word in found if word.startswith("NodeList=")).partition("=")[2]

    def log(self, out):
        """What jobs in a directory said."""
        return "".join(path.read_text() for path in self.path(out).glob("slurm-*.out"))

    def path(self, out):
        return self.directory / out

    def record(self, out):
        return json.loads((self.path(out) / "run.json").read_text())

    def steps(self, out):
        """Those of the whole rows that are on the disk."""
        path = self.path(out) / "simulation.out"
        text = path.read_text() if path.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [int(float(line.split()[0])) for line in lines if not line.startswith("#")]

    def kill(self, out, name):
        """End a process of a run without a word."""
        os.kill(self.record(out)["processes"][name], signal.SIGKILL)

    def same(self, out, other):
        """Whether both went the same way, to the last bit and the last step."""
        assert self.steps(out) == list(range(N_OUTER + 1))
        for name in OUTPUTS:
            mine, theirs = self.path(out) / name, self.path(other) / name
            assert mine.read_bytes() == theirs.read_bytes(), name


def happen(jobs, events):
    """Wait until each run is at its step, and do then what is to be done."""
    deadline, waiting = time.monotonic() + WAIT_S, dict(events)
    while waiting:
        for out, (step, act) in list(waiting.items()):
            if max(jobs.steps(out), default=-1) >= step:
                act()
                del waiting[out]
        assert time.monotonic() < deadline, {out: jobs.log(out) for out in waiting}
        time.sleep(0.2)


@pytest.fixture(scope="session")
def jobs(cluster, tmp_path_factory):
    """Where all jobs come from."""
    return Cluster(tmp_path_factory.mktemp("jobs"))


INTERRUPTED = ("signal", "ipi", "launcher", "drained")
APART = ("--ipi-partition", "cpu", "--partition", "gpu", "--gpus", "1")
ON_TWO_NODES = ("--ensemble", "langevin", "--beads", "2", "--gpus", "2", "--nodes", "2")
SLOW = 0.06  # seconds of an evaluation: 75 s in all, for wall times of a minute


@pytest.fixture(scope="session")
def submitted(jobs):
    """Number of each job by its directory, after all that happens to them has happened."""
    jobs.write("plain", sleep_s=0)
    jobs.write("walltime", "--gpus", "1", time="1", sleep_s=SLOW)
    jobs.write("driver", fault="kill 700")
    jobs.write("array", "--array", "1-4", sleep_s=0)
    jobs.write("apart", *APART, fault="kill 300")
    jobs.write("two", *ON_TWO_NODES, sleep_s=0)
    for out in INTERRUPTED:
        jobs.write(out)
    order = ("plain", "walltime", *INTERRUPTED, "apart", "driver", "array", "two")
    numbers = {out: jobs.submit(out) for out in order}
    nodes = {}

    def drain():
        nodes["node"] = jobs.node(numbers["drained"])
        call("scontrol", "update", f"nodename={nodes['node']}", "state=drain", "reason=test")
        warn("drained")

    def warn(out):
        call("scancel", "--batch", "--signal=USR1", numbers[out])

    happen(jobs, {
        "apart": (110, lambda: warn("apart")),
        "signal": (20, lambda: warn("signal")),
        "drained": (20, drain),
        "ipi": (110, lambda: jobs.kill("ipi", "i-PI")),
        "launcher": (110, lambda: jobs.kill("launcher", "launcher")),
    })  # fmt: skip
    yield numbers | nodes
    call("scontrol", "update", f"nodename={nodes['node']}", "state=resume")


@pytest.fixture
def plain(jobs, submitted):
    """The run that nothing interrupts, when it has ended."""
    assert jobs.ends(submitted["plain"], "plain") == {"COMPLETED"}, jobs.log("plain")
    return "plain"
