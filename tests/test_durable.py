"""Files that are whole: the old one or the new one, whatever happens while they are written."""

import errno
import os
import stat
from pathlib import Path

import pytest

from ncforce_ipi import durable


def test_the_order_in_which_a_file_becomes_durable(tmp_path, monkeypatch):
    """Its bytes, then its name."""
    done = []
    sync, replace = os.fsync, Path.replace
    kind = {True: "directory", False: "file"}
    monkeypatch.setattr(
        durable.os,
        "fsync",
        lambda fd: (done.append(kind[stat.S_ISDIR(os.fstat(fd).st_mode)]), sync(fd)),
    )
    monkeypatch.setattr(Path, "replace", lambda *a: (done.append("name"), replace(*a))[1])
    durable.write_text(tmp_path / "a", "é\n")
    assert done == ["file", "name", "directory"]
    assert (tmp_path / "a").read_bytes() == "é\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")

    def half(partial):
        partial.write_text("ne")
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"), durable.replacing(path) as partial:
        half(partial)
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_names_the_users_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable.os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/a'"):
        durable.write_text(tmp_path / "a", "text")
    with pytest.raises(OSError, match=r"No space left on device: '.*/b'"):
        durable.staged(tmp_path / "b", "text")
    assert not list(tmp_path.iterdir())


def test_links_and_devices_stay(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/a").write_text("old")
    (tmp_path / "link").symlink_to("there/a")
    durable.write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there/a").read_text() == "new"
    durable.write_text(Path(os.devnull), "nothing")
    assert not Path(os.devnull).is_file()
