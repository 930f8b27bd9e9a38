"""Processes of an optimisation import nothing from where the user works."""

import shutil
import subprocess
import sys
from pathlib import Path

import ase.build
import pytest

TRAPS = ("numbers", "select", "socket", "threading")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no safe path")
def test_a_file_with_the_name_of_a_module(tmp_path):
    for name in TRAPS:
        (tmp_path / f"{name}.py").write_text(f"open('IMPORTED', 'a').write({name!r})\n")
    ase.build.bulk("Ar", "fcc", a=5.4, cubic=True).write(tmp_path / "argon.extxyz")
    program = shutil.which("ncforce", path=str(Path(sys.executable).parent))
    words = (program, "optimize", "argon.extxyz", "--model", "analytic:lennard-jones")
    words += ("--processes", "2", "--copies", "2", "--displace-A", "0.1")
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "optimize/optimize.json").is_file()
    assert not (tmp_path / "IMPORTED").exists()
