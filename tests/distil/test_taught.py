"""Frames of a run are learnt where its slow forces are the teacher's."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest

from ncforce_ipi.distil import flow, points
from ncforce_ipi.distil.taught import check_taught
from ncforce_ipi.distil.teacher import with_labels
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch.jobs.job import new_job, to_record
from ncforce_ipi.launch.jobs.record import models
from ncforce_ipi.models import model_path
from ncforce_ipi.rundir import DISAGREEING_FILE, RECORD_FILE

from .made import salt, session_of

FIVE, FIVE_AGAIN, SIX = (f"""analytic:lennard-jones --arguments '{text}'""" for text in (
    '{"cutoff_A": 5.0, "epsilon_eV": 0.01}', '{"epsilon_eV":0.01,"cutoff_A":5.0}',
    '{"cutoff_A": 6.0, "epsilon_eV": 0.01}',
))  # fmt: skip


def run_of(directory, forces="mts", **words):
    """A directory with the record of a run."""
    directory.mkdir(exist_ok=True)
    job = new_job(
        directory, Plan(forces, 2 if forces == "mts" else 1, 0.5, 10), structure="water", **words
    )
    record = to_record(job) | models(job.service)
    (directory / RECORD_FILE).write_text(json.dumps(record), encoding="utf-8")
    return directory


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        (FIVE, {"model": FIVE}),
        (FIVE, {"model": FIVE_AGAIN}),  # the same numbers in other words
        (FIVE, {"slow": FIVE, "fast": "water"}),
        (FIVE, {"slow": FIVE, "fast": "water", "device": "cpu", "threads": 2}),
        (FIVE, {"slow": FIVE, "fast": "water", "driver_options": ["--variant", "x"]}),  # fast
        (FIVE, {"forces": "slow", "slow": FIVE, "system": "water"}),
        ("water", {"model": "water", "driver_options": ["--compile", "--no-capture"]}),
        ("water --dtype float64", {"model": "water"}),  # rounding
        ("sevennet:7net-0", {"slow": "sevennet:7net-0 --device cpu", "fast": "water"}),
    ],
)
def test_the_teachers_forces_are_learnt(tmp_path, caplog, teacher, words):
    check_taught(run_of(tmp_path / "run", **words), teacher)
    assert not caplog.records


@pytest.mark.parametrize(
    ("teacher", "words", "said"),
    [
        (FIVE, {"model": SIX}, '"cutoff_A": 6.0'),
        (FIVE, {"slow": SIX, "fast": "water"}, '"cutoff_A": 6.0'),
        (FIVE, {"model": "analytic:lennard-jones"}, "those of analytic:lennard-jones, and"),
        ("water", {"model": "aluminium"}, "those of metatomic:aluminium (SHA-256 "),
        ("sevennet:7net-0", {"slow": "sevennet:7net-l3i5", "fast": "water"}, "7net-l3i5"),
        ("sevennet:7net-0", {"slow": "orb:7net-0", "fast": "water"}, "orb:7net-0"),
        ("water", {"model": "water", "driver_options": ["--variant=x"]}, "water --variant=x"),
        ("water", {"model": "water", "driver_options": ["--slow-kind", "direct"]}, "--slow-kind"),
        ("water", {"slow": FIVE, "fast": "water"}, "and the teacher is metatomic:water (SHA"),
    ],
)
def test_those_of_another_model_are_refused(tmp_path, teacher, words, said):
    with pytest.raises(InputError) as caught:
        check_taught(run_of(tmp_path / "run", **words), teacher)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_is_known_by_what_is_in_it(tmp_path):
    copy = tmp_path / "copy.pt"
    shutil.copy(model_path("water"), copy)
    run = run_of(tmp_path / "run", model=str(copy))
    check_taught(run, "water")
    with pytest.raises(InputError, match=r"copy\.pt \(SHA-256 .*the teacher is .*aluminium"):
        check_taught(run, "aluminium")


def test_a_run_without_a_record_is_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        check_taught(tmp_path, "water")
    assert "has no run.json, which would say whose its slow forces are" in caplog.text


def test_all_runs_are_added_or_none(tmp_path, monkeypatch):
    session = session_of(tmp_path, monkeypatch, 0, 0.0)  # its teacher is analytic:harmonic
    runs = [
        run_of(tmp_path / name, model=model)
        for name, model in (("own", "analytic:harmonic"), ("other", "analytic:lennard-jones"))
    ]
    for run in runs:
        points.save([with_labels(salt(), 0.0, np.zeros((64, 3)))], run / DISAGREEING_FILE)
    with pytest.raises(InputError, match=r"other are those of analytic:lennard-jones"):
        flow._add(session, runs)
    assert not session.state.stages
    assert not session.data.exists()
    flow._add(session, runs[:1])
    assert session.state.stages["added-1"]["n_frames"] == 1
