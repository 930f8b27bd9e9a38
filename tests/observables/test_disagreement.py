"""Slow - fast of a run, measured from its file."""

import json

import numpy as np
import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.engine.disagreement import header
from ncforce_ipi.observables import disagreement
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import Options
from tests.synthetic_run import STEP_FS, write_record, write_run

N_OUTER = 400


@pytest.fixture
def run(tmp_path):
    """A run, with its rows of slow - fast; the directory and the root mean squares of all, H, O."""
    directory = tmp_path / "run"
    write_run(directory, n_outer=N_OUTER)
    rng = np.random.default_rng(5)
    values = 0.1 + 0.01 * rng.normal(size=(N_OUTER + 1, 3))
    text = header(["H", "O"])
    for step, (whole, hydrogen, oxygen) in enumerate(values):
        numbers = (step, 1e-3 * STEP_FS * step, whole, 3.0 * whole, hydrogen, oxygen)
        text += "  ".join(f"{number:.12e}" for number in numbers) + "\n"
    (directory / "simulation.disagreement.out").write_text(text)
    band = {"expected": 0.1, "upper": 0.105}
    write_record(directory, 81, slow_minus_fast={"band": band})
    return directory, values.T


def test_numbers_over_the_measured_part(run):
    directory, (whole, hydrogen, _) = run
    data = open_dataset([directory], Options(discard_ps=0.4), whole=True)
    (found,) = disagreement.measure(data).runs
    part = slice(round(400 / STEP_FS), None)
    mean = found.mean()
    # 1e-9: twelve digits are written
    assert mean.value == pytest.approx(np.sqrt((whole[part] ** 2).mean()), rel=1e-9)
    assert found.mean("H").value == pytest.approx(np.sqrt((hydrogen[part] ** 2).mean()), rel=1e-9)
    # of independent numbers; the estimate of a memory that isn't there wanders by a third
    assert mean.error == pytest.approx(0.01 / np.sqrt(301), rel=0.4)
    assert found.beyond == pytest.approx(np.mean(whole[part] > 0.105), abs=1e-12)
    assert found.largest.max() == pytest.approx(3.0 * whole[part].max(), rel=1e-9)


def test_analyze_prints_and_writes_it(run, capsys):
    directory, (whole, _, _) = run
    assert main(["analyze", str(directory), "--discard-ps", "0"]) == 0
    out = capsys.readouterr().out
    assert "Slow - fast at the outer points" in out
    assert "at most 0.105 eV/A" in out
    names = {path.name for path in (directory / "analysis").iterdir()}
    assert {"disagreement.csv", "disagreement.png", "disagreement.pdf"} <= names
    summary = json.loads((directory / "analysis" / "summary.json").read_text())
    (numbers,) = summary["disagreement"]["runs"]
    assert numbers["rms_eV_per_A"] == pytest.approx(np.sqrt((whole**2).mean()), rel=1e-9)
    assert numbers["upper_eV_per_A"] == 0.105


def test_replicas_have_a_line_each(run):
    directory, _ = run
    both = disagreement.measure(open_dataset([directory, directory], Options(), whole=True))
    labels = [label for label, _ in both.lines()]
    assert labels == ["run", "run", "mean", "errors"]  # by its name, that of the directory
    assert len(both.columns()["time_ps"]) == sum(len(one.time_ps) for one in both.runs)
    both.figure()


def test_a_run_without_the_file_says_who_writes_it(tmp_path):
    write_run(tmp_path / "run", n_outer=40)
    with pytest.raises(InputError, match="writes it where both forces are used"):
        disagreement.measure(open_dataset([tmp_path / "run"], Options(), whole=True))


def test_rows_and_kept_frames_are_no_trajectory_and_no_properties_of_the_run(run):
    directory, _ = run
    (directory / "disagreeing.extxyz").write_bytes(
        (directory / "simulation.pos_0.extxyz").read_bytes()
    )
    source = open_dataset([directory], Options(), whole=True).first
    assert source.table.path.name == "simulation.out"
    assert source.all_frames("positions").path.name == "simulation.pos_0.extxyz"
    from_file = open_dataset([directory / "simulation.vel_0.xyz"], Options(), whole=True).first
    assert from_file.table.path.name == "simulation.out"
