"""``ncforce compare DIR DIR``: runs that are there, in one table, whatever made them."""

import csv
import json
import shutil

import numpy as np
import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.cli.compare import FILES
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.comparison import names_of
from tests.synthetic_run import write_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs ``a/calm``, ``a/hot``, ``b/calm`` and the same without a launcher, ``b/foreign``."""
    path = tmp_path_factory.mktemp("runs")
    write_run(path / "a/calm", n_outer=300)
    write_run(path / "a/hot", n_outer=300, heating=0.02)
    write_run(path / "b/calm", n_outer=250)
    shutil.copytree(path / "a/calm", path / "b/foreign")
    (path / "b/foreign/run.json").unlink()
    return path


@pytest.fixture(scope="module")
def compared(folder):
    """The directory of a comparison."""
    words = [str(folder / name) for name in ("a/calm", "a/hot", "b/calm", "b/foreign")]
    assert main(["compare", *words, "--out", str(folder / "out"), "--discard-ps", "0.2"]) == 0
    return folder / "out"


def test_all_files_are_there(compared):
    assert sorted(path.name for path in compared.iterdir()) == sorted(FILES)
    for path in compared.iterdir():
        start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".json": b"{", ".csv": b"#"}[path.suffix]
        assert path.read_bytes().startswith(start)


def test_numbers_are_those_of_each_run_alone(folder, compared, tmp_path):
    runs = {run["run"]: run for run in json.loads((compared / "compare.json").read_text())["runs"]}
    assert list(runs) == ["a/calm", "hot", "b/calm", "foreign"]
    for name, path in (("a/calm", "a/calm"), ("hot", "a/hot")):
        alone = tmp_path / "alone.json"
        for verb in ("drift", "temperature", "rdf", "vdos", "power"):
            words = [verb, str(folder / path), "--discard-ps", "0.2", "--json", str(alone)]
            assert main([*words, "--force"]) == 0
            numbers = json.loads(alone.read_text())
            del numbers["provenance"]
            assert runs[name][verb] == numbers
    # written with 0.3 meV/atom/ps and 0.1 meV of noise; velocities that grow by 2 % a ps
    assert runs["hot"]["drift_conserved_meV_per_atom_per_ps"] == pytest.approx(0.3, abs=0.01)
    key = "drift_temperature_K_per_ps"
    assert runs["hot"][key] - runs["a/calm"][key] == pytest.approx(12.0, rel=0.05)
    assert runs["hot"]["temperature_K"] > runs["a/calm"]["temperature_K"]
    assert "a quarter of the run" in runs["hot"]["diffusion"]["unavailable"]  # too short


def test_a_run_of_another_launcher_has_no_plan_but_its_numbers(compared):
    lines = (compared / "compare.csv").read_text().splitlines()
    rows = {row["run"]: row for row in csv.DictReader(x for x in lines if x[0] != "#")}
    ours, theirs = rows["a/calm"], rows["foreign"]
    assert (theirs["forces"], theirs["M"], ours["forces"], ours["M"]) == ("", "", "mts", "8")
    key = "drift_conserved_meV_per_atom_per_ps"
    assert theirs[key] == ours[key]
    assert any(line.startswith("# command: ") for line in lines)
    assert any("simulation.out" in line for line in lines if line.startswith("# input_sha256"))


def test_table_names_the_runs(folder, tmp_path, capsys):
    words = [str(folder / "a/calm"), str(folder / "a/hot"), "--out", str(tmp_path / "out")]
    assert main(["compare", *words]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert [word.strip() for word in head.split("  ") if word.strip()][:4] == [
        "run", "forces", "ps", "drift, meV/atom/ps",
    ]  # fmt: skip
    assert [line.split("  ")[0] for line in lines] == ["calm", "hot"]
    assert all("MTS, M = 8" in line and "12.5" in line for line in lines)


def test_nothing_is_replaced_without_force(folder, compared, capsys):
    before = (compared / "compare.json").read_bytes()
    words = ["compare", str(folder / "a/hot"), "--out", str(compared)]
    assert main(words) == 2
    assert "compare.json exists; choose another --out, or --force" in capsys.readouterr().err
    assert (compared / "compare.json").read_bytes() == before
    (compared / "notes.txt").write_text("mine")
    assert main([*words, "--force"]) == 0
    assert (compared / "notes.txt").read_text() == "mine"
    assert (compared / "previous-1/compare.json").read_bytes() == before


def test_force_replaces_no_figures_of_a_user(folder, tmp_path, capsys):
    (tmp_path / "rdf.png").write_text("mine")
    words = ["compare", str(folder / "a/hot"), "--out", str(tmp_path), "--force"]
    assert main(words) == 2
    assert "rdf.png exists, and no comparison of ncforce is in" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["rdf.png"]
    assert (tmp_path / "rdf.png").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["water", "a/calm"], "water is a system, a/calm isn't; expected one SYSTEM"),
        (["water", "graphene"], "water and graphene; expected one SYSTEM, or directories"),
        (
            ["a/calm", "nothing"],
            "nothing is missing; expected the directory of a run, a file of one",
        ),
        (["a/calm/run.json"], "a/calm/run.json is neither a trajectory nor a properties file"),
        (
            ["watre"],
            "watre is missing; expected the directory of a run, a file of one, or a system (water",
        ),
        (["a/calm", "./a/calm"], "is named twice; expected different runs"),
        (["a"], "no properties file of i-PI there"),
        (["a/calm", "--mts", "4", "--resume"], "as they are; leave out --mts, --resume"),
        (["a/calm", "--temperature-K", "300"], "as they are; leave out --temperature-K"),
        (["a/calm", "--discard-ps", "-1"], "--discard-ps -1; expected 0 or more"),
        (["water", "--discard-ps", "1"], "--discard-ps is for directories of runs"),
    ],
)
def test_mixtures_and_what_is_missing_are_refused(folder, monkeypatch, capsys, words, message):
    monkeypatch.chdir(folder)
    assert main(["compare", *words, "--out", "new"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (folder / "new").exists()


def test_names_are_as_long_as_they_must_be(tmp_path):
    paths = [tmp_path / name for name in ("a/x", "b/x", "c/y", "d/b/x")]
    assert names_of(paths) == ["a/x", f"{tmp_path.name}/b/x", "y", "d/b/x"]
    with pytest.raises(InputError, match="is named twice"):
        names_of([tmp_path, tmp_path / "a/.."])


def test_runs_of_other_species_stand_beside_each_other(folder, tmp_path, capsys):
    """Each has its curves; what one of them hasn't is left out."""
    other = tmp_path / "sulphur"
    shutil.copytree(folder / "a/calm", other)
    for name in ("simulation.pos_0.extxyz", "simulation.vel_0.xyz"):
        text = (other / name).read_text().replace("\nO ", "\nS ").replace(" O ", " S ")
        (other / name).write_text(text)
    record = json.loads((other / "run.json").read_text())
    record["masses_u"] = {"H": 1.008, "S": 32.06}
    (other / "run.json").write_text(json.dumps(record))
    words = [str(folder / "a/calm"), str(other), "--out", str(tmp_path / "out")]
    assert main(["compare", *words]) == 0
    runs = json.loads((tmp_path / "out/compare.json").read_text())["runs"]
    assert "g_SS_peak_A" in runs[1]["rdf"]
    assert "g_OO_peak_A" in runs[0]["rdf"]
    assert np.isfinite(runs[1]["vdos"]["integral_S_K"])
