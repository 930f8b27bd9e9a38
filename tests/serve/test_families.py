"""Families of models: ours, other packages', broken ones; ``ncforce driver --list``."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.serve import families
from ncforce_ipi.serve.load import load_model
from tests.conftest import WATER_XYZ

ROOT = Path(__file__).parents[2]
LIBRARIES = {
    "metatomic": "metatomic-torch",
    "sevennet": "sevenn",
    "orb": "orb-models",
    "mace": "mace-torch",
    "equiformer": "fairchem-core",
    "fairchem": "fairchem-core",
    "ase": "ase",
    "analytic": None,
}
MODULE = '''
"""Springs to the origin."""
from __future__ import annotations
import numpy as np
from ncforce_ipi.backend import Backend, Evaluation
from ncforce_ipi.drivers.conversion import check_request

class Springs(Backend):
    """A model."""
    kinds = stress = frozenset(["conservative"])
    dtype = "float64"

    def __init__(self, model, k):
        self.k, self.description = k, f"{model} (springs)"

    def evaluate(self, structure, wanted):
        check_request(self, structure, wanted)
        r = structure.positions
        virial = -self.k * r.T @ r
        return {"conservative": Evaluation(0.5 * self.k * float((r**2).sum()), -self.k * r, virial)}

def load(model: str, *, device: str | None = None, dtype: str | None = None, threads: int = 1,
         trust: bool = False, k_eV_per_A2: float = 1.0, soft: bool = False):
    """Make springs.

    Parameters
    ----------
    k_eV_per_A2 : float
        Stiffness, 100 % harmonic.
    soft : half of it
    """
    return Springs(model, k_eV_per_A2 * (0.5 if soft else 1.0))
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a package with entry points and modules: ``package("x = module", module=text)``."""

    def install(points, name="springs", **modules):
        for module, text in modules.items():
            (tmp_path / f"{module}.py").write_text(text)
            monkeypatch.delitem(sys.modules, module, raising=False)
        folder = tmp_path / f"{name}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text(f"[{families.GROUP}]\n{points}\n")

    monkeypatch.syspath_prepend(str(tmp_path))
    return install


def table(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["driver", "--list"])
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def line(text, family):
    (found,) = [line for line in text.splitlines() if line.startswith(f"{family} ")]
    return found


def test_every_family_is_listed(capsys):
    text = table(capsys)
    for family in families.OWN:
        assert families.find(family).forces() in line(text, family)
        assert " ncforce_ipi " in line(text, family)


def test_what_is_installed_has_its_version(capsys, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: "0.13.0" if name == "sevenn" else "99")
    assert "sevenn 0.13.0" in line(table(capsys), "sevennet")


@pytest.mark.parametrize(
    ("version", "here", "not_here"),
    [("1.10.0", "equiformer", "fairchem"), ("2.24.0", "fairchem", "equiformer")],
)
def test_two_families_with_two_versions_of_a_library(monkeypatch, version, here, not_here):
    monkeypatch.setattr(metadata, "version", {"fairchem-core": version}.get)
    assert families.installed(here) == f"fairchem-core {version}"
    assert families.installed(not_here) is None


def test_what_is_not_has_the_command_that_installs_it(capsys, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    text = table(capsys)
    for family in families.OWN:
        if family != "analytic":
            assert line(text, family).split()[1] == "no"
            assert f"pip install -r {families.requirements(family)}" in text
    assert "needs numpy only" in line(text, "analytic")


@pytest.mark.parametrize("family", families.OWN)
def test_the_first_requirement_is_the_library(family):
    assert families.library(family) == LIBRARIES.get(family, families.library(family))
    assert families.requirements(family).is_file()


def test_the_entry_points_are_our_families():
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    points = project["entry-points"][families.GROUP]
    assert points == {name: families.find(name).value for name in families.OWN}


@pytest.mark.parametrize("family", families.OWN)
def test_every_load_takes_what_all_families_take(family):
    options = families.find(family).options()
    assert list(options)[: len(families.COMMON)] == list(families.COMMON)
    assert all(option.help for option in options.values())
    assert [name for name, option in options.items() if option.required] == ["model"]


def test_our_families_without_our_metadata():
    """From PYTHONPATH alone: no entry points, and the same families."""
    code = (
        "import sys; from importlib import metadata; metadata.entry_points = lambda **_: ()\n"
        "from ncforce_ipi.serve import families\n"
        "print(*families.known()); families.find('analytic').load('harmonic').close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True
    )
    assert tuple(done.stdout.split()) == families.OWN


def test_a_family_of_another_package(package, capsys):
    package("springs = their_springs", their_springs=MODULE)
    assert list(families.known()) == [*families.OWN, "springs"]
    assert "springs 1.2" in line(table(capsys), "springs")
    assert "Springs to the origin" in line(table(capsys), "springs")
    atoms = Structure(np.ones(2, np.int32), np.eye(3)[:2], np.zeros((3, 3)))
    for model in (
        load_model("springs:x --k-eV-per-A2 3 --soft"),
        load_model("springs:x", k_eV_per_A2=3.0, soft=True),
        load_model("springs --model=x --soft --k-eV-per-A2=3.0 --threads 2"),
    ):
        found = model.evaluate(atoms, Wanted(frozenset(["conservative"])))["conservative"]
        np.testing.assert_array_equal(found.forces, -1.5 * atoms.positions)  # exact in binary


def test_its_options_are_on_the_command_line(package, capsys, tmp_path):
    package("springs = their_springs", their_springs=MODULE)
    with pytest.raises(SystemExit, match="0"):
        main(["driver", "springs", "--help"])
    said = capsys.readouterr().out
    assert "--k-eV-per-A2 X" in said
    assert "Stiffness, 100 % harmonic. (default: 1.0)" in " ".join(said.split())
    assert "--soft, --no-soft" in said
    words = ["--model", "x", "--role", "slow", "--structure", str(WATER_XYZ), "--wait-s", "0"]
    where = ["--socket-dir", str(tmp_path)]
    assert main(["driver", "springs", *words, *where, "--k-eV-per-A2", "2"]) == 1
    assert "no server at unix:" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["driver", "springs", *words, "--k-eV-per-A2", "hard"])
    assert "expected a number, got 'hard'" in capsys.readouterr().err


BROKEN = {
    "import no_such_library": "can't be imported: ModuleNotFoundError: No module named",
    "import sys; raise OSError('first\\nsecond')": "can't be imported: OSError: first; mend or",
    "FORCES = 'none'": "theirs has no function load",
    "def load(model, *, device=None): ...": "it has no dtype and no threads and no trust",
    "def load(model, *, device=None, dtype=None, threads=1, trust=False, x: complex = 0): ...": (
        "x: expected str, int, float, bool, Path, Mapping or a Literal"
    ),
    "def load(model, *, device=None, dtype=None, threads=1, trust=False, x: 'Y' = 0): ...": (
        "its annotations can't be read: name 'Y' is not defined"
    ),
    "def load(model, *, device=None, dtype=None, threads=1, trust=False, port=0): ...": (
        "conflicting option string: --port"
    ),
}


@pytest.mark.parametrize(("text", "why"), BROKEN.items())
def test_a_broken_one_is_one_line_and_the_others_work(package, capsys, text, why):
    package("theirs = theirs", theirs=text)
    with pytest.raises(SystemExit, match="1"):
        main(["driver", "theirs", "--model", "x", "--role", "slow", "--structure", str(WATER_XYZ)])
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("ncforce driver theirs: ")
    assert why in said
    listed = table(capsys)
    assert families.find("analytic").forces() in line(listed, "analytic")
    assert "theirs" in listed
    load_model("analytic:lennard-jones").close()


def test_a_load_that_gives_no_backend(package):
    text = "def load(model, *, device=None, dtype=None, threads=1, trust=False): return 3"
    package("theirs = theirs", theirs=text)
    with pytest.raises(ModelError, match="load gave a int, expected a subclass of ncforce_ipi"):
        load_model("theirs:x")


def test_a_name_that_is_taken(package, capsys):
    package("ase = theirs\nnew = theirs", theirs=MODULE)
    assert families.find("ase").own
    assert families.known()["ase"].own
    assert "ase          of springs 1.2 is ignored: the name is taken" in table(capsys)
    assert families.find("new").origin == "springs 1.2"


def test_a_family_that_is_not_there():
    with pytest.raises(InputError, match="no model family 'x'; families: metatomic, sevennet"):
        families.find("x")


def test_an_option_that_is_not_there():
    with pytest.raises(InputError, match="analytic has no option modal; it has model, device"):
        families.load("analytic", "harmonic", modal="x")
