"""What the view shows together belongs together."""

import logging

import numpy as np

from ncforce_ipi.reading.trajectory import open_trajectory
from ncforce_ipi.report.view import force_files, no_elements, shown_steps


def test_forces_of_other_steps_are_not_shown(tmp_path, caplog):
    steps = {"pos_0": [0, 5, 10], "forces_slow": [0, 10, 20], "forces_fast": [1, 6, 11]}
    for name, own in steps.items():
        column = "pos" if name == "pos_0" else "forces"
        frames = (f"1\nProperties=species:S:1:{column}:R:3 step={k}\nO 0.0 0.0 1.0\n" for k in own)
        (tmp_path / f"simulation.{name}.extxyz").write_text("".join(frames))
    positions = open_trajectory(tmp_path / "simulation.pos_0.extxyz")
    with caplog.at_level(logging.WARNING):
        found = force_files(tmp_path, positions)
    assert [name for name, _ in found] == ["forces_slow"]
    assert "no frame at a step of simulation.pos_0.extxyz: forces not shown" in caplog.text
    assert shown_steps(positions, [file for _, file in found]).tolist() == [0, 10]


def test_labels_that_are_no_element_are_noticed():
    assert no_elements(np.array(["O", "g_69", "H", "X1", "Xx", "H"])) == ["X1", "Xx", "g_69"]
