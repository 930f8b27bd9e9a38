"""Means and blocks with their errors, and how numbers are written."""

import math

import numpy as np
import pytest

from ncforce_ipi.analysis.longrun import TOO_SHORT
from ncforce_ipi.analysis.statistics import (
    Mean,
    block_error,
    combine,
    half_width_95,
    mean_of,
    mean_of_slopes,
    number_text,
    remembering_error,
    with_error,
)
from ncforce_ipi.errors import InputError

from .test_longrun import ar1


def test_series_as_long_as_its_memory_has_no_error():
    result = mean_of(np.linspace(0.0, 1.0, 100))
    assert result.value == pytest.approx(0.5)
    assert math.isnan(result.error)
    assert result.reason == TOO_SHORT
    assert result.text("K") == f"0.5 K (no error bar: {TOO_SHORT})"


@pytest.mark.parametrize("value", [7.0, 300.1, 0.0])
def test_constant_has_no_spread(value):
    result = mean_of(np.full(50, value))
    assert (result.value, result.error) == (pytest.approx(value, rel=1e-15), 0.0)
    assert result.half_width(0.95) == 0.0
    assert result.text("K") == f"{value:g} K (constant)"


def test_single_sample_has_no_error():
    assert math.isnan(mean_of(np.array([1.0])).error)


def test_block_error_of_equal_blocks_is_the_standard_error():
    blocks = np.random.default_rng(4).normal(size=(9, 3))
    expected = blocks.std(axis=0, ddof=1) / 3.0
    np.testing.assert_allclose(block_error(blocks, np.full(9, 5.0)), expected, rtol=1e-12)


def test_one_block_has_no_error():
    assert np.isnan(block_error(np.ones((1, 4)), np.ones(1))).all()


@pytest.mark.parametrize("n_blocks", [64, 128])
def test_blocks_that_remember_each_other_have_wider_errors_or_none(n_blocks):
    """Blocks of 1.3 or 2.6 memories, 50 in all, where `block_error` is too small by a third."""
    rng = np.random.default_rng(8)
    ratios, plain = [], []
    for _ in range(100):
        series = np.array([ar1(rng, 64 * n_blocks, 64 * n_blocks / 50) for _ in range(4)]).T
        blocks = series.reshape(n_blocks, 64, 4).mean(axis=1)
        ratios.append(blocks.mean(axis=0) / remembering_error(blocks, np.ones(n_blocks)))
        plain.append(blocks.mean(axis=0) / block_error(blocks, np.ones(n_blocks)))
    # t-distributed with 12 degrees: 1.10; 400 ratios know it to 4 %
    assert np.sqrt(np.nanmean(np.square(ratios))) == pytest.approx(1.10, abs=0.15)
    assert np.isfinite(ratios).mean() > 0.9
    assert np.sqrt(np.mean(np.square(plain))) > 1.3


def test_few_or_slow_blocks_have_no_error():
    rng = np.random.default_rng(9)
    white = rng.normal(size=(64, 5))
    assert np.isfinite(remembering_error(white, np.ones(64))).all()
    assert np.isnan(remembering_error(white[:31], np.ones(31))).all()
    slow = np.array([ar1(rng, 64, 10.0) for _ in range(5)]).T  # 6 memories
    assert np.isnan(remembering_error(slow, np.ones(64))).all()


def test_a_number_without_an_error_says_why():
    assert number_text(1.5, 0.25, "K") == "1.50 +- 0.25 K"
    assert number_text(1.5, math.nan, "K", "no time") == "1.5 K (no error bar: no time)"
    assert number_text(1.5, math.nan) == "1.5 (no error bar: too few samples)"
    assert number_text(1003.4, math.nan) == "1003 (no error bar: too few samples)"
    assert number_text(-2.5e7, math.nan) == "-2.5e+07 (no error bar: too few samples)"
    assert number_text(12345.6, 0.0, "K") == "12346 K (constant)"


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


@pytest.mark.parametrize(
    ("values", "error", "expected"),
    [
        ((300.0, 301.0), 1.0, math.sqrt(0.5)),  # as their errors allow
        ((300.0, 301.0, 299.0), 1.0, math.sqrt(1 / 3)),
        ((278.9, 318.5), 1.2, 19.8),  # they don't: half their difference
        ((278.9, 305.0, 318.5), 1.2, 11.6),
        ((278.9, 318.5), math.nan, math.nan),
    ],
)
def test_two_or_three_replicas_that_contradict_each_other(values, error, expected):
    """Then their spread is the error, with one or two degrees of freedom."""
    found = combine([Mean(one, error, 50.0, 40.0) for one in values], [1.0] * len(values))
    assert found.value == pytest.approx(np.mean(values))
    assert found.error == pytest.approx(expected, rel=0.01, nan_ok=True)
    assert found.dof == (len(values) - 1 if expected > 2 else 40 * len(values))
    mean, half_width = mean_of_slopes(values, [2.0 * error] * len(values))
    assert mean == pytest.approx(np.mean(values))
    wide = half_width_95(expected, len(values) - 1) if expected > 2 else 2.0 * expected
    assert half_width == pytest.approx(wide, rel=0.01, nan_ok=True)


def test_chance_seldom_makes_replicas_contradict_each_other():
    rng = np.random.default_rng(3)
    for n in (2, 3):
        draws = rng.normal(size=(4000, n))
        wider = sum(
            combine([Mean(x, 1.0, 50.0, 40.0) for x in row], [1.0] * n).dof == n - 1
            for row in draws
        )
        assert wider <= 14  # 4 expected, of 4000
