"""Runs that were resumed, appended or written twice; times; files that end in other ways."""

import gzip
import logging

import numpy as np
import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import Options
from ncforce_ipi.reading.trajectory import open_trajectory

BOX = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3'


def frame(words: str, number: float, symbols: str = "OH") -> str:
    rows = "".join(f"{s} {number:10.4f} {k:10.4f} 0.0000\n" for k, s in enumerate(symbols))
    return f"{len(symbols)}\n{BOX} {words}\n{rows}"


@pytest.fixture
def opened(tmp_path):
    def write(frames: list[str], end: str = ""):
        path = tmp_path / "md.extxyz"
        path.write_text("".join(frames) + end)
        return open_trajectory(path)

    return write


def first_numbers(trajectory) -> list[float]:
    return [block.values[0, 0, 0] for block in trajectory.blocks(1)]


def test_later_frames_of_a_resumed_run_count(opened, caplog):
    old = [frame(f"step={k}", k) for k in (0, 10, 20, 30)]
    trajectory = opened(old + [frame(f"step={k}", k + 0.5) for k in (20, 30, 40)])
    assert trajectory.steps.tolist() == [0, 10, 20, 30, 40]
    assert first_numbers(trajectory) == [0.0, 10.0, 20.5, 30.5, 40.5]
    assert caplog.text == ""


def test_what_a_shorter_second_part_does_not_replace_is_said(opened, caplog):
    with caplog.at_level(logging.WARNING):
        trajectory = opened([frame(f"step={k}", k) for k in (0, 10, 20, 30, 40, 10, 20)])
    assert trajectory.steps.tolist() == [0, 10, 20]
    assert "2 frames of steps 30 to 40 left out" in caplog.text


def test_steps_that_begin_again_are_refused(opened):
    with pytest.raises(InputError, match=r"step 0 comes after step 20 \(frame 3 from 0\)"):
        opened([frame(f"step={k}", k) for k in (0, 10, 20, 0, 10)])


def test_two_frames_of_each_step_are_refused(opened):
    with pytest.raises(InputError, match="4 steps are there twice in a row, the first is 0"):
        opened([frame(f"step={k // 2}", k) for k in range(8)])


def test_a_step_that_never_changes_is_no_number(opened, caplog):
    with caplog.at_level(logging.WARNING):
        trajectory = opened([frame("step=5", k) for k in range(4)])
    assert trajectory.steps.tolist() == [0, 1, 2, 3]
    assert not trajectory.numbered
    assert "all 4 frames say step 5" in caplog.text


@pytest.mark.parametrize(
    "words", ["MD iter: {}", "Position Step {}, Unit is A", "step={}.0", "timestep=1 istep={}"]
)
def test_steps_in_the_words_of_other_programs(opened, caplog, words):
    """Frames every 20 steps of 0.5 fs are 10 fs apart, also where a restart wrote some again."""
    with caplog.at_level(logging.WARNING):
        trajectory = opened([frame(words.format(k), k) for k in (*range(0, 400, 20), 360, 380)])
    assert trajectory.numbered
    assert trajectory.steps.tolist() == list(range(0, 400, 20))
    assert "comment lines count steps (0, 20, ...), 20 between frames" in caplog.text
    (replica,) = open_dataset([trajectory.path], Options(timestep_fs=0.5)).replicas("positions")
    assert replica.frame_fs == 10.0


@pytest.mark.parametrize("words", ["iter={}", "timestep=1", "iter={} step", "md iterations {}"])
def test_numbers_that_do_not_rise_are_no_steps(opened, caplog, words):
    with caplog.at_level(logging.WARNING):
        trajectory = opened([frame(words.format(12 + k % 3), k) for k in range(9)])
    assert not trajectory.numbered
    assert trajectory.steps.tolist() == list(range(9))
    assert caplog.text == ""


def test_only_some_frames_with_a_step_are_refused(opened):
    with pytest.raises(InputError, match="says no step and others say one"):
        opened([frame("step=1", 0), frame("", 1)])
    with pytest.raises(InputError, match="says a step and others say none"):
        opened([frame("", 1), frame("step=1", 0)])


@pytest.mark.parametrize(
    ("word", "unit", "step_fs"),
    [("time_fs", "", 0.5), ("time_ps", "", 500.0), ("time", "", None),
     ("time", ' units="_JSON {\\"time\\": \\"fs\\"}"', 0.5)],
)  # fmt: skip
def test_a_step_is_as_long_as_the_file_says(opened, word, unit, step_fs):
    frames = [frame(f"step={k} {word}={0.5 * k:.1f}{unit}", k) for k in range(0, 300, 10)]
    assert opened(frames).step_fs == pytest.approx(step_fs)
    without = [frame(f"{word}={5.0 * k:.1f}{unit}", k) for k in range(30)]
    trajectory = opened(without)
    assert not trajectory.numbered
    assert trajectory.step_fs == (step_fs and pytest.approx(10 * step_fs))  # of a frame


def test_times_that_do_not_fit_the_steps_are_not_used(opened, caplog):
    times = [0.0, 1.0, 2.0, 9.0, 10.0]
    with caplog.at_level(logging.WARNING):
        trajectory = opened([frame(f"step={k} time_fs={t}", k) for k, t in enumerate(times)])
    assert trajectory.step_fs is None
    assert "time= and step= don't fit together" in caplog.text


def test_times_number_frames_that_have_no_step(opened):
    """A gap, and what a resumed run wrote again."""
    trajectory = opened([frame(f"time={t}", t) for t in (0.0, 0.5, 1.0, 0.5, 1.0, 1.5, 3.0)])
    assert trajectory.steps.tolist() == [0, 1, 2, 3, 6]
    with pytest.raises(InputError, match="the steps begin again"):
        opened([frame(f"time={t}", t) for t in (0.0, 0.5, 1.0, 0.0, 0.5)])


def test_cp2k_numbers_its_frames(opened):
    rows = "O 1.0 2.0 3.0\nH 1.0 2.0 3.0\n"
    trajectory = opened([f"2\n i = {k:8d}, time = {0.5 * k:12.3f}, E = -1.0\n{rows}"
                         for k in (10, 20, 30, 20, 30, 40)])  # fmt: skip
    assert trajectory.steps.tolist() == [10, 20, 30, 40]
    assert trajectory.step_fs == pytest.approx(0.5)


def test_a_frame_written_twice_without_numbers_is_left_out(opened, caplog):
    with caplog.at_level(logging.WARNING):
        trajectory = opened([frame("", k) for k in (0, 1, 2, 2, 3)])
    assert first_numbers(trajectory) == [0.0, 1.0, 2.0, 3.0]
    assert "1 frame(s) left out that are there twice" in caplog.text
    assert len(opened([frame("", 1.0)] * 5).steps) == 5  # nothing moves: none is left out


def test_runs_put_together_without_numbers_are_said(opened, caplog):
    with caplog.at_level(logging.WARNING):
        assert len(opened([frame("", k) for k in (0, 1, 2, 3, 0, 1, 2)]).steps) == 7
    assert "frame 4 is frame 0 again" in caplog.text


def test_last_line_without_newline(opened, caplog):
    """Whole where it is as the others, to the last digit; else it may be cut."""
    two = [frame(f"step={k}", k) for k in range(2)]
    two[1] = two[1].removesuffix("\n")
    assert opened(two).steps.tolist() == [0, 1]
    two[1] = two[1][:-1]
    with caplog.at_level(logging.WARNING):
        assert opened(two).steps.tolist() == [0]
    assert "1 cut frame(s) left out, at byte" in caplog.text


def test_a_periodicity_that_changes_is_refused(opened):
    trajectory = opened([frame(f'step=1 pbc="{pbc}"', 0) for pbc in ("T T T", "T T F")])
    with pytest.raises(InputError, match="periodic along ab at step"):
        list(trajectory.blocks(5))


def test_columns_may_change_between_frames(opened):
    """Two programs wrote one file; each frame goes by its own words."""
    other = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=pos:R:3:species:S:1 step=1'
    trajectory = opened([frame("step=0", 0.0), f"2\n{other}\n1.5 2.5 3.5 O\n4.5 5.5 6.5 H\n"])
    (block,) = trajectory.blocks(5)
    np.testing.assert_array_equal(block.values[1], [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]])


def test_atoms_that_swap_are_refused(opened):
    trajectory = opened([frame("step=0", 0), frame("step=7", 1, "HO")])
    with pytest.raises(InputError, match=r"atom 0 is 'H' at step 7 \(frame 1 from 0\) and 'O'"):
        list(trajectory.blocks(5))


def test_damaged_compressed_file_is_refused(tmp_path):
    path = tmp_path / "md.xyz.gz"
    path.write_bytes(gzip.compress(frame("step=0", 1.0).encode() * 50)[:-20])
    with pytest.raises(InputError, match="can't be unpacked into"):
        open_trajectory(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("999999999999999999\n\nH 0 0 0\n", "no complete frame"),
        ("99999999999999999999999\n\nH 0 0 0\n", "expected a number of atoms"),
        ("1\n\nH 0 0\n", "atom 0 is 'H 0 0'; expected numbers in columns 2, 3, 4"),
        ("1\n\nH 0 x 0\n", "atom 0 is 'H 0 x 0'; expected numbers"),
        ("1\nProperties=Z:I:1:pos:R:3\n999 0 0 0\n", "species that is not an atomic number"),
        ("1\nProperties=Z:I:1:pos:R:3\nH 0 0 0\n", "species that is not an atomic number"),
        (
            "1\nProperties=pos:R:3:species:S:1\n0 0 0\n",
            "a line with a species in column 4",
        ),
    ],
)
def test_broken_files_are_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "broken.xyz"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(open_trajectory(path).blocks(1))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "broken.xyz"
    path.write_bytes(b"1\n\n\xff\xfe 0 0 0\n")
    with pytest.raises(InputError, match="species that is not a symbol"):
        open_trajectory(path)
    path.write_bytes(b"5\n" + b"\0" * (1 << 25))
    with pytest.raises(InputError, match="the comment line at byte 0 is longer than 16 MB"):
        open_trajectory(path)
