"""Runs of a comparison go on only with the models that they began with, and their options."""

import json
import shutil

import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch.compare import differences
from ncforce_ipi.launch.jobs import record as records
from ncforce_ipi.launch.jobs.job import new_job
from ncforce_ipi.launch.run import start_of
from ncforce_ipi.models import model_path

LJ, HARMONIC = "analytic:lennard-jones", "analytic:harmonic"
FIVE, FIVE_AGAIN, SIX = (f"{LJ} --arguments '{text}'" for text in (
    '{"cutoff_A": 5.0, "epsilon_eV": 0.01}', '{"epsilon_eV":0.01,"cutoff_A":5.0}',
    '{"cutoff_A": 6.0, "epsilon_eV": 0.01}',
))  # fmt: skip


def job(directory, **words):
    words = {"structure": "aluminium", **words}
    return new_job(directory, Plan("mts", 2, 0.5, 10), **words)


def record(directory, **words):
    made = job(directory, **words)
    return json.loads(json.dumps(records.new_record(made, start_of(made))))


@pytest.mark.parametrize(
    ("then", "now", "other"),
    [
        ({"model": LJ}, {"model": LJ}, []),
        ({"model": LJ}, {"model": HARMONIC}, ["model"]),  # both are names: no file has a hash
        ({"model": LJ}, {"model": "aluminium"}, ["model"]),
        ({"model": FIVE}, {"model": FIVE_AGAIN}, []),
        ({"model": FIVE}, {"model": SIX}, ["choice of options of the model"]),
        ({"model": LJ}, {"model": LJ, "device": "cpu", "threads": 2, "drivers": 2}, []),
        ({"model": LJ}, {"model": f"{LJ} --device cpu --threads=2"}, []),
        (
            {"model": "aluminium"},
            {"model": "aluminium", "driver_options": ["--dtype", "float64"]},
            ["choice of options of the model"],
        ),
        ({"model": "aluminium"}, {"model": "aluminium", "slow": LJ}, ["slow model"]),
        ({"model": "aluminium", "slow": LJ}, {"model": "aluminium"}, ["slow model"]),
        ({"model": "aluminium", "slow": LJ}, {"model": "aluminium", "slow": LJ}, []),
        ({"model": "aluminium", "slow": LJ}, {"model": "aluminium", "slow": SIX}, [
            "choice of options of the slow model"]),
        ({"model": "aluminium", "slow": LJ}, {"fast": HARMONIC, "slow": LJ}, ["model"]),
        (
            {"model": "aluminium", "slow": LJ},
            {"model": "aluminium", "slow": f"{LJ} --device cpu", "device": "cuda"},
            [],
        ),
    ],
)  # fmt: skip
def test_other_models_are_noticed(tmp_path, then, now, other):
    assert differences(job(tmp_path, **now), record(tmp_path, **then)) == other


def test_a_file_is_known_by_its_contents(tmp_path):
    """Wherever it lies; and another file for the slow forces than the one for both."""
    copy, other = tmp_path / "copy.pt", tmp_path / "other.pt"
    shutil.copy(model_path("aluminium"), copy)
    other.write_bytes(copy.read_bytes() + b" ")
    then = record(tmp_path, model="aluminium")
    assert differences(job(tmp_path, model=str(copy)), then) == []
    assert differences(job(tmp_path, model=str(other)), then) == ["model"]
    assert differences(job(tmp_path, fast="aluminium", slow=str(other)), then) == ["slow model"]


def test_a_comparison_does_not_go_on_with_another_model(tmp_path, monkeypatch, capsys):
    """Where a run of it is done, the rest would be of other forces."""
    monkeypatch.chdir(tmp_path)
    words = ["compare", "aluminium", "--mts", "2", "--time-ps", "0.005", "--out", "all"]
    slow = new_job(
        tmp_path / "all" / "slow", Plan("slow", 1, 0.5, 10), system="aluminium", model=LJ
    )
    slow.directory.mkdir(parents=True)
    made = records.new_record(slow, start_of(slow)) | {"state": "finished", "steps_done": 10}
    records.save(slow.directory, made)
    assert main([*words, "--resume", "--model", HARMONIC]) == 2
    said = "slow was begun with another model; give the same options, or another --out"
    assert said in capsys.readouterr().err
