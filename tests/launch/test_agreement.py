"""Slow - fast: the numbers, the frames that are kept, and when a run leaves the band."""

import logging

import ase.io
import numpy as np
import pytest

from ncforce_ipi.distil.points import of_run
from ncforce_ipi.launch.directory.tails import cut, last_step
from ncforce_ipi.launch.engine import disagreement
from ncforce_ipi.launch.engine.disagreement import Frames, Snapshot, frame, header, most_frames, row
from ncforce_ipi.launch.progress.agreement import FEWEST, RUNNING, Agreement, words
from ncforce_ipi.models.card import Band
from ncforce_ipi.reading.properties import read_properties

RNG = np.random.default_rng(3)
WATER = np.array(["O", "H", "H"])


def snapshot(difference, symbols=WATER, energies=None):
    """Beads with this difference between their forces."""
    difference = np.asarray(difference, float)
    fast = RNG.normal(size=difference.shape)
    return Snapshot(
        symbols,
        RNG.normal(size=difference.shape),
        np.array([[5.0, 0, 0], [1.0, 6.0, 0], [0.5, 0.25, 7.0]]),
        fast + difference,
        fast,
        np.full(len(difference), -1.5) if energies is None else np.asarray(energies),
    )


def test_root_mean_squares_are_over_atoms_beads_and_directions():
    difference = RNG.normal(size=(2, 3, 3))
    rms, largest, hydrogen, oxygen = row([snapshot(difference)], ["H", "O"])
    # 1e-12: sums of 18 numbers near 1 in another order
    assert rms == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-12)
    assert largest == pytest.approx(np.linalg.norm(difference, axis=-1).max(), rel=1e-12)
    assert hydrogen == pytest.approx(np.sqrt((difference[:, 1:] ** 2).mean()), rel=1e-12)
    assert oxygen == pytest.approx(np.sqrt((difference[:, :1] ** 2).mean()), rel=1e-12)


def test_several_systems_are_one_row():
    one, other = RNG.normal(size=(1, 3, 3)), RNG.normal(size=(1, 3, 3))
    rms, *_ = row([snapshot(one), snapshot(other)], ["H", "O"])
    both = np.concatenate([one, other])
    assert rms == pytest.approx(np.sqrt((both**2).mean()), rel=1e-12)  # rounding


def test_rows_are_a_properties_file(tmp_path):
    path = tmp_path / "d.out"
    path.write_text(header(["H", "O"]) + "0 0 0.1 0.2 0.3 0.4\n1 0.004 0.2 0.3 0.4 0.5\n")
    table = read_properties(path)
    assert table.names == (
        "step", "time", "slow_minus_fast_rms", "slow_minus_fast_max",
        "slow_minus_fast_rms(H)", "slow_minus_fast_rms(O)",
    )  # fmt: skip
    assert set(table.units[2:]) == {"ev/ang"}


def test_a_frame_has_both_forces_as_ase_reads_them(tmp_path):
    one = snapshot(RNG.normal(size=(2, 3, 3)), energies=[-1.5, -2.5])
    (tmp_path / "f.extxyz").write_text(frame(one, 1, 7, 0.028))
    atoms = ase.io.read(tmp_path / "f.extxyz")
    # 1e-10: ten decimals are written
    np.testing.assert_allclose(atoms.positions, one.positions[1], atol=1e-10)
    np.testing.assert_allclose(atoms.cell.array, one.cell, atol=0)
    np.testing.assert_allclose(atoms.get_forces(), one.slow[1], atol=1e-10)
    np.testing.assert_allclose(atoms.arrays["fast_forces"], one.fast[1], atol=1e-10)
    assert atoms.get_potential_energy() == -2.5
    assert atoms.pbc.all()
    assert atoms.get_chemical_symbols() == ["O", "H", "H"]


def test_a_driver_that_sends_no_energy_gives_no_label(tmp_path):
    (tmp_path / "f.extxyz").write_text(frame(snapshot(np.ones((1, 3, 3)), energies=[0.0]), 0, 1, 0))
    assert "energy" not in ase.io.read(tmp_path / "f.extxyz").calc.results


def test_of_several_beads_and_systems_the_one_that_disagrees_most_is_kept(tmp_path):
    small, large = np.full((2, 3, 3), 0.1), np.full((2, 3, 3), 0.2)
    large[1] = 0.3
    frames = Frames(tmp_path / "f.extxyz")
    found = [snapshot(small), snapshot(large)]
    frames.offer(found, 1, 0.0)
    atoms = ase.io.read(tmp_path / "f.extxyz")
    np.testing.assert_allclose(atoms.positions, found[1].positions[1], atol=1e-10)  # ten decimals
    assert atoms.info["slow_minus_fast_rms_eV_per_A"] == pytest.approx(0.3, rel=1e-5)  # 6 digits


def test_frames_are_apart_and_bounded_and_spread_over_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(disagreement, "MAX_FRAMES", 10)
    path = tmp_path / "f.extxyz"
    frames, one = Frames(path), [snapshot(np.ones((1, 3, 3)))]
    for step in range(1000):
        frames.offer(one, step, 0.004 * step)
        assert len(ase.io.read(path, ":")) <= 10 if step % 100 == 0 else True
    times_ps = np.array([atoms.info["time_ps"] for atoms in ase.io.read(path, ":")])
    assert 5 <= len(times_ps) <= 10
    assert times_ps[0] == 0.0
    assert times_ps[-1] > 3.0
    # six digits of a time are written; 0.02 ps doubled five times
    assert np.diff(times_ps).min() > 0.3


def test_a_new_process_goes_on_counting(tmp_path, monkeypatch):
    monkeypatch.setattr(disagreement, "MAX_FRAMES", 4)
    path, one = tmp_path / "f.extxyz", [snapshot(np.ones((1, 3, 3)))]
    for step in range(40):
        Frames(path).offer(one, step, 0.1 * step)
    assert len(ase.io.read(path, ":")) <= 4


@pytest.mark.parametrize(("n_atoms", "n"), [(10, 200), (192, 200), (100_000, 4), (10_000_000, 2)])
def test_how_many_frames_there_are_at_most(n_atoms, n):
    assert most_frames(n_atoms) == n


def test_the_size_of_a_frame_is_as_assumed():
    one = snapshot(RNG.normal(size=(1, 100, 3)), np.array(["Si"] * 100))
    assert len(frame(one, 0, 1, 0.0)) < 100 * disagreement.BYTES_PER_ATOM


def test_frames_of_later_steps_are_cut_like_an_output_of_ipi(tmp_path):
    path = tmp_path / "f.extxyz"
    path.write_text("".join(frame(snapshot(np.ones((1, 3, 3))), 0, k, 0.1 * k) for k in (3, 9, 12)))
    assert last_step(path) == 12
    cut(path, 10)
    assert len(ase.io.read(path, ":")) == 2
    assert last_step(path) == 9


def test_kept_frames_are_what_distillation_learns_from(tmp_path):
    one = snapshot(RNG.normal(size=(1, 3, 3)))
    Frames(tmp_path / "disagreeing.extxyz").offer([one], 5, 0.02)
    (frame,) = of_run(tmp_path, [1, 8])
    assert frame.get_potential_energy() == -1.5
    np.testing.assert_allclose(frame.get_forces(), one.slow[0], atol=1e-10)  # ten decimals


@pytest.fixture
def rows(tmp_path):
    """``rows(values)`` appends outer points with these root mean squares."""
    path = tmp_path / "simulation.disagreement.out"
    path.write_text(header(["O"]))

    def add(*values):
        with path.open("a") as file:
            n = sum(1 for line in path.read_text().splitlines() if not line.startswith("#"))
            for k, value in enumerate(values, start=n):
                file.write(f"{k} {0.004 * k} {value} {value} {value}\n")

    add.path = path
    return add


def test_running_and_whole_numbers(rows):
    values = RNG.uniform(0.1, 0.2, size=3 * RUNNING)
    rows(*values)
    found = Agreement(rows.path)
    found.update()
    # 1e-9: sums of squares in another order
    assert found.whole == pytest.approx(np.sqrt((values**2).mean()), rel=1e-9)
    assert found.running == pytest.approx(np.sqrt((values[-RUNNING:] ** 2).mean()), rel=1e-9)
    assert not found.outside
    assert not found.reason


def test_it_is_said_once_where_the_band_is_left(rows, caplog):
    found = Agreement(rows.path, Band(0.1, 0.15))
    rows(*[0.1] * RUNNING)
    found.update()
    assert not found.reason
    assert not caplog.records
    rows(*[0.5] * RUNNING)
    found.update()
    # two of 25 are 0.5, the others 0.1: sqrt((2 x 0.25 + 23 x 0.01)/25)
    assert "0.171 eV/A over the last 25 outer steps up to step 26" in found.reason
    rows(*[0.1] * 2 * RUNNING)
    found.update()
    rows(*[0.5] * RUNNING)
    found.update()
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


def test_the_first_points_alone_are_not_judged(rows):
    found = Agreement(rows.path, Band(0.1, 0.15))
    rows(*[0.5] * (FEWEST - 1))
    found.update()
    assert not found.reason
    rows(0.5)
    found.update()
    assert found.reason


def test_what_was_outside_before_a_resume_is_not_said_again_until_it_came_back(rows):
    rows(*[0.5] * RUNNING)
    found = Agreement(rows.path, Band(0.1, 0.15), stops=True)
    found.skip_old()
    rows(0.5)
    found.update()
    assert found.outside
    assert not found.reason
    rows(*[0.1] * RUNNING)
    found.update()
    rows(*[0.5] * RUNNING)
    found.update()
    assert found.reason


def test_rows_that_are_none_are_left_out(rows):
    with rows.path.open("a") as file:
        file.write("0 0 0.1 0.1\nnonsense\n1 0.004 x\n\n2 0.008 0.1 0.1\n3 0.")
    found = Agreement(rows.path)
    found.update()
    assert found.n == 2


def test_the_line_of_one_run_and_of_replicas(rows):
    rows(0.1, 0.1)
    one, other, none = Agreement(rows.path), Agreement(rows.path), Agreement(rows.path)
    one.update()
    assert words([none]) == ""
    assert words([one, none]) == "slow - fast 0.1 eV/A"
    rows(0.3, 0.3)
    other.update()
    # sqrt((2 x 0.01 + 2 x 0.09) / 4) = 0.2236
    assert words([one, other]) == "slow - fast 0.162 (at most 0.224) eV/A"
