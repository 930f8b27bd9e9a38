"""Many atoms: the file is read several times, and the numbers are those of one reading."""

import logging

import numpy as np
import pytest

from ncforce_ipi.observables import diffusion, passes, velocities
from ncforce_ipi.observables.dataset import open_dataset
from tests.synthetic_run import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("passes") / "run"
    write_run(directory, n_outer=600, n_molecules=8)
    return directory


@pytest.mark.parametrize("n_frames", [1, 4, 7, 20])
def test_blocks_hold_each_frame_once(n_frames):
    """From pieces of any length, of one group of atoms."""
    every = np.random.default_rng(1).normal(size=(20, 5, 3))
    pieces = np.split(every, [1, 4, 6, 13])
    found = list(passes.blocks_of(iter(pieces), n_frames, slice(1, 4)))
    assert [len(block) for block in found[:-1]] == [n_frames] * (len(found) - 1)
    np.testing.assert_array_equal(np.concatenate(found), every[:, 1:4])


def test_a_block_is_not_overwritten_by_the_next():
    every = np.arange(24.0).reshape(8, 1, 3)
    found = list(passes.blocks_of(np.split(every, 8), 2, slice(None)))
    np.testing.assert_array_equal(np.concatenate(found), every)


def test_all_atoms_are_in_one_group_where_they_fit(caplog):
    caplog.set_level(logging.INFO)
    assert passes.groups(1536, 500) == [slice(0, 22369)]
    assert passes.frames_at_once(1536, 500) == 500
    assert not caplog.records


def test_groups_of_many_atoms_stay_within_the_bound(caplog):
    caplog.set_level(logging.INFO)
    found = passes.groups(120_000, 500)
    sizes = [len(range(*group.indices(120_000))) for group in found]
    assert sum(sizes) == 120_000
    assert max(sizes) * 500 * 24 <= 1 << 28
    assert passes.frames_at_once(120_000, 500) * 120_000 * 24 <= 1 << 25
    assert f"120000 atoms: the file is read {len(found)} times" in caplog.text


def measured(run):
    data = open_dataset([run])
    spectrum = velocities.spectrum(data, velocities.Transform(lag_ps=0.2))
    (kinetics,) = velocities.kinetics(data)
    moved = diffusion.measure(data, diffusion.Fit(from_ps=0.05, lag_ps=0.2, memory_ps=0.2))
    return spectrum, kinetics, moved


def test_several_passes_give_what_one_gives(run, monkeypatch, caplog):
    spectrum, kinetics, moved = measured(run)
    monkeypatch.setattr(passes, "MOST_BYTES", 24 * 5 * 100)  # 5 atoms and 100 frames
    monkeypatch.setattr(passes, "WHOLE_BYTES", 24 * 24 * 7)  # 7 frames of all
    caplog.set_level(logging.INFO)
    other_spectrum, other_kinetics, other_moved = measured(run)
    assert "the file is read" in caplog.text
    # sums in another order: rounding only
    for symbol in ("H", "O"):
        for one, other in (
            (spectrum.density, other_spectrum.density),
            (spectrum.error, other_spectrum.error),
            (moved.displacement.squared_A2, other_moved.displacement.squared_A2),
            (moved.displacement.blocks_A2, other_moved.displacement.blocks_A2),
            (kinetics.values_K, other_kinetics.values_K),
        ):
            scale = np.nanmax(np.abs(one[symbol]))
            np.testing.assert_allclose(other[symbol], one[symbol], rtol=0, atol=1e-10 * scale)
        one, other = (each.by_displacement[symbol] for each in (moved, other_moved))
        assert other.value == pytest.approx(one.value, rel=1e-8, abs=1e-12)
    assert len(other_kinetics.kinetic_eV["all"]) == len(kinetics.kinetic_eV["all"])  # once each
    assert other_moved.notes == moved.notes
