"""Frames that a resumed run wrote again: a file of structures is read as a trajectory is."""

import gzip
import logging

import numpy as np
import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.reading.images import read_images
from ncforce_ipi.reading.structures import read_frames
from ncforce_ipi.reading.trajectory import open_trajectory

BOX = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 pbc="T T T"'
IPI = 'ipi_comment="Step: {:9d}  Bead: 0 positions{{ase}}  cell{{ase}}"'
PLAIN = (
    "# CELL(abcABC): 9 9 9 90 90 90  Step: {:9d}  Bead: 0 positions{{angstrom}} cell{{angstrom}}"
)
RESUMED = [0, 10, 20, 30, 10, 20, 30, 40]


def text_of(steps, words=f"{BOX} {IPI}"):
    """The distance of the two atoms numbers the frames: 3.00, 3.01, ... A."""
    frames = (
        f"2\n{words.format(step)}\nAr 0.0 0.0 0.0\nAr {3.0 + 0.01 * k:.4f} 0.0 0.0\n"
        for k, step in enumerate(steps)
    )
    return "".join(frames)


def numbers(images):
    return [round(100 * (float(image.atoms.positions[1, 0]) - 3.0)) for image in images]


@pytest.fixture
def saved(tmp_path):
    def write(steps, words=f"{BOX} {IPI}", name="simulation.pos_0.extxyz"):
        text = text_of(steps, words).encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return path

    return write


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (f"{BOX} {IPI}", "simulation.pos_0.extxyz"),
        (f"{BOX} {IPI}", "simulation.pos_0.xyz"),
        (f"{BOX} {IPI}", "simulation.pos_0.extxyz.gz"),
        (PLAIN, "simulation.pos_0.xyz"),
    ],
)
def test_the_later_frame_of_a_step_counts(saved, words, name):
    """Frames 1 to 3 are there again as 4 to 6."""
    path = saved(RESUMED, words, name)
    trajectory = open_trajectory(path, "positions")
    assert trajectory.steps.tolist() == [0, 10, 20, 30, 40]
    images = read_images(str(path))
    assert [image.step for image in images] == [0, 10, 20, 30, 40]
    assert numbers(images) == [0, 4, 5, 6, 7]
    for image, block in zip(images, trajectory.blocks(1), strict=True):
        np.testing.assert_allclose(image.atoms.positions, block.values[0], rtol=0, atol=1e-12)
    for index, expected in (("1", [4]), ("-2", [6]), ("::2", [0, 5, 7]), ("2:", [5, 6, 7])):
        assert numbers(read_images(f"{path}@{index}")) == expected


def test_what_a_shorter_second_part_does_not_replace_is_said(saved, caplog):
    """Of a run that was stopped again before it was where it had been."""
    path = saved([0, 10, 20, 30, 10])
    with caplog.at_level(logging.WARNING):
        assert numbers(read_images(str(path))) == [0, 4]
    assert "2 frames of steps 20 to 30 left out" in caplog.text


def test_commands_that_take_frames_take_these(saved):
    path = saved(RESUMED)
    assert [frame.name.partition("@")[2] for frame in read_frames([str(path)], 3)] == [
        "0",
        "2",
        "4",
    ]
    assert read_structure(f"{path}@1").get_distance(0, 1) == pytest.approx(3.04)


def test_empty_lines_between_them(saved):
    path = saved(RESUMED)
    text = path.read_text().replace("\n2\n", "\n\n \n2\n")
    path.write_text(text)
    assert numbers(read_images(str(path))) == [0, 4, 5, 6, 7]


@pytest.mark.parametrize("words", [f"{BOX} {IPI}", PLAIN])
def test_two_runs_in_one_file_are_refused(saved, words):
    path = saved([10, 20, 10, 20], words, "simulation.pos_0.xyz")
    with pytest.raises(InputError, match="the steps begin again: two runs in one file"):
        read_images(str(path))


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([40, 170, 300, 90, 250], f"{BOX} {IPI}"),  # picked from several runs
        ([40, 10], f"{BOX} {IPI}"),
        ([20, 20, 20], f"{BOX} {IPI}"),
        (RESUMED, f"{BOX} step={{}}"),  # not i-PI's: examples that are numbered, perhaps
    ],
)
def test_frames_of_no_one_run_count_all(saved, steps, words):
    assert numbers(read_images(str(saved(steps, words)))) == list(range(len(steps)))


def test_a_cut_frame_is_refused_as_before(saved):
    path = saved(RESUMED)
    path.write_text(path.read_text()[:-12])
    with pytest.raises(InputError, match="can't be read by ASE"):
        read_images(str(path))
