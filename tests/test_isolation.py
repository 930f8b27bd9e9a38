"""The driver side needs Python 3.10, numpy, one model library, and nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ncforce_ipi.serve.families import OWN

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "ipi_drivers").glob("*.py")])
BLOCKED = ("ase", "ipi", "torch", "scipy", "matplotlib", "rich", "chemfiles", "metatomic",
           "metatensor", "vesin", "vesin_torch", "metatomic_ase", "sevenn", "orb_models", "mace",
           "fairchem", "chgnet", "e3nn")  # fmt: skip
DRIVER_SIDE = ("ncforce_ipi.cli", "ncforce_ipi.cli.driver", "ncforce_ipi.serve.client",
               "ncforce_ipi.serve.evaluator", "ncforce_ipi.serve.joint",
               "ncforce_ipi.serve.protocol",
               "ncforce_ipi.serve.stream", "ncforce_ipi.serve.sharedmemory",
               "ncforce_ipi.serve.sockets",
               "ncforce_ipi.species", "ncforce_ipi.models",
               "ncforce_ipi.backend", "ncforce_ipi.serve.options", "ncforce_ipi.serve.families",
               "ncforce_ipi.cli.options", "ncforce_ipi.cli.families", "ncforce_ipi.testing",
               *(f"ncforce_ipi.drivers.{family}" for family in OWN))  # fmt: skip
BLOCKER = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKER + code],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_the_blocker_blocks():
    done = python("import ase")
    assert done.returncode == 1
    assert "blocked: ase" in done.stderr


@pytest.mark.parametrize("module", DRIVER_SIDE)
def test_the_driver_side_imports_with_numpy_alone(module):
    done = python(f"import {module}")
    assert done.returncode == 0, done.stderr


def test_the_driver_explains_itself_with_numpy_alone():
    done = python("from ncforce_ipi.cli import main; main(['driver', 'metatomic', '--help'])")
    assert done.returncode == 0, done.stderr
    assert "--role" in done.stdout


def test_a_missing_model_library_is_one_line():
    arguments = ["driver", "metatomic", "--model", "water", "--role", "slow"]
    arguments += ["--structure", str(ROOT / "xml_inputs" / "water.xyz")]
    done = python(f"import sys; from ncforce_ipi.cli import main; sys.exit(main({arguments!r}))")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "pip install 'ncforce_ipi[metatomic]'" in line


def test_importing_makes_no_file_and_configures_no_logger(tmp_path):
    code = "\n".join(f"import {module}" for module in DRIVER_SIDE)
    code += (
        "\nimport logging, os; sys.exit(bool(logging.getLogger().handlers) or len(os.listdir()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER + code], cwd=tmp_path, timeout=240, check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_syntax_is_python_3_10(path):
    ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 10))
