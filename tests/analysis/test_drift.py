"""The slope and its interval: a line of known slope under noise of known memory."""

import math

import numpy as np
import pytest

from ncforce_ipi.analysis.drift import (
    GIGAKELVIN_PER_S_PER_K_PER_PS,
    LAMBENCH_CODE_MEV_PER_ATOM_PER_PS,
    Drift,
    fit_drift,
    tolerances,
)
from ncforce_ipi.analysis.longrun import TOO_SHORT, long_run
from ncforce_ipi.analysis.runaway import before_runaway
from ncforce_ipi.errors import InputError

from .test_longrun import ar1

TIME_PS = 0.004 * np.arange(2000)


def test_line_without_noise_is_found_exactly():
    drift = fit_drift(TIME_PS, -5000.0 + 0.25 * TIME_PS)
    assert drift.slope == pytest.approx(0.25, rel=1e-9)  # rounding of 5000 in 8 ps: 1e-12/0.25
    assert drift.start == pytest.approx(-5000.0, rel=1e-12)
    assert drift.ci95 < 1e-9
    np.testing.assert_allclose(drift.at(TIME_PS), -5000.0 + 0.25 * TIME_PS, rtol=1e-12)


def test_an_interval_blind_to_memory_would_not_cover():
    """Coverage is tested in `test_longrun`; with the samples taken as independent it is gone."""
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
    # the lowest cosine is the line itself, and nothing is left of it: it would count as quiet
    assert drift.n_independent < long_run(residuals, 1).n_independent


def test_slope_is_found_within_its_interval_and_called_significant():
    noise = ar1(np.random.default_rng(12), 2000, 10.0)
    steep = fit_drift(TIME_PS, 300.0 + 7.0 * TIME_PS + noise)
    assert abs(steep.slope - 7.0) < 1.5 * steep.ci95
    assert steep.significant
    assert not fit_drift(TIME_PS, 300.0 + noise).significant


@pytest.mark.parametrize("memory", [7.0, 70.0, 350.0, math.inf])  # samples; of 700
def test_interval_of_a_short_run_holds_the_slope(memory):
    """Noise that remembers a hundredth of the run to all of it, and a random walk."""
    rng = np.random.default_rng(15)
    time_ps = 0.004 * np.arange(700)
    inside = n_found = 0
    for _ in range(300):
        noise = (
            np.cumsum(rng.normal(size=700)) if math.isinf(memory) else ar1(rng, 700, 2.0 * memory)
        )
        found = fit_drift(time_ps, 3.0 * time_ps + noise, always=True)
        n_found += math.isfinite(found.ci95)
        inside += abs(found.slope - 3.0) <= found.ci95
    assert n_found == 300
    # 95 % of 300 are 285 +- 4; the interval of parts is wider
    assert inside >= 285 - 3 * 4


def test_a_swing_that_fits_into_the_parts_is_no_certain_slope():
    """Ten periods in the run, two in each fifth: their slopes alone would all be the same."""
    swing = np.sin(np.linspace(0.0, 20.0 * np.pi, 700))
    found = fit_drift(0.004 * np.arange(700), swing, always=True)
    assert abs(found.slope) < 0.5 * found.ci95


def test_curve_has_a_slope_but_no_interval():
    drift = fit_drift(TIME_PS, np.exp(0.3 * TIME_PS))
    assert drift.slope > 0.0
    assert math.isnan(drift.ci95)
    assert not drift.significant
    assert drift.text("K/ps") == f"{drift.slope:.3g} K/ps (no error bar: {TOO_SHORT})"


def test_curve_has_a_wide_interval_if_one_is_asked_for():
    drift = fit_drift(TIME_PS, np.exp(0.3 * TIME_PS), always=True)
    # slopes at the two ends
    assert drift.slope - drift.ci95 < 0.3 * math.exp(0.3) * 2.0
    assert drift.slope + drift.ci95 > 0.2 * math.exp(0.3 * 8.0)
    assert drift.reason == ""


def test_few_samples_have_no_interval():
    noise = ar1(np.random.default_rng(16), 28, 40.0)
    drift = fit_drift(TIME_PS[:27], noise[:27], always=True)
    assert math.isnan(drift.ci95)
    assert drift.text("K/ps") == f"{drift.slope:.3g} K/ps (no error bar: {TOO_SHORT})"
    assert math.isfinite(fit_drift(TIME_PS[:28], noise, always=True).ci95)


@pytest.mark.parametrize("value", [0.0, 7.0, 300.1, -4682.123])
def test_constant_has_no_slope(value):
    drift = fit_drift(TIME_PS, np.full(2000, value))
    assert (drift.slope, drift.ci95, drift.significant) == (0.0, 0.0, False)
    assert drift.text("K/ps") == "0 K/ps (constant)"
    kept = tolerances(drift, 0.0)  # of one atom's frozen kinetic energy, too
    assert (kept.lambench, kept.mlipaudit) == ("passes", "open")


def at(slope: float, ci95: float, end_ps: float = 25.0) -> Drift:
    return Drift(slope, ci95, 0.0, 0.0, end_ps, 1000, 100.0)


@pytest.mark.parametrize(
    ("slope", "ci95", "lambench", "coded"),
    [
        (0.02, 0.01, "passes", "passes"),
        (-0.3, 0.1, "passes", "fails"),
        (0.45, 0.1, "open", "fails"),
        (-0.55, 0.1, "open", "fails"),
        (0.7, 0.1, "fails", "fails"),
        (0.001, math.nan, "open", "open"),
        (0.6, math.nan, "open", "fails"),
        (5.1, math.nan, "fails", "fails"),
    ],
)
def test_a_tolerance_is_kept_or_not_by_all_of_the_interval(slope, ci95, lambench, coded):
    kept = tolerances(at(slope, ci95), 10.0)
    assert (kept.lambench, kept.lambench_code) == (lambench, coded)
    assert kept.lines()[0].startswith(f"LAMBench: {lambench} ")


def test_what_lambenchs_code_makes_of_its_tolerance():
    """Its slope over times in ASE's unit, times 1000, called eV/atom/ps."""
    from ase.units import fs

    time = np.arange(1001) * 1.0 * fs  # a step of 1 fs
    energy = 1e-3 * LAMBENCH_CODE_MEV_PER_ATOM_PER_PS * 1e-3 * np.arange(1001)  # eV/atom
    slope = np.polyfit(time, energy, 1)[0]
    # ASE's fs is of CODATA 2014, ours of 2022
    assert 1000.0 * slope == pytest.approx(5e-4, rel=1e-7)


def test_mlipaudits_ratio_is_that_of_fifty_picoseconds():
    kept = tolerances(at(-0.1, 0.02, end_ps=25.0), 4.0)
    assert kept.ratio == pytest.approx(0.1 * 25.0 / 4.0)
    assert kept.ratio_50_ps == pytest.approx(2.0 * kept.ratio)
    assert kept.mlipaudit == "open"  # 1.25 +- 0.25, where 0.62 in the run itself would pass
    assert tolerances(at(0.1, 0.01), 4.0).mlipaudit == "fails"
    assert "0.62 over this run's 25 ps" in kept.lines()[1]
    assert kept.numbers()["drift_over_sigma_kinetic_in_50_ps"] == kept.ratio_50_ps


def test_other_unit():
    drift = fit_drift(TIME_PS, 2.0 * TIME_PS + ar1(np.random.default_rng(5), 2000, 4.0))
    other = drift.scaled(-1000.0)
    assert (other.slope, other.ci95) == (-1000.0 * drift.slope, 1000.0 * drift.ci95)
    # 7 K/ps is the paper's 7,000 billion degrees per second
    assert pytest.approx(7000.0) == 7.0 * GIGAKELVIN_PER_S_PER_K_PER_PS


def test_fit_ends_before_the_runaway():
    temperature_K = np.where(TIME_PS < 4.0, 300.0 + 10.0 * TIME_PS, 300.0 + 500.0 * TIME_PS)
    calm = before_runaway(temperature_K, None, 300.0)
    assert calm.sum() == 1000
    assert fit_drift(TIME_PS, temperature_K, up_to=calm).slope == pytest.approx(10.0)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="9 samples; expected at least 10"):
        fit_drift(TIME_PS[:9], TIME_PS[:9])
    with pytest.raises(InputError, match="20 values for 21 times"):
        fit_drift(TIME_PS[:21], TIME_PS[:20])
    with pytest.raises(InputError, match="expected rising and even"):
        fit_drift(np.r_[TIME_PS[:15], TIME_PS[:15]], np.zeros(30))
    with pytest.raises(InputError, match="value is nan at sample 3"):
        fit_drift(TIME_PS[:20], np.where(np.arange(20) == 3, np.nan, 1.0))


def test_times_of_eight_digits_are_even():
    """Steps of 20 atomic units, 0.484 fs, around 100 ps: i-PI writes 1e-6 ps."""
    exact_ps = 100.0 + 20.0 * 2.4188843e-5 * np.arange(500)
    written_ps = np.array([float(f"{time:.8e}") for time in exact_ps])
    assert np.ptp(np.diff(written_ps)) > 1e-3 * 4.84e-4
    noise = np.random.default_rng(14).normal(size=500)
    found, exact = (fit_drift(time, 3.0 * exact_ps + noise) for time in (written_ps, exact_ps))
    assert found.slope == pytest.approx(exact.slope, abs=1e-2 * exact.ci95)
    with pytest.raises(InputError, match="expected rising and even"):
        fit_drift(np.delete(written_ps, 250), noise[:499])
