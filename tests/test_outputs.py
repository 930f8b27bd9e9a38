"""i-PI's files: columns with units, trajectories from i-PI's own writers, files of broken runs."""

import logging
import tracemalloc

import numpy as np
import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.outputs import open_trajectory, read_properties

from .synthetic_run import write_frame, write_properties

SPECIES = np.array(["O", "H", "H"])
TRICLINIC_A = np.array([[10.0, 0.0, 0.0], [2.0, 9.0, 0.0], [-1.5, 3.0, 8.0]])
HEADER = """\
# column   1     --> step : The current simulation time step.
# column   2     --> temperature(H){kelvin} : The current temperature, as obtained {so}.
# cols.    3-5   --> cell_abc{angstrom} : Three numbers.
"""


def rows(steps) -> np.ndarray:
    steps = np.array(list(steps), dtype=float)
    return np.column_stack([steps, 0.004 * steps, -3.0 + 0.0 * steps, 300.0 + steps, 0.5 * steps])


def random_frames(n_frames: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_frames, 3, 3))


def write_trajectory(path, frames, *, mode="ase", quantity="positions", steps=None, cell=None):
    with path.open("a") as file:
        for step, frame in zip(steps or range(len(frames)), frames, strict=True):
            write_frame(file, SPECIES, frame, mode, quantity, step, cell)


# properties


def test_columns_have_names_and_units(tmp_path):
    path = tmp_path / "simulation.out"
    path.write_text(HEADER + "  0.0   301.5   1.0 2.0 3.0 \n  1.0   302.5   4.0 5.0 6.0 \n")
    table = read_properties(path)
    assert table.names == ("step", "temperature(H)", "cell_abc[0]", "cell_abc[1]", "cell_abc[2]")
    assert table.units == ("", "kelvin", "angstrom", "angstrom", "angstrom")
    assert table.column("temperature(H)", "kelvin").tolist() == [301.5, 302.5]
    assert table.column("cell_abc[2]", "angstrom").tolist() == [3.0, 6.0]


def test_missing_column_and_wrong_unit_are_refused(tmp_path):
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(3)))
    table = read_properties(path)
    with pytest.raises(
        InputError, match=r"no column 'potential' but step, time, .*: add potential"
    ):
        table.column("potential", "electronvolt")
    with pytest.raises(InputError, match="'time' is in picosecond; expected femtosecond"):
        table.column("time", "femtosecond")


def test_cut_last_line_is_left_out_with_a_warning(tmp_path, caplog):
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(3)))
    with path.open("a") as file:
        file.write("  3.00000000000000000e+00   1.2000000")
    with caplog.at_level(logging.WARNING):
        table = read_properties(path)
    assert table.column("step").tolist() == [0.0, 1.0, 2.0]
    assert "1 incomplete line(s) left out" in caplog.text


def test_last_number_cut_short_is_left_out(tmp_path):
    """All columns are there, but the last lacks its end: 1.5 could have been 1.5e+02."""
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(3)))
    text = path.read_text()
    path.write_text(text[: text.rindex("e+00")])
    assert len(read_properties(path).values) == 2


def test_resumed_run_repeats_header_and_steps_and_the_later_counts(tmp_path):
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(6)))
    again = rows(range(3, 5))
    again[:, 3] = 77.0
    write_properties(path, again, mode="a")
    table = read_properties(path)
    # what followed step 4 before the restart belongs to a past that was undone
    assert table.column("step").tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert table.column("temperature", "kelvin").tolist() == [300.0, 301.0, 302.0, 77.0, 77.0]


def test_another_header_is_refused(tmp_path):
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(2)))
    with path.open("a") as file:
        file.write("# column   2     --> time{femtosecond} : Other.\n")
    with pytest.raises(
        InputError, match="column 2 is 'time' and later 'time'; expected one header"
    ):
        read_properties(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.0 2.0\n", "no '# column 1 --> name' header"),
        (HEADER, "no complete row"),
        (HEADER + "  0.0  what  1.0 2.0 3.0\n", "not a table of numbers"),
    ],
)
def test_file_that_is_no_properties_file_is_refused(tmp_path, text, message):
    path = tmp_path / "simulation.out"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_properties(path)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"simulation\.out is missing; expected i-PI's properties"):
        read_properties(tmp_path / "simulation.out")


# trajectories


@pytest.mark.parametrize(
    ("mode", "quantity", "scale", "tolerance"),
    [
        ("ase", "positions", 1.0, 1e-8),  # 8 decimals, A
        ("xyz", "positions", 1.0, 5e-6),  # 6 digits
        ("xyz", "velocities", 0.01, 5e-8),  # 6 digits of 0.01 A/fs, and 4e-8 of i-PI's unit
        ("ase", "velocities", 0.01, 1e-8),  # 8 decimals of ASE's unit, 0.1 A/fs
    ],
)
def test_frames_come_back_as_ipi_wrote_them(tmp_path, mode, quantity, scale, tolerance):
    frames = scale * random_frames(5)
    path = tmp_path / "trajectory"
    write_trajectory(path, frames, mode=mode, quantity=quantity, cell=TRICLINIC_A)
    trajectory = open_trajectory(path)
    assert trajectory.quantity == quantity
    assert trajectory.species.tolist() == ["O", "H", "H"]
    (block,) = trajectory.blocks(10)
    assert block.steps.tolist() == [0, 1, 2, 3, 4]
    # i-PI's own constants differ from CODATA 2018 by 1e-8
    np.testing.assert_allclose(block.values, frames, rtol=1e-6, atol=tolerance)
    # plain xyz has lengths and angles with 5 decimals
    np.testing.assert_allclose(block.cells[3], TRICLINIC_A, atol=1e-6 if mode == "ase" else 2e-5)


def test_atomic_units_are_converted(tmp_path):
    path = tmp_path / "trajectory.xyz"
    path.write_text(
        "1\n# CELL(abcABC):   10.0  10.0  10.0  90.0  90.0  90.0  Step:  7  Bead:  0 "
        "velocities{atomic_unit}  cell{atomic_unit}\n       H  1.0e+00  0.0e+00  0.0e+00\n"
    )
    (block,) = open_trajectory(path).blocks(1)
    assert block.values[0, 0, 0] == pytest.approx(21.8769126364, rel=1e-10)  # CODATA 2018, A/fs
    assert block.cells[0, 0, 0] == pytest.approx(5.29177210903, rel=1e-12)


def test_blocks_stream_the_file_and_start_where_asked(tmp_path):
    frames = random_frames(7)
    path = tmp_path / "trajectory"
    write_trajectory(path, frames, steps=range(0, 35, 5))
    trajectory = open_trajectory(path)
    assert trajectory.stride() == 5
    blocks = list(trajectory.blocks(2, from_step=8))
    assert [block.steps.tolist() for block in blocks] == [[10, 15], [20, 25], [30]]
    np.testing.assert_allclose(blocks[1].values, frames[4:6], atol=1e-8)


def test_memory_does_not_grow_with_the_length(tmp_path):
    def peak_bytes(n_frames: int) -> int:
        path = tmp_path / f"trajectory_{n_frames}"
        write_trajectory(path, random_frames(n_frames))
        trajectory = open_trajectory(path)
        tracemalloc.start()
        for _ in trajectory.blocks(10):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    # 1000 frames hold 72 kB of values in all, a block of ten less than 1 kB
    assert peak_bytes(1000) - peak_bytes(100) < 10_000


def test_cut_frame_at_the_end_is_left_out(tmp_path, caplog):
    path = tmp_path / "trajectory"
    write_trajectory(path, random_frames(3))
    path.write_bytes(path.read_bytes()[:-10])
    with caplog.at_level(logging.WARNING):
        assert open_trajectory(path).steps.tolist() == [0, 1]
    assert "1 cut frame(s)" in caplog.text


def test_run_killed_and_resumed_keeps_every_step_once(tmp_path):
    """i-PI appends to the cut frame; steps 2 and 3 are written again after step 1's checkpoint."""
    frames, again = random_frames(4), random_frames(4, seed=2)
    path = tmp_path / "trajectory"
    write_trajectory(path, frames)
    path.write_bytes(path.read_bytes()[:-30])
    write_trajectory(path, again, steps=[1, 2, 3, 4])
    trajectory = open_trajectory(path)
    # the frame that is glued to the cut one is lost, and its step is there from before
    assert trajectory.steps.tolist() == [0, 1, 2, 3, 4]
    (block,) = trajectory.blocks(9)
    np.testing.assert_allclose(block.values[:2], frames[:2], atol=1e-8)
    np.testing.assert_allclose(block.values[2:], again[1:], atol=1e-8)


def test_other_number_of_atoms_is_refused(tmp_path):
    path = tmp_path / "trajectory"
    write_trajectory(path, random_frames(2))
    with path.open("a") as file:
        write_frame(file, SPECIES[:2], np.zeros((2, 3)), "ase", "positions", 2)
    with pytest.raises(InputError, match="a frame of 2 atoms after frames of 3"):
        open_trajectory(path)


def test_non_finite_value_is_refused_with_its_step_and_atom(tmp_path):
    frames = random_frames(3)
    frames[1, 2, 0] = np.nan
    path = tmp_path / "trajectory"
    write_trajectory(path, frames, mode="xyz", steps=[0, 4, 8])
    with pytest.raises(InputError, match="nan at step 4, atom 2; expected finite positions"):
        list(open_trajectory(path).blocks(2))


def test_uneven_stride_is_refused(tmp_path):
    path = tmp_path / "trajectory"
    write_trajectory(path, random_frames(3), steps=[0, 5, 7])
    with pytest.raises(InputError, match=r"gaps of \[2 5\] steps"):
        open_trajectory(path).stride()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a number of atoms"),
        ("hello\n", "begins with b'hello"),
        ("1\nno comment of i-PI's\nH 0 0 0\n", "no complete frame written by i-PI"),
        ("1\nStep: 3 forces{ase} cell{ase}\nH 0 0 0\n", "no positions or velocities with a unit"),
    ],
)
def test_file_that_is_no_trajectory_is_refused(tmp_path, text, message):
    path = tmp_path / "trajectory"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        open_trajectory(path)


def test_unknown_unit_is_refused(tmp_path):
    path = tmp_path / "trajectory"
    path.write_text(
        '1\nLattice="1 0 0 0 1 0 0 0 1" Step: 0 positions{furlong} cell{ase}\nH 0 0 0\n'
    )
    with pytest.raises(InputError, match="positions in 'furlong'; expected one of ase, angstrom"):
        list(open_trajectory(path).blocks(1))


def test_missing_trajectory_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a trajectory written by i-PI"):
        open_trajectory(tmp_path / "nothing")
