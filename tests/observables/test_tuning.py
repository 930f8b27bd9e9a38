"""The verdict on a scan over M."""

import json

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.tuning import recommend, verdicts
from tests.observables.test_comparison import write

TOLERANCE = 0.5


def scan(folder, drifts, **changes):
    """Runs with these drifts (meV/atom/ps) by M; the slow-only one drifts by 0.01."""
    runs = [write(folder / "slow", "slow", 1, drift=0.01), write(folder / "fast", "fast", 1)]
    runs += [
        write(folder / f"mts{m}", "mts", m, drift=drift, **changes.get(f"mts{m}", {}))
        for m, drift in drifts.items()
    ]
    return verdicts(runs, TOLERANCE)


def test_good_ones_up_to_the_first_that_heats(tmp_path):
    found = scan(tmp_path, {4: 0.02, 2: 0.01, 8: 3.0, 6: 0.1})
    assert [(v.mts, v.answer) for v in found] == [(2, "good"), (4, "good"), (6, "good"), (8, "bad")]
    assert recommend(found) == 6
    # the interval holds the truth 19 times in 20; seeds are fixed and twice it always does
    assert found[3].excess == pytest.approx(2.99, abs=2 * found[3].ci95)


def test_a_larger_one_that_happens_to_be_good_does_not_count(tmp_path):
    """Resonances are not monotonic."""
    found = scan(tmp_path, {4: 0.0, 8: 5.0, 10: 0.0})
    assert [v.answer for v in found] == ["good", "bad", "good"]
    assert recommend(found) == 4


def test_a_wide_interval_is_no_verdict(tmp_path):
    found = scan(tmp_path, {4: 0.52})
    assert abs(found[0].excess - TOLERANCE) < found[0].ci95
    assert found[0].answer == "open"
    assert recommend(found) is None


def test_a_run_that_was_stopped_is_bad(tmp_path):
    found = scan(tmp_path, {2: 0.0, 4: 0.0}, mts4={"state": "stopped"})
    assert [v.answer for v in found] == ["good", "bad"]


def test_a_scan_needs_its_reference(tmp_path):
    with pytest.raises(InputError, match="no slow-only run"):
        verdicts([write(tmp_path / "mts4", "mts", 4)], TOLERANCE)


def test_files_are_plain_numbers(tmp_path):
    from ncforce_ipi.cli.tune import _record, _text

    found = scan(tmp_path, {2: 0.0, 4: 0.0}, mts4={"state": "stopped"})
    record = json.loads(json.dumps(_record(found, 2, TOLERANCE), allow_nan=False))
    assert record["recommended_mts"] == 2
    assert record["scan"][1]["excess_drift_meV_per_atom_per_ps"] is None
    text = _text(found, 2, TOLERANCE)
    assert "take M = 2: it and every smaller M" in text
    assert "4   the run was stopped" in text
