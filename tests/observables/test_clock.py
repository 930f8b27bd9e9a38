"""The time of a step, from printed times that are rounded."""

import numpy as np
import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import clock
from ncforce_ipi.reading.properties import Table

STEP_PS = 20 * 2.4188843265857e-5


def table(tmp_path, steps, time_ps, form="%16.8e"):
    values = np.column_stack([steps, [float(form % time) for time in time_ps]])
    return Table(tmp_path / "md.out", ("step", "time"), ("", "picosecond"), values)


@pytest.mark.parametrize("first", [0, 210_000, 20_000_000, 400_000_000])
def test_times_are_those_of_the_steps(tmp_path, first):
    """At 10 ns a step of 0.5 fs is half a unit of the last digit printed, and times repeat."""
    steps = first + np.arange(2000)
    one = table(tmp_path, steps, steps * STEP_PS)
    digit_ps = 10.0 ** (np.floor(np.log10(steps[-1] * STEP_PS)) - 8)
    # least squares of n times, each off by digit/sqrt(12): four sigma
    tolerance = 4 * digit_ps / np.sqrt(12) / (np.sqrt(2000.0**3 / 12) * STEP_PS)
    assert clock.step_fs(one) == pytest.approx(1e3 * STEP_PS, rel=tolerance + 1e-12)
    times_ps = clock.times_ps(one)
    assert np.ptp(np.diff(times_ps)) < 1e-12 * max(times_ps[-1], 1.0)  # even, to doubles' rounding
    assert times_ps == pytest.approx(steps * STEP_PS, abs=digit_ps)


def test_other_formats_round_more(tmp_path):
    steps = np.arange(0, 20_000, 10)
    one = table(tmp_path, steps, steps * 5e-4, "%.2f")  # two rows of three stand still
    assert clock.step_fs(one) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("change", [2.0, 0.5, 1.1])
def test_a_step_that_changes_is_refused(tmp_path, change):
    steps = np.arange(400)
    time_ps = np.cumsum(np.where(steps > 200, change, 1.0) * 5e-4)
    with pytest.raises(InputError, match="expected one time step: give the parts of the run one"):
        clock.step_fs(table(tmp_path, steps, time_ps))


def test_a_time_that_begins_again_is_refused(tmp_path):
    steps = np.arange(400)
    with pytest.raises(InputError, match=r"a step takes -0\.0995 to 0\.0005 fs"):
        clock.step_fs(table(tmp_path, steps, 5e-7 * (steps % 200)))


def test_without_times_those_of_another_file_count(tmp_path):
    values = np.array([[0.0], [10.0]])
    one = Table(tmp_path / "md.out", ("step",), ("",), values)
    assert clock.step_fs(one) is None
    assert clock.times_ps(one, 0.5).tolist() == [0.0, 0.005]
    with pytest.raises(InputError, match="no column 'time'"):
        clock.times_ps(one)


@pytest.mark.parametrize(("given_fs", "theirs_fs", "said"), [
    (4.0, 4.0, False), (4.0, 4.0004, False), (4.0, 2.0, True), (None, 2.0, False),
    (4.0, None, False),
])  # fmt: skip
def test_another_step_than_beside_the_file_is_said(tmp_path, caplog, given_fs, theirs_fs, said):
    clock.say_other(tmp_path / "md.vel_0.xyz", given_fs, theirs_fs)
    assert ("files beside it say steps of 2 fs; took --timestep-fs 4" in caplog.text) is said
