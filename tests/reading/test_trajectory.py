"""Trajectories from i-PI's and ASE's own writers, of broken and resumed runs, by fast and slow."""

import logging
import tracemalloc

import ase
import ase.io
import numpy as np
import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import Options
from ncforce_ipi.reading.framesearch import Search
from ncforce_ipi.reading.trajectory import open_trajectory
from tests.synthetic_run import write_frame

SPECIES = np.array(["O", "H", "H"])
TRICLINIC_A = np.array([[10.0, 0.0, 0.0], [2.0, 9.0, 0.0], [-1.5, 3.0, 8.0]])


def random_frames(n_frames: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_frames, 3, 3))


def write_trajectory(path, frames, *, mode="ase", quantity="positions", steps=None, cell=None):
    with path.open("a") as file:
        for step, frame in zip(steps or range(len(frames)), frames, strict=True):
            write_frame(file, SPECIES, frame, mode, quantity, step, cell)


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
    # the frame that is glued to the cut one is found within its last line
    assert trajectory.steps.tolist() == [0, 1, 2, 3, 4]
    (block,) = trajectory.blocks(9)
    np.testing.assert_allclose(block.values[0], frames[0], atol=1e-8)
    np.testing.assert_allclose(block.values[1:], again, atol=1e-8)


def test_other_number_of_atoms_is_refused(tmp_path):
    path = tmp_path / "trajectory"
    write_trajectory(path, random_frames(2))
    with path.open("a") as file:
        write_frame(file, SPECIES[:2], np.zeros((2, 3)), "ase", "positions", 2)
    with pytest.raises(InputError, match=r"2 atoms after frames of 3 \(frame 2 from 0, byte"):
        open_trajectory(path)


def test_non_finite_value_is_refused_with_its_step_and_atom(tmp_path):
    frames = random_frames(3)
    frames[1, 2, 0] = np.nan
    path = tmp_path / "trajectory"
    write_trajectory(path, frames, mode="xyz", steps=[0, 4, 8])
    with pytest.raises(InputError, match=r"nan at step 4, atom 2 \(frame 1, both from 0\)"):
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
        ("2\nStep: 3 positions{ase} cell{ase}\nH 0 0 0\n", "no complete frame"),
        ("1\nStep: 3 stress{ase} cell{ase}\nH 0 0 0\n", "holds stress; expected positions, "),
        ("1\nProperties=species:S:1:Z:I:1\nH 1\n", "holds species, Z; expected positions"),
        ("0\n\n", "begins with b'0"),
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
    with pytest.raises(InputError, match="nothing is missing; expected a trajectory"):
        open_trajectory(tmp_path / "nothing")


# other programs' files


def ase_frames(n_frames: int, **columns) -> list[ase.Atoms]:
    """Frames of three atoms in a triclinic cell with columns of ``(n_frames, 3, 3)``."""
    frames = []
    for number in range(n_frames):
        atoms = ase.Atoms(SPECIES, cell=TRICLINIC_A, pbc=True)
        for name, values in columns.items():
            atoms.set_array(name, values[number])
        frames.append(atoms)
    return frames


def test_extxyz_of_ase_has_positions_forces_and_momenta(tmp_path):
    path = tmp_path / "md.extxyz"
    positions, forces, momenta = (random_frames(4, seed) for seed in range(3))
    frames = ase_frames(4, positions=positions, forces=forces, momenta=momenta)
    ase.io.write(path, frames, format="extxyz")
    scale = {"positions": 1.0, "forces": 1.0, "momenta": 0.09822694788}  # (eV/u)^(1/2) in A/fs
    for name, values in (("positions", positions), ("forces", forces), ("momenta", momenta)):
        trajectory = open_trajectory(path, name)
        assert not trajectory.numbered
        (block,) = trajectory.blocks(9)
        assert block.steps.tolist() == [0, 1, 2, 3]
        np.testing.assert_allclose(block.values, scale[name] * values, atol=1e-8)  # 8 decimals
        np.testing.assert_allclose(block.cells[2], TRICLINIC_A)
    with pytest.raises(InputError, match=r"holds species, pos, .*; expected velocities"):
        open_trajectory(path, "velocities")


def test_velocities_need_a_unit_where_programs_disagree(tmp_path):
    path = tmp_path / "md.extxyz"
    velocities = 0.01 * random_frames(2)
    ase.io.write(path, ase_frames(2, velocities=1e3 * velocities), format="extxyz")
    with pytest.raises(InputError, match=r"a unit that the file does not state.*give --unit"):
        open_trajectory(path, "velocities")
    (block,) = open_trajectory(path, "velocities", unit="angstrom/ps").blocks(2)
    np.testing.assert_allclose(block.values, velocities, atol=1e-11)


def test_plain_xyz_has_positions_and_no_cell(tmp_path):
    path = tmp_path / "plain.xyz"
    path.write_text("2\n\nC 0 0 1.5\nO 1e-1 -2 3\n" * 2)
    (block,) = open_trajectory(path).blocks(5)
    np.testing.assert_array_equal(block.values[1], [[0.0, 0.0, 1.5], [0.1, -2.0, 3.0]])
    assert not block.cells.any()


def test_steps_of_lammps_xyz_are_its_own(tmp_path):
    """A dump every 20 steps of 0.5 fs has frames 10 fs apart, whatever it says of time."""
    path = tmp_path / "dump.xyz"
    frame = "2\nAtoms. Timestep: {}\nC 0 0 1.5\nO {} -2 3\n"
    path.write_text("".join(frame.format(20 * k, 0.1 * k) for k in range(50)))
    trajectory = open_trajectory(path)
    assert trajectory.numbered
    assert trajectory.steps.tolist() == list(range(0, 1000, 20))
    (replica,) = open_dataset([path], Options(timestep_fs=0.5)).replicas("positions")
    assert replica.frame_fs == 10.0
    with path.open("a") as file:  # LAMMPS appends a restarted run
        file.write(frame.format(960, 7.0))
    assert open_trajectory(path).steps[-1] == 960


def test_cell_given_as_a_matrix(tmp_path):
    path = tmp_path / "h.xyz"
    path.write_text(
        "1\n# CELL{H}: 10 1 2 0 9 3 0 0 8 Step: 5 positions{angstrom} cell{angstrom}\nH 0 0 0\n"
    )
    (block,) = open_trajectory(path).blocks(1)
    np.testing.assert_array_equal(block.cells[0], [[10, 0, 0], [1, 9, 0], [2, 3, 8]])


@pytest.mark.parametrize(
    "quantity", ["x_centroid", "v_centroid", "f_centroid", "forces_component(1)"]
)
def test_centroids_and_components_are_what_they_say(tmp_path, quantity):
    path = tmp_path / "prefix.xc.xyz"
    path.write_text(
        f"1\n# CELL(abcABC): 9 9 9 90 90 90 Step: 2 Bead: 0 {quantity}{{atomic_unit}} "
        "cell{angstrom}\n H 1.0e+00 0.0e+00 0.0e+00\n"
    )
    kind = {"x": "positions", "v": "velocities", "f": "forces"}[quantity[0]]
    assert open_trajectory(path).quantity == kind
    assert open_trajectory(path, kind).numbered


def test_rows_of_changing_width_are_read_as_well(tmp_path):
    """A frame blown up to wider numbers, and one by another writer, between frames as usual."""
    frames = random_frames(5)
    frames[2] *= 1e9
    path = tmp_path / "trajectory"
    write_trajectory(path, frames[:4])
    with path.open("a") as file:
        file.write('3\nLattice="9 0 0 0 9 0 0 0 9" Step: 4 positions{ase} cell{ase}\n')
        rows = zip(SPECIES, frames[4].tolist(), strict=True)
        file.writelines(f"{name} {x!r} {y!r} {z!r}\n" for name, (x, y, z) in rows)
    (block,) = open_trajectory(path).blocks(9)
    assert block.steps.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(block.values, frames, atol=1e-8)


def test_index_of_equal_frames_reads_their_heads_only(tmp_path, monkeypatch):
    path = tmp_path / "trajectory"
    write_trajectory(path, random_frames(50))
    measured = []
    original = Search.whole
    monkeypatch.setattr(Search, "whole", lambda *args: measured.append(1) or original(*args))
    assert len(open_trajectory(path).steps) == 50
    assert len(measured) == 3  # the first one: for the header, for the index, for its length
