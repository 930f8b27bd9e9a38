"""What is on the disk when the power goes: a checkpoint, and all outputs up to it."""

import errno
import os
import time

import pytest

from ncforce_ipi import durable
from ncforce_ipi.launch.directory import keeping, resume, tails

from .test_launch import STRIDES, checkpoint, write_outputs

SAFE = "simulation.checkpoint_safe"
BLOCK = 512  # of a disk


@pytest.fixture
def keeper(tmp_path, monkeypatch):
    """Of a run in which checkpoints are old enough to be looked at."""
    monkeypatch.setattr(keeping, "QUIET_S", -1.0)
    return keeping.Keeper(tmp_path)


def test_outputs_before_the_checkpoint(keeper, tmp_path, monkeypatch):
    """A checkpoint that is on the disk before them would be of no use."""
    synced = []
    sync = durable.sync
    monkeypatch.setattr(durable, "sync", lambda path: (synced.append(path.name), sync(path)))
    write_outputs(tmp_path, 12)
    checkpoint(tmp_path, "simulation.checkpoint", 12)
    keeper.look()
    names = [f"simulation.{name}" for name in STRIDES]
    assert synced == [*names, f"{SAFE}.partial", tmp_path.name]
    assert resume.read(tmp_path / SAFE).step == 12


def test_what_isnt_ready_is_left(keeper, tmp_path, monkeypatch):
    """A half-written checkpoint; outputs that i-PI hasn't written to their end; nothing newer."""
    write_outputs(tmp_path, 8)
    path = tmp_path / "simulation.checkpoint"
    checkpoint(tmp_path, path.name, 12)
    keeper.look()
    assert not (tmp_path / SAFE).exists()
    write_outputs(tmp_path, 12)
    path.write_text(path.read_text()[:-20])
    keeper.next_s = 0.0
    keeper.look()
    assert not (tmp_path / SAFE).exists()
    checkpoint(tmp_path, path.name, 12)
    keeper.next_s = 0.0
    keeper.look()
    first = (tmp_path / SAFE).stat()
    keeper.next_s = 0.0
    keeper.look()
    assert (tmp_path / SAFE).stat() == first
    monkeypatch.setattr(keeping, "QUIET_S", 3600.0)  # i-PI may be at work on it
    write_outputs(tmp_path, 16)
    checkpoint(tmp_path, path.name, 16)
    keeper.next_s = 0.0
    keeper.look()
    assert resume.read(tmp_path / SAFE).step == 12


def test_the_first_copy_is_made_soon_from_whichever_is_quiet(keeper, tmp_path, monkeypatch):
    """A quick run writes its latest checkpoint again and again."""
    now_s = [0.0]
    monkeypatch.setattr(keeping.time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(keeping, "QUIET_S", 60.0)
    write_outputs(tmp_path, 12)
    checkpoint(tmp_path, "simulation.checkpoint", 12)
    checkpoint(tmp_path, "simulation.checkpoint_older", 8)
    keeper.look()
    assert not (tmp_path / SAFE).exists(), "both have just been written"
    an_hour_ago = time.time() - 3600.0
    os.utime(tmp_path / "simulation.checkpoint_older", (an_hour_ago, an_hour_ago))
    now_s[0] += 0.5 * keeping.FIRST_S
    keeper.look()
    assert not (tmp_path / SAFE).exists(), "not yet time to look again"
    now_s[0] += keeping.FIRST_S
    keeper.look()
    assert resume.read(tmp_path / SAFE).step == 8
    # the disk is full at step 16: both are of that step, and its line of properties is lost
    write_outputs(tmp_path, 15)
    for name in ("simulation.checkpoint", "simulation.checkpoint_older"):
        checkpoint(tmp_path, name, 16)
    assert resume.best_checkpoint(tmp_path).step == 8


def test_a_checkpoint_that_is_not_newer_is_read_once(keeper, tmp_path, monkeypatch):
    """That of the start stays for a while, and of many atoms it is large."""
    read = []
    parsed = resume.parsed
    monkeypatch.setattr(
        resume, "parsed", lambda path, text: read.append(path) or parsed(path, text)
    )
    write_outputs(tmp_path, 12)
    checkpoint(tmp_path, "simulation.checkpoint", 12)
    for _ in range(5):
        keeper.next_s = 0.0
        keeper.look()
    assert len(read) == 2, "to copy it, and to see that it is old"
    write_outputs(tmp_path, 160)
    checkpoint(tmp_path, "simulation.checkpoint", 160)  # of another size
    keeper.next_s = 0.0
    keeper.look()
    assert len(read) == 3
    assert resume.read(tmp_path / SAFE).step == 160


def test_a_full_disk_ends_no_run(keeper, tmp_path, monkeypatch):
    write_outputs(tmp_path, 12)
    checkpoint(tmp_path, "simulation.checkpoint", 12)

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable, "sync", full)
    keeper.look()
    keeping.settle(tmp_path)
    assert not (tmp_path / SAFE).exists()


def test_all_is_durable_before_a_run_is_said_to_have_ended(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(durable, "sync", lambda path: synced.append(path.name))
    write_outputs(tmp_path, 4)
    checkpoint(tmp_path, "RESTART", 4)
    keeping.settle(tmp_path)
    assert {"RESTART", *(f"simulation.{name}" for name in STRIDES)} < set(synced)
    assert synced[-1] == tmp_path.name


@pytest.mark.parametrize("name", STRIDES)
def test_zeros_in_the_middle_are_no_output(tmp_path, name):
    """Of blocks that never came to the disk, between some that did."""
    last = 400
    write_outputs(tmp_path, last)
    checkpoint(tmp_path, SAFE, 40)
    checkpoint(tmp_path, "RESTART", last)
    assert resume.best_checkpoint(tmp_path).step == last
    path = tmp_path / f"simulation.{name}"
    data = bytearray(path.read_bytes())
    start = len(data) // 2 // BLOCK * BLOCK
    data[start : start + BLOCK] = bytes(BLOCK)
    path.write_bytes(data)
    assert tails.last_step(path) == last - last % STRIDES[name]
    assert resume.best_checkpoint(tmp_path).step == 40
    tails.cut(path, 40)
    assert b"\0" not in path.read_bytes()


@pytest.mark.parametrize("name", STRIDES)
def test_a_file_cut_or_zeroed_anywhere_is_read_to_its_last_whole_step(tmp_path, name):
    """Every byte may be the last; zeros may follow it."""
    write_outputs(tmp_path, 6)
    path = tmp_path / f"simulation.{name}"
    data, stride = path.read_bytes(), STRIDES[name]
    known = -1
    for end in range(len(data) + 1):
        for tail in (b"", bytes(40), bytes(7) + b"\n"):
            path.write_bytes(data[:end] + tail)
            step = tails.last_step(path)
            assert step in (known, known + stride if known >= 0 else 0)
            known = max(known, step)
            assert tails.is_whole(path, step, stride, -1) or step < 0
    assert known == 6 - 6 % stride
    assert os.path.getsize(path) > len(data)  # noqa: PTH202
