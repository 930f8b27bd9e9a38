"""The slope and its interval: a line of known slope under noise of known memory."""

import math

import numpy as np
import pytest

from ncforce_ipi.analysis.drift import (
    GIGAKELVIN_PER_S_PER_K_PER_PS,
    before_runaway,
    fit_drift,
)
from ncforce_ipi.analysis.statistics import long_run
from ncforce_ipi.errors import InputError

from .test_statistics import ar1

TIME_PS = 0.004 * np.arange(2000)


def test_line_without_noise_is_found_exactly():
    drift = fit_drift(TIME_PS, -5000.0 + 0.25 * TIME_PS)
    assert drift.slope == pytest.approx(0.25, rel=1e-9)  # rounding of 5000 in 8 ps: 1e-12/0.25
    assert drift.start == pytest.approx(-5000.0, rel=1e-12)
    assert drift.ci95 < 1e-9
    np.testing.assert_allclose(drift.at(TIME_PS), -5000.0 + 0.25 * TIME_PS, rtol=1e-12)


def test_interval_covers_the_true_slope():
    """200 repeats; 95 % +- 3 binomial sigma (1.5 % each) is 90.4 to 99.6 %.

    N/g = 50 independent samples, as of a temperature with a memory of 0.1 ps in 5 ps; the estimate
    of g from so few costs about 1 % of the coverage (measured with 1000 repeats).
    """
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(200):
        drift = fit_drift(TIME_PS, 300.0 + 3.0 * TIME_PS + 8.0 * ar1(rng, 2000, 40.0))
        inside += abs(drift.slope - 3.0) < drift.ci95
    assert 0.90 <= inside / 200 <= 0.996


def test_an_interval_blind_to_memory_would_not_cover():
    """The same with the errors taken as independent: the test above can fail."""
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(200):
        drift = fit_drift(TIME_PS, 300.0 + 3.0 * TIME_PS + 8.0 * ar1(rng, 2000, 40.0))
        naive = drift.ci95 * math.sqrt(drift.n_independent / drift.n_samples)
        inside += abs(drift.slope - 3.0) < naive
    assert inside / 200 < 0.5


def test_both_parameters_of_the_line_are_accounted_for():
    value = 300.0 + 3.0 * TIME_PS + ar1(np.random.default_rng(13), 2000, 40.0)
    drift = fit_drift(TIME_PS, value)
    residuals = value - drift.at(TIME_PS)
    assert drift.n_independent == pytest.approx(long_run(residuals, 2).n_independent, rel=1e-9)
    assert drift.n_independent < 0.98 * long_run(residuals, 1).n_independent


def test_slope_is_found_within_its_interval_and_called_significant():
    noise = ar1(np.random.default_rng(12), 2000, 10.0)
    steep = fit_drift(TIME_PS, 300.0 + 7.0 * TIME_PS + noise)
    assert abs(steep.slope - 7.0) < 1.5 * steep.ci95
    assert steep.significant
    assert not fit_drift(TIME_PS, 300.0 + noise).significant


def test_curve_has_a_slope_but_no_interval():
    drift = fit_drift(TIME_PS, np.exp(0.3 * TIME_PS))
    assert drift.slope > 0.0
    assert math.isnan(drift.ci95)
    assert not drift.significant


def test_other_unit():
    drift = fit_drift(TIME_PS, 2.0 * TIME_PS + ar1(np.random.default_rng(5), 2000, 4.0))
    other = drift.scaled(-1000.0)
    assert (other.slope, other.ci95) == (-1000.0 * drift.slope, 1000.0 * drift.ci95)
    # 7 K/ps is the paper's 7,000 billion degrees per second
    assert pytest.approx(7000.0) == 7.0 * GIGAKELVIN_PER_S_PER_K_PER_PS


def test_fit_ends_before_the_runaway():
    temperature_K = np.where(TIME_PS < 4.0, 300.0 + 10.0 * TIME_PS, 300.0 + 500.0 * TIME_PS)
    calm = before_runaway(temperature_K, 300.0)
    assert calm.sum() == 1000
    assert fit_drift(TIME_PS, temperature_K, up_to=calm).slope == pytest.approx(10.0)


def test_runaway_never_comes_back():
    calm = before_runaway(np.array([300.0, 440.0, 460.0, 300.0, np.nan]), 300.0)
    assert calm.tolist() == [True, True, False, False, False]
    assert before_runaway(np.array([300.0, np.nan, 300.0]), 300.0).tolist() == [True, False, False]


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="9 samples; expected at least 10"):
        fit_drift(TIME_PS[:9], TIME_PS[:9])
    with pytest.raises(InputError, match="20 values for 21 times"):
        fit_drift(TIME_PS[:21], TIME_PS[:20])
    with pytest.raises(InputError, match="expected rising and even"):
        fit_drift(np.r_[TIME_PS[:15], TIME_PS[:15]], np.zeros(30))
    with pytest.raises(InputError, match="value is nan at sample 3"):
        fit_drift(TIME_PS[:20], np.where(np.arange(20) == 3, np.nan, 1.0))
