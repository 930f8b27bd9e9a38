"""Progress of what takes long."""

import logging

import numpy as np

from ncforce_ipi.observables import longread
from ncforce_ipi.reading.trajectory import open_trajectory


def frames(path, n_frames, n_atoms=2):
    comment = (
        "# CELL(abcABC): 9 9 9 90 90 90 Step: {} Bead: 0 positions{{angstrom}} cell{{angstrom}}"
    )
    rows = "".join(f"He {k}.0 0.0 0.0\n" for k in range(n_atoms))
    path.write_text("".join(f"{n_atoms}\n{comment.format(k)}\n{rows}" for k in range(n_frames)))
    return open_trajectory(path)


def test_a_message_every_ten_seconds_says_what_is_left(tmp_path, monkeypatch, caplog):
    clock = iter(np.arange(0.0, 1000.0, 4.0))  # seconds: each block takes four
    monkeypatch.setattr(longread.time, "monotonic", lambda: float(next(clock)))
    trajectory = frames(tmp_path / "md.pos_0.xyz", 10)
    with caplog.at_level(logging.INFO):
        read = list(longread.reported(trajectory, 1))
    assert [int(block.steps[0]) for block in read] == list(range(10))
    words = [record.message.removeprefix(f"{trajectory.path}: ") for record in caplog.records]
    assert words == [
        "3 of 10 frames, 28 s to go",
        "6 of 10 frames, 16 s to go",
        "9 of 10 frames, 4 s to go",
    ]


def test_what_is_short_says_nothing(tmp_path, caplog):
    trajectory = frames(tmp_path / "md.pos_0.xyz", 10)
    with caplog.at_level(logging.INFO):
        list(longread.reported(trajectory, 4))
    assert not caplog.records
