"""Runs of a comparison go on only with the masses that they began with."""

import json
from dataclasses import replace

import pytest
from ase.build import molecule

from ncforce_ipi.inputs.masses import Masses
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch.compare import differences
from ncforce_ipi.launch.jobs import record as records
from ncforce_ipi.launch.jobs.job import from_record, new_job
from ncforce_ipi.launch.run import start_of


@pytest.fixture
def job(tmp_path):
    atoms = molecule("CH3OH")
    atoms.set_cell([9.0] * 3)
    atoms.center()
    atoms.pbc = True
    atoms.write(tmp_path / "start.xyz")
    plan = Plan("slow", 1, 0.5, 10)
    return new_job(
        tmp_path / "run", plan, model="analytic:harmonic", structure=str(tmp_path / "start.xyz"),
        repartition=3.0,
    )  # fmt: skip


def test_a_record_knows_the_masses_that_were_chosen(job):
    record = json.loads(json.dumps(records.new_record(job, start_of(job))))
    assert differences(job, record) == []
    assert from_record(job.directory, record).masses == Masses(None, 3.0)
    assert record["several_masses"] == []  # one carbon, one oxygen
    for other in (Masses(), Masses(None, 2.0), Masses({"H": 3.0}), Masses({"C": 13.0}, 3.0)):
        assert differences(replace(job, masses=other), record) == ["masses"]


def test_records_of_earlier_versions_had_no_choice(job):
    plain = replace(job, masses=Masses())
    record = json.loads(json.dumps(records.new_record(plain, start_of(plain))))
    del record["masses"], record["several_masses"]
    assert differences(plain, record) == []
    assert differences(job, record) == ["masses"]
    assert from_record(job.directory, record).masses == Masses()


def test_shipped_velocities_are_of_the_true_masses(tmp_path):
    plan = Plan("mts", 8, 0.5, 10)
    assert new_job(tmp_path, plan, system="water").velocities is not None
    for chosen in ({"repartition": 4.0}, {"masses_u": {"H": 2.0}}):
        assert new_job(tmp_path, plan, system="water", **chosen).velocities is None
