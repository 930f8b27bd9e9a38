"""The wheel carries drivers, templates and models; so does the installed (editable) package."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    # a copy: setuptools leaves build/ and egg-info beside what it builds
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for name in names:
        if name.startswith(("src/", "ipi_drivers/", "xml_inputs/", "pyproject", "README")):
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            out,
            source,
        ],
        check=True,
        capture_output=True,
    )
    return next(out.glob("ncforce_ipi-*.whl"))


def test_wheel_carries_drivers_templates_and_model(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "ncforce_ipi/drivers/metatomic.py" in names
    assert "ncforce_ipi/drivers/requirements/sevennet.txt" in names
    assert "ncforce_ipi/drivers/README.md" in names
    assert "ncforce_ipi/testing/__init__.py" in names
    assert "ncforce_ipi/models/water.pt" in names
    assert "ncforce_ipi/xml_inputs/water.xyz" in names
    assert any(
        name.startswith("ncforce_ipi/xml_inputs/") and name.endswith(".xml") for name in names
    )
    assert not any(name.endswith(".xyz.xz") for name in names), "training data is not for users"


def test_wheel_works_without_the_clone(wheel, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--target", tmp_path, wheel],
        check=True,
        capture_output=True,
    )
    code = (
        f"import pathlib, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from importlib import metadata\n"
        "import ncforce_ipi, ncforce_ipi.drivers.metatomic, ncforce_ipi.xml_inputs\n"
        "from ncforce_ipi.models import model_path\n"
        "from ncforce_ipi import testing\n"
        "from ncforce_ipi.serve import families\n"
        "own = [point for point in metadata.entry_points(group=families.GROUP)\n"
        f"       if point.dist.locate_file('') == pathlib.Path({str(tmp_path)!r})]\n"
        "assert {point.name for point in own} == set(families.OWN), own\n"
        "assert list(families.known()) == list(families.OWN), families.known()\n"
        "small = {'sigma_A': 1.0, 'epsilon_eV': 0.1, 'cutoff_A': 3.0}\n"
        "model = families.load('analytic', 'lennard-jones', arguments=small)\n"
        "testing.validate_backend(model)\n"
        "print(ncforce_ipi.__file__, model_path('water').is_file())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(tmp_path / "ncforce_ipi/__init__.py"), "True"]


def test_installed_package_carries_the_same():
    assert resources.files("ncforce_ipi.drivers").joinpath("metatomic.py").is_file()
    assert resources.files("ncforce_ipi.models").joinpath("water.pt").is_file()
    assert resources.files("ncforce_ipi.xml_inputs").joinpath("water.xyz").is_file()
