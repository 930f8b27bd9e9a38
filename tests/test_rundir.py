"""``run.json``: ours, another program's, damaged, missing."""

import json

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.rundir import RECORD_FILE, find_record, read_record

OURS = {"plan": {"forces": "mts"}, "state": "finished"}


def test_ours_is_read(tmp_path):
    (tmp_path / RECORD_FILE).write_text(json.dumps(OURS))
    assert find_record(tmp_path) == read_record(tmp_path) == OURS


@pytest.mark.parametrize("text", ['{"somebody": "elses"}', "[1, 2]", "null", '"plan"'])
def test_another_programs_is_none_of_ours(tmp_path, text):
    (tmp_path / RECORD_FILE).write_text(text)
    assert find_record(tmp_path) is None
    with pytest.raises(InputError, match=r"run\.json is missing or another program's; expected"):
        read_record(tmp_path)


def test_none_is_found_where_there_is_none(tmp_path):
    assert find_record(tmp_path) is None
    (tmp_path / RECORD_FILE).mkdir()
    assert find_record(tmp_path) is None
    with pytest.raises(InputError, match="expected a directory made by 'ncforce run'"):
        read_record(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_one_is_refused(tmp_path, content):
    (tmp_path / RECORD_FILE).write_bytes(content)
    for read in (find_record, read_record):
        with pytest.raises(InputError, match=r"run\.json can't be read: .*expected JSON"):
            read(tmp_path)
