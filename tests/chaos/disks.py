"""Faults of the disk, on a real ext4 in a file: full, read-only, and a loss of power.

They need root, to mount it.  A loss of power is ext4's own test of it: from that moment nothing
more reaches the disk, and what had not been made durable is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .world import AT_RESUME, Began, Row, World, is_gone, kill, until

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NOT_EVEN_THE_JOURNAL = 2
IMAGE_MB = 24
NEEDS = "needs root, a loop device and mkfs.ext4"


@dataclass
class Disk:
    """A small file system of its own."""

    image: Path
    point: Path

    def mount(self) -> None:
        """As a machine does at its start."""
        words = ["mount", "-o", "loop,errors=remount-ro", str(self.image), str(self.point)]
        subprocess.run(words, check=True, capture_output=True)

    def unmount(self) -> None:
        """Once nobody uses it any more; the last that did may still be ending."""
        words = ["umount", str(self.point)]
        until(lambda: not subprocess.run(words, capture_output=True, check=False).returncode,
              f"{self.point} is in use")  # fmt: skip

    def lose_power(self) -> None:
        """From now on nothing reaches the disk."""
        descriptor = os.open(self.point, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NOT_EVEN_THE_JOURNAL))
        finally:
            os.close(descriptor)

    def get_read_only(self) -> None:
        """As ext4 does when it meets an error."""
        device = subprocess.run(
            ["findmnt", "-no", "SOURCE", str(self.point)], check=True, text=True,
            capture_output=True,
        ).stdout.strip()  # fmt: skip
        Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("chaos")

    def fill(self) -> Path:
        """Use all of its room; the file that does."""
        path = self.point / "other-data"
        with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 12))
        return path


@contextlib.contextmanager
def disk(world: World) -> Iterator[Disk | None]:
    """A new one; None where it can't be had."""
    world._n += 1
    it = Disk(world.directory / f"disk-{world._n}.img", world.directory / f"disk-{world._n}")
    it.point.mkdir()
    with it.image.open("wb") as file:
        file.truncate(IMAGE_MB << 20)
    try:
        if os.geteuid() or not shutil.which("mkfs.ext4", path="/usr/sbin:/sbin"):
            raise PermissionError
        subprocess.run(["/usr/sbin/mkfs.ext4", "-qm", "0", str(it.image)], check=True)
        it.mount()
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield it
    finally:
        it.unmount()
        it.image.unlink()


def power_lost(world: World) -> Row:
    """Everything stops at once, and the last writes never came to the disk."""
    row = Row("loss of power (ext4): what was not durable is gone")
    for _ in range(world.times(5)):
        with disk(world) as there:
            if there is None:
                return Row(row.fault, line=NEEDS)
            it = world.begin(into=there.point, NCFORCE_CHAOS_KEEP_S="1")
            it.reach(world.moment(margin=100))
            written = it.step
            pids = it.pids()
            there.lose_power()
            _end(it, pids)
            there.unmount()
            there.mount()
            row.n += 1
            row.line = AT_RESUME
            world.goes_on(row, it.out, written)
    return row


def full_and_freed(world: World) -> Row:
    """Another program takes all room, and later gives it back."""
    row = Row("disk full, and freed")
    for _ in range(world.times(3)):
        with disk(world) as there:
            if there is None:
                return Row(row.fault, line=NEEDS)
            it = world.begin(into=there.point)
            it.reach(world.moment(margin=50))
            taken, start = there.fill(), time.monotonic()
            code = it.end()
            row.n += 1
            row.noticed_s.append(time.monotonic() - start)
            row.line, row.bitwise = it.line, row.bitwise and code == 1
            written = it.step
            taken.unlink()
            world.goes_on(row, it.out, written)
    return row


def read_only(world: World) -> Row:
    """An error of the disk, of which the file system becomes read-only."""
    row = Row("file system becomes read-only, and is mounted again")
    for _ in range(world.times(3)):
        with disk(world) as there:
            if there is None:
                return Row(row.fault, line=NEEDS)
            it = world.begin(into=there.point, NCFORCE_CHAOS_KEEP_S="1")
            it.reach(world.moment(margin=50))
            written, pids, start = it.step, it.pids(), time.monotonic()
            there.get_read_only()
            code = it.end()
            row.n += 1
            row.noticed_s.append(time.monotonic() - start)
            row.line, row.bitwise = it.line, row.bitwise and code == 1
            until(lambda: all(map(is_gone, pids.values())), "something is left")  # noqa: B023
            there.unmount()
            there.mount()
            world.goes_on(row, it.out, written)
    return row


def _end(it: Began, pids: dict[str, int]) -> None:
    """All processes, as a machine without power does."""
    for pid in pids.values():
        kill(pid)
    it.end()
    until(lambda: all(map(is_gone, pids.values())), "something is left")


FAULTS = (power_lost, full_and_freed, read_only)
