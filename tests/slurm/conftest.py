"""A Slurm for the tests here (``make test-slurm``), and jobs that ``ncforce`` writes.

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
from ase.build import bulk

from ncforce_ipi import cli
from tests.distil.test_flow_e2e import words as distil_words
from tests.ipi_host import ANALYTIC, molecules

HERE = Path(__file__).parent
HELD = "launch failed requeued held"
"""What Slurm does with a job that it begins again on a node where it is still ending."""
WAIT_S = float(os.environ.get("NCFORCE_TEST_SLURM_WAIT_S", "600"))  # ten times what it takes
TIME_PS, N_OUTER = "0.5", 250  # outer steps of 2 fs; checkpoints after 100 and 200
DONE = {
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "DEADLINE",
    "PREEMPTED",
}
OUTPUTS = ("simulation.out", "simulation.pos_0.extxyz", "simulation.vel_0.xyz")


def pytest_collection_modifyitems(items):
    """All that is here needs the cluster."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slurm)
            item.add_marker(pytest.mark.timeout(4 * WAIT_S))  # the first waits for many jobs


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

    def __init__(self, directory, slurm):
        self.directory, self.slurm = directory, slurm
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

    def write(self, out, *words, sleep_s=0.02, time="60", fault=""):
        """``ncforce slurm``, in this process: it is quicker."""
        with contextlib.chdir(self.directory):
            code = cli.main([
                "slurm", "--model", self.model, "--structure", "start.xyz", "--mts", "4",
                "--time-ps", TIME_PS, "--out", out, "--time", time,
                "--site", str(self.site(sleep_s, fault)), *words,
            ])  # fmt: skip
        assert code == 0

    def argon(self):
        """Its structure."""
        (bulk("Ar", "fcc", a=5.4, cubic=True) * (2, 2, 1)).write(self.directory / "ar.xyz")

    def write_distil(self, out, *words, time="60"):
        """``ncforce slurm distil``, for argon."""
        self.argon()
        with contextlib.chdir(self.directory):
            code = cli.main([
                "slurm", *distil_words(out, *words, changes=("reference_ps=0.8",)),
                "--time", time, "--site", str(self.site(0)),
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
            if call("squeue", "-h", "-t", "all", "-j", job, "-o", "%r").strip() == HELD:
                call("scontrol", "release", job)
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

    def power_off(self, node, job):
        """End all that is on a node, which has this job alone, without a word; its name."""
        file = self.slurm / f"slurmd-{node}.pid"
        daemon = int(file.read_text())
        file.unlink()
        own = processes_of(job)
        steps = {parent for parent in map(parent_of, own) if "slurmstepd" in name_of(parent)}
        for pid in (daemon, *steps, *own):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def same(self, out, other):
        """Whether both went the same way, to the last bit and the last step."""
        assert self.steps(out) == list(range(N_OUTER + 1))
        for name in OUTPUTS:
            mine, theirs = self.path(out) / name, self.path(other) / name
            assert mine.read_bytes() == theirs.read_bytes(), name


def processes_of(job):
    """All processes of a job: they have its number in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"SLURM_JOB_ID={job}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def parent_of(pid):
    """0 for a process that is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def name_of(pid):
    """Of its program; empty for a process that is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def happen(jobs, events):
    """Wait until each run is at its step, and do then what is to be done."""
    deadline, waiting = time.monotonic() + WAIT_S, dict(events)
    while waiting:
        for out, (step, act) in list(waiting.items()):
            if max(jobs.steps(out), default=-1) >= step:
                act()
                del waiting[out]
        assert time.monotonic() < deadline, {out: jobs.log(out.split("/")[0]) for out in waiting}
        time.sleep(0.2)


@pytest.fixture(scope="session")
def jobs(cluster, tmp_path_factory):
    """Where all jobs come from."""
    return Cluster(tmp_path_factory.mktemp("jobs"), cluster)


INTERRUPTED = ("signal", "ipi", "launcher", "drained")
LENT = {"cancelled": "lent-cancel", "requeued": "lent-requeue"}  # preempted, by their partitions
FAR = ("off", "down")  # on nodes that fail
REFERENCE = "pair/runs/reference-1-60K"
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
    for out, partition in LENT.items():
        jobs.write(out, "--partition", partition)
    for out in FAR:
        jobs.write(out, "--partition", "far", "--sbatch=--exclusive")
    jobs.write_distil("pair", "--drivers", "2")
    jobs.write_distil("whole-pair")
    order = (
        "plain", "walltime", *INTERRUPTED, *LENT, *FAR, "apart", "driver", "array", "two", "pair",
        "whole-pair",
    )  # fmt: skip
    numbers = {out: jobs.submit(out) for out in order}
    nodes = {}

    def drain():
        nodes["node"] = jobs.node(numbers["drained"])
        call("scontrol", "update", f"nodename={nodes['node']}", "state=drain", "reason=test")
        warn("drained")

    def warn(out):
        call("scancel", "--batch", "--signal=USR1", numbers[out])

    def lose(out):
        nodes[f"node-{out}"] = jobs.node(numbers[out])
        if out == "off":
            jobs.power_off(nodes["node-off"], numbers["off"])
        node = nodes[f"node-{out}"]
        call("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def owner():
        words = ("--partition=owner", "--cpus-per-task=16", "--output=/dev/null", "--wrap=true")
        nodes["owner"] = call("sbatch", "--parsable", *words).strip()

    happen(jobs, {
        "apart": (110, lambda: warn("apart")),
        "signal": (20, lambda: warn("signal")),
        "drained": (20, drain),
        "ipi": (110, lambda: jobs.kill("ipi", "i-PI")),
        "launcher": (110, lambda: jobs.kill("launcher", "launcher")),
        "cancelled": (20, owner),
        "off": (110, lambda: lose("off")),
        "down": (110, lambda: lose("down")),
        REFERENCE: (20, lambda: warn("pair")),
    })  # fmt: skip
    yield numbers | nodes
    call("scontrol", "update", f"nodename={nodes['node']}", "state=resume")


@pytest.fixture
def plain(jobs, submitted):
    """The run that nothing interrupts, when it has ended."""
    assert jobs.ends(submitted["plain"], "plain") == {"COMPLETED"}, jobs.log("plain")
    return "plain"
