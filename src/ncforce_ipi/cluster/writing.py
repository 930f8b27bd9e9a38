"""Where a job script lies, and how it is handed to Slurm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.rundir import JOB_FILE

SUBMIT_S = 120


def write_script(out: Path, text: str, force: bool = False) -> Path:
    """Write the script into the directory of its run, which is made if need be.

    Raises
    ------
    InputError
        Another script is there, and it isn't to be replaced.
    """
    path = out / JOB_FILE
    if path.exists() and not force and path.read_text(encoding="utf-8") != text:
        raise InputError(f"{path} exists and is another script; --force replaces it")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def submit(path: Path) -> str:
    """Hand a script to Slurm; what ``sbatch`` says.

    Raises
    ------
    RunError
        There is no Slurm here, or it doesn't take the script.
    """
    if shutil.which("sbatch") is None:
        raise RunError(f"sbatch isn't here; submit {path} where Slurm is")
    done = subprocess.run(
        ["sbatch", str(path)], capture_output=True, text=True, timeout=SUBMIT_S, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise RunError(f"sbatch didn't take {path}: {said[-1]}")
    return done.stdout.strip()
