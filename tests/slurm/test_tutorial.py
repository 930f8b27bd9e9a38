"""The commands of the manual's page on clusters, one after the other, on a real Slurm."""

import os
import re
import subprocess
import sysconfig

from tests.docs.manual import DOCS

BLOCK = re.compile(
    r"<!-- on slurm(?: with (?P<words>[^>]*?))? -->\n```bash\n(?P<block>.*?)^```", re.M | re.S
)


def test_commands_of_the_page(cluster, jobs):
    """Shorter than they stand there, and on CPUs: these nodes have no real GPU."""
    home = jobs.directory / "home"
    home.mkdir()
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    environment = os.environ | {"HOME": str(home), "PATH": path, "OMP_NUM_THREADS": "1"}
    environment.pop("XDG_CONFIG_HOME", None)
    said = ""
    blocks = list(BLOCK.finditer((DOCS / "tutorials/cluster.md").read_text(encoding="utf-8")))
    assert len(blocks) > 4
    for found in blocks:
        block = re.sub(
            r"(?<!--resume --time-ps 10000 )--gpus 1", r"\g<0> --device cpu", found["block"]
        )
        for option, value in re.findall(r"(--[\w-]+) (\S+)", found["words"] or ""):
            assert option in block, f"nothing to shorten: no {option} in the block"
            block = re.sub(rf"{option} \S+", f"{option} {value}", block)
        done = subprocess.run(
            ["bash", "-e", "-c", block],
            cwd=home, env=environment, capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        said += done.stdout
    (job,) = re.findall(r"Submitted batch job (\d+)", said)
    assert jobs.ends(job) == {"COMPLETED"}, jobs.log("home/prod")
    assert jobs.record("home/prod")["state"] == "finished"
