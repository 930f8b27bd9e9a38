"""``ncforce tune`` looks at the length of its runs before it makes them."""

import math
from pathlib import Path

import pytest

from ncforce_ipi import cli
from ncforce_ipi.cli.tune import _record, _text
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.observables.tuning import Verdict, check_lengths, n_measured, recommend


def plans(time_ps, *ratios):
    """Slow only and MTS of these M, inner steps of 0.5 fs."""
    slow = Plan.from_time("slow", 1, 0.5, time_ps)
    return [slow, *(Plan.from_time("mts", m, 0.5, time_ps) for m in ratios)]


def test_ten_samples_are_enough():
    """0.08 ps are 10 outer steps of 8 fs, 11 rows of which the first is left out."""
    (_, largest) = plans(0.08, 16)
    assert n_measured(largest) == 10
    check_lengths([largest])


def test_a_ratio_that_is_too_large_says_the_time_that_suffices():
    with pytest.raises(InputError) as caught:
        check_lengths(plans(0.04, 2, 12, 16))
    assert str(caught.value) == (
        "0.04 ps is too short for a drift with M = 12, M = 16: 5 outer steps of 8 fs after the "
        "discarded start, expected 10 or more; give --time-ps 0.08"
    )
    check_lengths(plans(0.08, 2, 12, 16))


@pytest.mark.parametrize(
    "more",  # options of the fast model, which is in all runs but that of slow forces alone
    [(), ("--slow", "analytic:harmonic", "--driver-options=--compile")],
)
def test_nothing_is_run_before(tmp_path, monkeypatch, capsys, more):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tune", "water", "--time-ps", "0.04", "--out", "scan", *more]) == 2
    assert "too short for a drift with M = 10, M = 12, M = 16" in capsys.readouterr().err
    assert not Path("scan").exists()


def test_nothing_is_tuned_by_a_quantity_that_is_not_conserved(tmp_path, capsys):
    words = ["tune", "graphene", "--ensemble", "npt", "--out", str(tmp_path / "scan")]
    assert cli.main(words) == 2  # in-plane is the sheet's default
    assert "under --barostat in-plane i-PI has none" in capsys.readouterr().err
    assert not (tmp_path / "scan").exists()


def test_a_run_too_short_for_a_drift_is_open_and_written_as_null():
    found = [
        Verdict(2, 0.01, 0.02, 1.5, "good"),
        Verdict(16, math.nan, math.nan, None, "open"),
    ]
    assert recommend(found) == 2
    assert _record(found, 2, 0.5)["scan"][1]["excess_drift_meV_per_atom_per_ps"] is None
    (line,) = [line for line in _text(found, 2, 0.5).splitlines() if line.startswith("16")]
    assert "too short for a drift" in line
    assert line.endswith("run longer to tell")
