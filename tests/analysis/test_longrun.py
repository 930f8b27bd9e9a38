"""Which series get an interval, and that these intervals hold the truth in 95 %."""

import math

import numpy as np
import pytest
from emcee.autocorr import integrated_time
from scipy.signal import lfilter

from ncforce_ipi.analysis.drift import fit_drift
from ncforce_ipi.analysis.longrun import ENOUGH, TOO_SHORT, long_run, long_runs
from ncforce_ipi.analysis.statistics import mean_of

N_SAMPLES = 1000
TIME_PS = 0.004 * np.arange(N_SAMPLES)


def ar1(rng: np.random.Generator, n_samples: int, inefficiency: float) -> np.ndarray:
    """Stationary AR(1) noise of unit innovations whose g = (1 + a)/(1 - a) is ``inefficiency``."""
    a = (inefficiency - 1.0) / (inefficiency + 1.0)
    kicks = rng.normal(size=n_samples)
    kicks[0] /= math.sqrt(1.0 - a**2)  # the stationary spread
    return lfilter([1.0], [1.0, -a], kicks)


def two_part(rng: np.random.Generator, n_samples: int, memory_ps: float) -> np.ndarray:
    """T(H) - T(O) of water every 4 fs, K: 25 K with 20 fs of memory, 12 K with a long one."""
    parts = ((25.0, 5.0), (12.0, memory_ps / 0.004))
    # ar1 has the variance 1/(1 - a^2) = (g + 1)^2 / 4g
    return sum(
        spread * 2.0 * math.sqrt(g) / (g + 1.0) * ar1(rng, n_samples, g) for spread, g in parts
    )


def intervals(n_memories: float, n_runs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the mean, then of the slope of a line: share with an interval, and of these, right."""
    rng = np.random.default_rng(seed)
    given, right = np.zeros(2), np.zeros(2)
    for _ in range(n_runs):
        noise = 8.0 * ar1(rng, N_SAMPLES, N_SAMPLES / n_memories)
        mean, line = mean_of(300.0 + noise), fit_drift(TIME_PS, 300.0 + 3.0 * TIME_PS + noise)
        for kind, (off, half) in enumerate(
            ((mean.value - 300.0, mean.half_width(0.95)), (line.slope - 3.0, line.ci95))
        ):
            given[kind] += math.isfinite(half)
            right[kind] += abs(off) < half  # NaN compares False
    return given / n_runs, right / np.maximum(given, 1.0)


@pytest.mark.parametrize("n_memories", [3, 6])
def test_a_few_memories_give_no_interval(n_memories):
    given, _ = intervals(n_memories, 300, seed=1)
    assert np.all(given <= 0.01)  # measured with 4000 runs: 0.003 at most


def test_half_of_what_is_needed_rarely_gives_one():
    given, right = intervals(12, 500, seed=2)
    # 0.03 with 4000 runs, 3 binomial sigma of 500 are 0.023
    assert np.all(given <= 0.055)
    # wrong ones among all runs: a series is called quiet by chance, and then its interval is short
    assert np.all(given * (1.0 - right) <= 0.02)


@pytest.mark.parametrize(
    ("n_memories", "least", "most"), [(25, 0.50, 0.75), (50, 0.95, 1.0), (200, 0.95, 1.0)]
)
def test_intervals_that_are_given_hold_the_truth(n_memories, least, most):
    """95 % +- 3 binomial sigma (1.0 % each of 500, 1.2 % of the two thirds at 25)."""
    given, right = intervals(n_memories, 500, seed=n_memories)
    assert np.all((given >= least) & (given <= most))
    assert np.all((right >= 0.915) & (right <= 0.985))


@pytest.mark.parametrize(("duration_ps", "memory_ps"), [(50.0, 1.0), (100.0, 2.0)])
def test_a_slow_part_of_small_amplitude_is_seen(duration_ps, memory_ps):
    """A fifth of the variance, and nearly all of Gamma; 50 memories of it."""
    rng = np.random.default_rng(5)
    n_samples = round(duration_ps / 0.004)
    means = [mean_of(two_part(rng, n_samples, memory_ps)) for _ in range(500)]
    found = [mean for mean in means if math.isfinite(mean.error)]
    assert len(found) > 0.85 * len(means)  # 0.92 of 4000
    # 94.6 % of 4000; 3 binomial sigma of 460 are 3.1 %
    right = np.mean([abs(mean.value) < mean.half_width(0.95) for mean in found])
    assert 0.915 <= right <= 0.98


@pytest.mark.parametrize("memory_ps", [1.0, 2.0])
def test_a_slow_part_that_a_run_holds_a_few_times_gives_no_interval_in_most_runs(memory_ps):
    """Ten picoseconds.  The window of automatic length and blocks gave one to all."""
    rng = np.random.default_rng(6)
    found = [mean_of(two_part(rng, 2500, memory_ps)).error for _ in range(300)]
    assert np.mean(np.isfinite(found)) < 0.22  # 0.13 of 4000 for 1 ps, 3 sigma of 300 are 0.06


@pytest.mark.parametrize("inefficiency", [1.0, 10.0, 60.0])
def test_inefficiency_is_that_of_ar1_and_near_emcees(inefficiency):
    series = ar1(np.random.default_rng(2), 200_000, inefficiency)
    found = long_run(series - series.mean())
    # 195 powers are averaged or more: relative error sqrt(2/195) = 10 %, three of them
    assert found.inefficiency == pytest.approx(inefficiency, rel=0.3)
    assert found.n_independent == pytest.approx(200_000 / found.inefficiency, rel=1e-12)
    theirs = float(integrated_time(series, c=5, tol=0)[0])  # to 5 % itself
    assert found.inefficiency == pytest.approx(max(theirs, 1.0), rel=0.35)


@pytest.mark.parametrize("n_samples", [100, 1000, 20_000])
def test_white_noise_has_an_interval(n_samples):
    rng = np.random.default_rng(3)
    found = [mean_of(rng.normal(size=n_samples)) for _ in range(100)]
    with_one = [mean for mean in found if math.isfinite(mean.error)]
    assert len(with_one) >= 94  # 99 %; 3 binomial sigma are 3
    assert np.mean([mean.error for mean in with_one]) == pytest.approx(
        n_samples**-0.5, rel=0.2
    )  # samples count as independent at least, which widens the errors of short series by 10 %


def test_anticorrelated_samples_count_as_independent():
    assert long_run(np.tile([1.0, -1.0], 500)).inefficiency == 1.0


def test_few_samples_have_no_spectrum():
    found = long_run(np.random.default_rng(4).normal(size=15))
    assert (found.memories, found.enough, found.reason) == (0.0, False, TOO_SHORT)


def test_what_is_left_of_rounding_is_a_constant():
    value = np.full(100, 1e6) + 1e-10 * np.random.default_rng(5).normal(size=100)
    found = long_run(value - value.mean(), scale=1e6)
    assert (found.variance, found.memories) == (0.0, math.inf)
    assert long_run(value - value.mean()).variance > 0.0  # where nothing says that it is rounding


def test_many_series_share_one_memory():
    rng = np.random.default_rng(6)
    white = rng.normal(size=(64, 40)) * np.arange(40)  # the first doesn't move
    variances, memories = long_runs(white - white.mean(axis=0))
    assert memories >= ENOUGH
    # B >= 6 powers each: relative error 0.6, of the mean of 39 series 0.1
    assert np.mean(variances[1:] / np.arange(1, 40) ** 2) == pytest.approx(1.0, abs=0.3)
    assert variances[0] == 0.0
    slow = np.array([ar1(rng, 64, 10.0) for _ in range(40)]).T
    assert long_runs(slow - slow.mean(axis=0))[1] < ENOUGH  # 6 memories
    assert long_runs(np.zeros((64, 3)))[1] == math.inf
