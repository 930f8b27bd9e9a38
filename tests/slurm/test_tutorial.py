"""The commands of the manual's page on clusters, one after the other, on a real Slurm."""

import os
import re
import shlex
import subprocess
import sysconfig

from tests.distil.test_flow_e2e import TEACHER
from tests.docs.manual import DOCS

from .conftest import WAIT_S, call

BLOCK = re.compile(
    r"<!-- on slurm(?: with (?P<words>[^>]*?))? -->\n```bash\n(?P<block>.*?)^```", re.M | re.S
)
PAGE = DOCS / "tutorials/cluster.md"
ARGON = {
    "sevennet:7net-0": shlex.quote(TEACHER),
    "nacl.xyz": "../ar.xyz",
    "--temperature-K 1300": "--temperature-K 60",
    " --submit": "",  # test_distil.py has jobs of it
}
NO_GPU = """#!/bin/bash
# these nodes have files in the place of GPUs
exec {} "${{@/#cuda*/cpu}}"
"""
COMMANDS_S = WAIT_S


def shortened(found):
    """A block with what its mark says in the place of what stands there."""
    block, words = found["block"], found["words"] or ""
    changes = ARGON if words == "argon" else {
        rf"{option} \S+": f"{option} {value}"
        for option, value in re.findall(r"(--[\w-]+) (\S+)", words)
    }  # fmt: skip
    for old, new in changes.items():
        assert re.search(old, block), f"nothing to shorten: no {old} in the block"
        block = re.sub(old, lambda _, new=new: new, block)
    return block


def test_commands_of_the_page(cluster, jobs):
    """Shorter than they stand there, and on CPUs: these nodes have no real GPU."""
    home = jobs.directory / "home"
    (home / "bin").mkdir(parents=True)
    real = os.path.join(sysconfig.get_path("scripts"), "ncforce")  # noqa: PTH118
    (home / "bin/ncforce").write_text(NO_GPU.format(real))
    (home / "bin/ncforce").chmod(0o755)
    path = os.pathsep.join([str(home / "bin"), os.environ["PATH"]])
    environment = os.environ | {"HOME": str(home), "PATH": path, "OMP_NUM_THREADS": "1"}
    environment.pop("XDG_CONFIG_HOME", None)
    jobs.argon()
    text, said = PAGE.read_text(encoding="utf-8"), ""
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) == text.count("```bash")
    for found in blocks:
        done = subprocess.run(
            ["bash", "-e", "-c", shortened(found)], cwd=home, env=environment,
            capture_output=True, text=True, timeout=COMMANDS_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        said += done.stdout
    submitted = dict(re.findall(r"^(\S+)/job\.sh: Submitted batch job (\d+)$", said, re.M))
    assert set(submitted) == {"prod", "short", "two", "beads"}
    for out, job in submitted.items():
        assert jobs.ends(job) == {"COMPLETED"}, jobs.log(f"home/{out}")
    for out in ("prod", "short", "two/1", "two/2", "beads"):
        assert jobs.record(f"home/{out}")["state"] == "finished", out
    call("sbatch", "--test-only", str(home / "pair/job.sh"))
