"""What users' words say of models: names stay, paths become absolute."""

import pytest
from ase.build import bulk

from ncforce_ipi import cli
from ncforce_ipi.inputs.service import parse_model


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_text("")
    (tmp_path / "table.json").write_text("{}")
    (tmp_path / "libraries").mkdir()
    (tmp_path / "cpu").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("--extensions libraries", ("--extensions", "{}/libraries")),
        ("--extensions=libraries", ("--extensions={}/libraries",)),
        ("--extensions elsewhere", ("--extensions", "elsewhere")),  # the driver says what is wrong
        ("--arguments table.json", ("--arguments", "{}/table.json")),
        ("--arguments=table.json", ("--arguments={}/table.json",)),
        ("--device cpu", ("--device", "cpu")),  # a folder of that name isn't meant
    ],
)
@pytest.mark.parametrize("program", ["", "echo driver metatomic --model "])
def test_paths_are_absolute_since_drivers_run_elsewhere(here, program, words, options):
    found = parse_model(f"{program or 'metatomic:'}model.pt {words}")
    assert found.model == f"{here}/model.pt"
    assert found.options == tuple(one.format(here) for one in options)


def test_words_may_be_longer_than_names_of_files(here):
    long = '{"cutoff_A": ' + "1" * 300 + "}"
    assert parse_model(f"analytic:lennard-jones --arguments '{long}'").options[1] == long


@pytest.mark.parametrize("forces", ["slow", "fast"])
def test_a_run_of_one_force_needs_its_model_only(here, capsys, forces):
    bulk("Ar", cubic=True).write("ar.xyz")
    words = ["input", "--structure", "ar.xyz", "--out", "there"]
    other = {"slow": "fast", "fast": "slow"}[forces]
    named = [f"--{forces}", "analytic:lennard-jones", "--forces"]
    assert cli.main([*words, *named, other]) == 2
    assert "give --model and --structure" in capsys.readouterr().err
    assert cli.main([*words, *named, forces]) == 0
