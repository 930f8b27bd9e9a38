"""Error bars of correlated samples, against what is known of AR(1) noise."""

import math

import numpy as np
import pytest
from emcee.autocorr import integrated_time
from scipy.signal import lfilter

from ncforce_ipi.analysis.statistics import (
    _windowed,
    autocovariance,
    block_error,
    half_width_95,
    long_run,
    mean_of,
    with_error,
)
from ncforce_ipi.errors import InputError


def ar1(rng: np.random.Generator, n_samples: int, inefficiency: float) -> np.ndarray:
    """Stationary AR(1) noise whose g = (1 + a)/(1 - a) is ``inefficiency``."""
    a = (inefficiency - 1.0) / (inefficiency + 1.0)
    n_settle = int(20 * inefficiency)
    return lfilter([1.0], [1.0, -a], rng.normal(size=n_samples + n_settle))[n_settle:]


def test_autocovariance_is_the_direct_sum():
    series = np.random.default_rng(1).normal(size=37)
    direct = [series[: 37 - k] @ series[k:] / 37 for k in range(37)]
    np.testing.assert_allclose(autocovariance(series), direct, atol=1e-14)  # rounding of the FFT


@pytest.mark.parametrize("inefficiency", [1.0, 10.0, 60.0])
def test_inefficiency_of_ar1(inefficiency):
    series = ar1(np.random.default_rng(2), 200_000, inefficiency)
    found = long_run(series - series.mean())
    # relative error sqrt(2 (2W + 1)/N), W = 5 tau: 5.5 % at g = 60, doubled
    assert found.inefficiency == pytest.approx(inefficiency, rel=0.11)
    assert found.n_independent == pytest.approx(200_000 / inefficiency, rel=0.13)


@pytest.mark.parametrize("n_samples", [50, 1000, 20_000])
@pytest.mark.parametrize("inefficiency", [1.0, 3.0, 20.0, 60.0])
def test_inefficiency_is_emcees_but_for_the_correction(n_samples, inefficiency):
    series = ar1(np.random.default_rng(n_samples), n_samples, inefficiency)
    series -= series.mean()
    theirs = float(integrated_time(series, c=2.5, tol=0)[0])
    found, _ = _windowed(series, 0)
    assert found.inefficiency == pytest.approx(max(theirs, 1.0), rel=1e-12)  # rounding of the FFT
    # a fit and blocks only ever make it longer
    assert _windowed(series, 2)[0].inefficiency >= found.inefficiency
    assert long_run(series, 0).inefficiency >= found.inefficiency


def test_correction_widens_the_intervals_of_a_line_through_a_short_series():
    """50 memories, 500 repeats: near 95 % with it, and fewer without."""
    rng = np.random.default_rng(7)
    time = np.arange(1000.0) - 499.5
    inside = np.zeros(2)
    for _ in range(500):
        series = ar1(rng, 1000, 20.0)
        slope = time @ series / (time @ time)
        residuals = series - series.mean() - slope * time
        for kind, n_fitted in enumerate((2, 0)):
            spread = long_run(residuals, n_fitted=n_fitted)
            error = math.sqrt(spread.variance / (time @ time))
            inside[kind] += abs(slope) < half_width_95(error, 1000 / spread.inefficiency - 2)
    assert 0.91 <= inside[0] / 500 <= 0.98  # 95 %, the estimate of g takes 2 %; binomial 1 %
    assert inside[1] < inside[0] - 5


def test_a_slow_part_of_small_amplitude_is_seen():
    """As T of one species under a global thermostat: 14 % of the variance, 86 % of Gamma.

    The window alone has a third of Gamma, so that its 95 % intervals hold the truth in 75 %.
    """
    rng = np.random.default_rng(5)
    inside, alone = 0, 0
    for _ in range(200):
        series = sum(
            spread * 2 * math.sqrt(g) / (g + 1) * ar1(rng, 20_000, g)
            for spread, g in ((20.0, 15.0), (8.0, 600.0))
        )
        mean = mean_of(series)
        inside += abs(mean.value) < half_width_95(mean.error, mean.n_independent - 1)
        window, _ = _windowed(series - series.mean(), 1)
        alone += abs(mean.value) < 1.96 * math.sqrt(window.variance / len(series))
    assert inside / 200 >= 0.88  # 95 % less what the estimate of Gamma takes; binomial 1.5 %
    assert alone / 200 < 0.82


def test_blocks_hardly_widen_errors_of_simple_noise():
    """They are taken by chance in one series of twenty or thirty."""
    rng = np.random.default_rng(6)
    ratios = []
    for _ in range(200):
        series = ar1(rng, 20_000, 3.0)
        series -= series.mean()
        ratios.append(long_run(series).variance / _windowed(series, 1)[0].variance)
    assert min(ratios) == 1.0
    assert np.median(ratios) == 1.0
    assert np.mean(ratios) < 1.1


def test_error_of_the_mean_covers_the_truth():
    rng = np.random.default_rng(3)
    n_repeats = 400
    z = [abs(m.value) / m.error for m in (mean_of(ar1(rng, 2000, 20.0)) for _ in range(n_repeats))]
    # 68.3 % within one error; 3 binomial sigma are 7 %, the estimate of g at N/g = 100 takes 1 %
    assert np.mean(np.array(z) < 1.0) == pytest.approx(0.683, abs=0.08)


def test_interval_of_the_mean_covers_the_truth_in_95_per_cent():
    """500 repeats of noise with g = 20: 95 % +- 3 binomial sigma (1 % each)."""
    rng = np.random.default_rng(17)
    inside = 0
    for _ in range(500):
        mean = mean_of(300.0 + 7.0 * ar1(rng, 4000, 20.0))
        inside += abs(mean.value - 300.0) < half_width_95(mean.error, mean.n_independent - 1)
    assert 0.92 <= inside / 500 <= 0.98


def test_anticorrelated_samples_count_as_independent():
    found = long_run(np.tile([1.0, -1.0], 500))
    assert found.inefficiency == 1.0


def test_series_as_long_as_its_memory_has_no_error():
    result = mean_of(np.linspace(0.0, 1.0, 100))
    assert result.value == pytest.approx(0.5)
    assert math.isnan(result.error)


def test_constant_has_no_spread():
    result = mean_of(np.full(50, 7.0))
    assert (result.value, result.error) == (7.0, 0.0)


def test_single_sample_has_no_error():
    assert math.isnan(mean_of(np.array([1.0])).error)


def test_block_error_of_equal_blocks_is_the_standard_error():
    blocks = np.random.default_rng(4).normal(size=(9, 3))
    expected = blocks.std(axis=0, ddof=1) / 3.0
    np.testing.assert_allclose(block_error(blocks, np.full(9, 5.0)), expected, rtol=1e-12)


def test_one_block_has_no_error():
    assert np.isnan(block_error(np.ones((1, 4)), np.ones(1))).all()


def test_interval_is_students():
    assert half_width_95(1.0, 4.0) == pytest.approx(2.7764, abs=1e-4)  # table value
    assert half_width_95(1.0, 1e9) == pytest.approx(1.95996, abs=1e-5)
    assert math.isnan(half_width_95(1.0, 0.0))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.12345, 0.0456, "0.123 +- 0.046"),
        (26787.3, 31418.0, "27000 +- 31000"),
        (1.0, 0.0, "1 +- 0"),
        (300.0, 7.1, "300.0 +- 7.1"),
        (3.333e-11, 4.5e-12, "3.33e-11 +- 4.5e-12"),
    ],
)
def test_numbers_show_two_digits_of_their_error(value, error, text):
    assert with_error(value, error) == text


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_values_are_refused(bad):
    with pytest.raises(InputError, match=r"sample 2 of 4; expected finite"):
        mean_of(np.array([1.0, 2.0, bad, 3.0]))


def test_no_samples_are_refused():
    with pytest.raises(InputError, match="at least one sample"):
        mean_of(np.array([]))
