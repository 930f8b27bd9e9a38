"""``run.json``: ours, another program's, damaged, missing."""

import json

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.jobs.job import from_record
from ncforce_ipi.rundir import (
    RECORD_FILE,
    find_record,
    read_record,
    replica_directories,
    replica_names,
)

OURS = {"plan": {"forces": "mts"}, "driver": {"family": "metatomic"}, "limits": {}}


def test_ours_is_read(tmp_path):
    (tmp_path / RECORD_FILE).write_text(json.dumps(OURS))
    assert find_record(tmp_path) == read_record(tmp_path) == OURS


@pytest.mark.parametrize(
    "text", ['{"somebody": "elses"}', "[1, 2]", "null", '"plan"', '{"plan": 1}']
)
def test_another_programs_is_none_of_ours(tmp_path, text):
    (tmp_path / RECORD_FILE).write_text(text)
    assert find_record(tmp_path) is None
    with pytest.raises(InputError, match=r"run\.json is no record of a run"):
        read_record(tmp_path)


def test_none_is_found_where_there_is_none(tmp_path):
    assert find_record(tmp_path) is None
    (tmp_path / RECORD_FILE).mkdir()
    assert find_record(tmp_path) is None
    with pytest.raises(InputError, match="is missing: no run of ncforce"):
        read_record(tmp_path)


@pytest.mark.parametrize("key", ["driver", "limits"])
def test_what_lacks_words_to_go_on_can_be_analysed_only(tmp_path, key):
    record = {name: value for name, value in OURS.items() if name != key}
    (tmp_path / RECORD_FILE).write_text(json.dumps(record))
    assert find_record(tmp_path) == record
    with pytest.raises(InputError, match="is no record of a run of ncforce"):
        read_record(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_one_is_refused(tmp_path, content):
    (tmp_path / RECORD_FILE).write_bytes(content)
    for read in (find_record, read_record):
        with pytest.raises(InputError, match=r"run\.json is no record of a run: .*expected JSON"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("driver", ["ncforce"]), ("timings", "x"), ("segments", {}), ("state", 1), ("n_atoms", "3")],
)
def test_a_value_of_another_kind_is_refused(tmp_path, key, value):
    (tmp_path / RECORD_FILE).write_text(json.dumps(OURS | {key: value}))
    for read in (find_record, read_record):
        with pytest.raises(InputError, match=rf"run\.json is damaged: {key} is .*move it away"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("n", "first", "last"),
    [
        (1, "replica-0", "replica-0"),
        (10, "replica-0", "replica-9"),
        (11, "replica-00", "replica-10"),
        (101, "replica-000", "replica-100"),
    ],
)
def test_names_of_replicas_sort_as_their_numbers(n, first, last):
    names = replica_names(n)
    assert (names[0], names[-1], len(set(names))) == (first, last, n)
    assert names == sorted(names)


def test_directories_of_replicas(tmp_path):
    assert replica_directories(tmp_path) == []
    (tmp_path / RECORD_FILE).write_text(json.dumps(OURS))
    assert replica_directories(tmp_path) == []
    replicas = [{"directory": name, "seed": 1} for name in replica_names(2)]
    (tmp_path / RECORD_FILE).write_text(json.dumps(OURS | {"replicas": replicas}))
    assert replica_directories(tmp_path) == [tmp_path / "replica-0", tmp_path / "replica-1"]


@pytest.mark.parametrize("replica", ["replica-0", {"seed": 1}, {"directory": 0}])
def test_a_replica_has_a_directory(tmp_path, replica):
    (tmp_path / RECORD_FILE).write_text(json.dumps(OURS | {"replicas": [replica]}))
    with pytest.raises(InputError, match=r"run\.json is damaged: replicas is"):
        find_record(tmp_path)


@pytest.mark.parametrize("segment", [3, {}, {"from_step": 0, "to_step": "5", "wall_s": 1.0}])
def test_segments_have_steps_and_seconds(tmp_path, segment):
    (tmp_path / RECORD_FILE).write_text(json.dumps(OURS | {"segments": [segment]}))
    with pytest.raises(InputError, match=r"run\.json is damaged: segments is"):
        find_record(tmp_path)


@pytest.mark.parametrize("value", ["x", -1, [1], None])
def test_seconds_in_a_model_are_numbers(tmp_path, value):
    record = OURS | {"timings": {"model_s": {"slow": value}}}
    (tmp_path / RECORD_FILE).write_text(json.dumps(record))
    if value == -1:
        assert find_record(tmp_path) == record
        return
    with pytest.raises(InputError, match=r"run\.json is damaged: timings\.model_s\.slow is"):
        find_record(tmp_path)


@pytest.mark.parametrize("lost", ["model", "threads", "options", "port"])
def test_a_run_does_not_go_on_by_half_a_record(tmp_path, lost):
    driver = {"model": "water", "family": "metatomic", "device": None, "threads": 1,
              "options": [], "port": None}  # fmt: skip
    plan = {"forces": "mts", "mts": 8, "inner_step_fs": 0.5, "n_outer": 10}
    record = {"plan": plan, "driver": driver, "ensemble": {"name": "nve"}, "temperature_K": 300.0,
              "seed": 1, "structure": "water", "limits": {}}  # fmt: skip
    assert from_record(tmp_path, record).recipe.plan.mts == 8
    del driver[lost]
    with pytest.raises(InputError, match=rf"run\.json of .* is damaged \(KeyError: '{lost}'\)"):
        from_record(tmp_path, record)
