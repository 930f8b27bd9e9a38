"""What each frame adds to the integral of the velocity autocorrelation, whatever the blocks."""

import numpy as np
import pytest

from ncforce_ipi.analysis.lagged import gather
from ncforce_ipi.analysis.plateau import plateaus


def moving(n_frames, n_atoms, seed):
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n_frames + 20, n_atoms, 3)).cumsum(axis=0)
    return steps[20:] - steps[:-20]  # remembers 20 frames


WEIGHTS = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 3.0]])


def whole(blocks, **options):
    return gather([(slice(None), blocks)], WEIGHTS, 60, **options)


def test_the_mean_of_the_series_is_the_integral():
    velocities = moving(20000, 4, 1)
    found = whole([velocities])
    (series,) = found.series
    average = lambda values: (values.mean(axis=0), values.std(axis=0))  # noqa: E731
    for number, one in enumerate(plateaus(found.correlations, [series], 4.0, average)):
        mean = 4.0 * 4.0 / 33356.4095198152 * series[number].mean()
        assert mean == pytest.approx(one.density, rel=0.01)
        assert 0.0 < one.error < 0.1 * one.density


@pytest.mark.parametrize("cuts", [[500], [61, 130, 300, 700]])
def test_blocks_and_groups_do_not_matter(cuts):
    velocities = moving(1000, 4, 2)
    (series,) = whole([velocities]).series
    assert series.shape[0] == 2
    assert 1000 - 60 < series.shape[1] < 1000 - 40  # but for those whose later frames lack
    blocks = np.split(velocities, cuts)
    np.testing.assert_allclose(whole(blocks).series[0], series, rtol=1e-9, atol=1e-9)
    groups = [(at, [block[:, at] for block in blocks]) for at in (slice(0, 3), slice(3, 4))]
    found = gather(groups, WEIGHTS, 60)
    np.testing.assert_allclose(found.series[0], series, rtol=1e-9, atol=1e-9)


def test_runs_do_not_follow_each_other():
    runs = [moving(400, 4, seed) for seed in (3, 4)]
    blocks = [part for run in runs for part in (run[:200], run[200:])]
    blocks.insert(2, runs[0][:30])  # a remainder that is too short counts for none
    found = whole(blocks, blocks_of_runs=[2, 2])
    assert len(found.series) == 2
    for one, run in zip(found.series, runs, strict=True):
        np.testing.assert_allclose(one, whole([run]).series[0], rtol=1e-9, atol=1e-9)
    assert found.n_frames == [200.0] * 4
