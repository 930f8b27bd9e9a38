"""A file of a run stands for the run in every verb that tells all: two runs in one directory."""

import json

import pytest

import ncforce_ipi as nc
from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError
from tests.synthetic_run import write_run

FILES = ("run.1.out", "run.1.vel_0.xyz", "run.1.pos_0.extxyz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs ``run`` (hot: 18 atoms fewer) and ``run.1`` in one directory, and each alone."""
    root = tmp_path_factory.mktemp("runs")
    (root / "both").mkdir()
    for prefix, n_molecules in (("run", 8), ("run.1", 27)):
        write_run(root / prefix, n_outer=200, n_molecules=n_molecules)
        (root / prefix / "run.json").unlink()
        for path in (root / prefix).glob("simulation.*"):
            name = path.name.replace("simulation", prefix, 1)
            (root / "both" / name).write_bytes(path.read_bytes())
    return root


FACTS = {"masses_u": {"H": 1.008, "O": 15.999}, "temperature_K": 300.0}


def numbers(path):
    found = nc.open_run(path, **FACTS).analyze().to_dict()
    for verb in ("drift", "power"):
        del found[verb]["runs"][0]["run"]  # named for the path
    chosen = {verb: found[verb] for verb in ("drift", "power", "temperature", "rdf", "vdos")}
    assert all("unavailable" not in one for one in chosen.values())
    return json.dumps(chosen)  # a nan is one too


@pytest.mark.parametrize("name", FILES)
def test_a_file_tells_all_that_its_run_alone_in_a_directory_tells(folder, name):
    assert numbers(folder / "both" / name) == numbers(folder / "run.1")


def test_analyze_writes_to_a_place_of_its_own_for_each_run_of_a_directory(folder):
    assert main(["analyze", str(folder / "both/run.1.vel_0.xyz"), "--atoms", "81"]) == 0
    assert (folder / "both/run.1.analysis/summary.json").is_file()


def test_a_directory_with_two_runs_asks_for_one(folder, tmp_path, capsys):
    assert main(["drift", str(folder / "both")]) == 2
    assert "properties files run.1.out, run.out of i-PI there; give one" in capsys.readouterr().err


def test_report_and_compare_take_files(folder, tmp_path):
    files = [str(folder / "both" / name) for name in ("run.out", "run.1.vel_0.xyz")]
    target = tmp_path / "page.html"
    assert main(["report", *files, "--out", str(target), "--no-view"]) == 0
    page = target.read_text()
    assert "24 atoms" in page
    assert "81 atoms" in page
    assert main(["compare", *files, "--out", str(tmp_path / "both")]) == 0
    rows = json.loads((tmp_path / "both/compare.json").read_text())["runs"]
    assert [row["n_atoms"] for row in rows] == [24, 81]


def test_open_run_takes_a_file(folder):
    run = nc.open_run(folder / "both/run.1.out")
    assert len(run.trajectory("positions").species) == 81
    assert nc.open_run(folder / "both/run.vel_0.xyz").trajectory("positions").species.size == 24
    two = nc.compare([folder / "both/run.out", folder / "both/run.1.out"])
    assert set(two.to_dict()) == {"run.out", "run.1.out"}


def test_a_properties_file_stands_for_its_run_where_a_trajectory_is_asked_for(folder, capsys):
    assert main(["rdf", str(folder / "both/run.out")]) == 0
    by_table = capsys.readouterr().out
    assert main(["rdf", str(folder / "both/run.pos_0.extxyz")]) == 0
    assert capsys.readouterr().out == by_table
    assert main(["rdf", str(folder / "both/run.vel_0.xyz")]) == 2  # it says itself what it holds
    assert "holds velocities; expected positions" in capsys.readouterr().err


def test_other_files_of_a_directory_are_refused(folder):
    (folder / "both/notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt is neither a trajectory nor a properties"):
        nc.open_run(folder / "both/notes.txt")


def test_the_home_directory(folder, tmp_path, monkeypatch):
    """``--out=~/x``: a shell leaves it to the program."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run.1").symlink_to(folder / "run.1")
    assert main(["drift", "~/run.1", "--json=~/drift.json"]) == 0
    assert (tmp_path / "drift.json").is_file()
    assert nc.open_run("~/run.1").directory == tmp_path / "run.1"
    (tmp_path / "there.html").touch()
    with pytest.raises(InputError, match=r"there\.html exists"):
        nc.open_run("~/run.1").report("~/there.html", view=False)
