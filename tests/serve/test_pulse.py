"""The counts that a driver leaves beside its report while it runs."""

import errno
import os

import pytest

from ncforce_ipi.serve import pulse
from ncforce_ipi.serve.pulse import Pulse, live_file, read


def test_what_is_written_is_read(tmp_path):
    path = live_file(tmp_path / "driver-report.json")
    assert path.name == "driver-report.live"
    assert read(path) is None
    it = Pulse(path)
    assert (read(path).slow, read(path).fast, read(path).busy_since_s) == (0, 0, 0.0)
    it.begins()
    assert read(path).busy_since_s > 0
    assert read(path).fast == 0
    it.answered("fast", 3)
    it.begins()
    it.answered("slow", 1)
    it.close()
    beat = read(path)
    assert (beat.answers("slow"), beat.answers("fast"), beat.busy_since_s) == (1, 3, 0.0)
    assert beat.longest_s > 0


def test_the_longest_call_is_that_of_all_beads_where_few_were_evaluated(tmp_path, monkeypatch):
    """64 beads that begin at one place are one structure; a step later they aren't."""
    now = [100.0]
    monkeypatch.setattr(pulse.time, "monotonic", lambda: now[0])
    it = Pulse(tmp_path / "x")
    for took_s, n_evaluated, longest_s in [(2.0, 1, 128.0), (0.1, 0, 128.0), (150.0, 64, 150.0)]:
        it.begins()
        now[0] += took_s
        it.answered("fast", 64, n_evaluated, at_most=64)
        assert read(tmp_path / "x").longest_s == pytest.approx(longest_s, rel=1e-12)  # of doubles


def test_an_answer_that_failed_is_not_counted(tmp_path):
    it = Pulse(tmp_path / "x")
    it.begins()
    assert read(tmp_path / "x").slow == 0


def test_counts_go_on_where_a_server_comes_again(tmp_path):
    it = Pulse(tmp_path / "x")
    it.begins()
    it.answered("slow", 2)
    it.close()
    (tmp_path / "x").unlink()
    it.open()
    assert read(tmp_path / "x").slow == 2
    it.begins()
    it.answered("slow", 1)
    assert read(tmp_path / "x").slow == 3


def test_another_machine_says_nothing(tmp_path, monkeypatch):
    """Its clock is another, and a shared file system may show old counts."""
    Pulse(tmp_path / "x").close()
    monkeypatch.setattr(pulse, "this_machine", lambda: b"another machine!")
    assert read(tmp_path / "x") is None


def test_a_full_disk_leaves_no_old_counts(tmp_path, monkeypatch):
    it = Pulse(tmp_path / "x")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        it.begins()
        it.answered("slow", 1)
    assert read(tmp_path / "x") is None
    it.begins()
    it.answered("slow", 1)  # and serves on


def test_a_directory_that_can_not_be_written(tmp_path):
    it = Pulse(tmp_path / "no" / "x")
    it.begins()
    it.answered("slow", 1)
    it.close()
