"""Numbers that aren't Python's own."""

import numpy as np
import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.numbers import real_number, whole_number


@pytest.mark.parametrize("value", [8, 8.0, np.int64(8), np.float32(8), np.array(8)])
def test_whole_numbers(value):
    found = whole_number(value, "mts")
    assert (type(found), found) == (int, 8)


@pytest.mark.parametrize("value", [8.5, "8", None, [8], np.nan, np.inf, np.array([8, 9])])
def test_what_is_no_whole_number(value):
    with pytest.raises(InputError, match="mts: expected a whole number, got "):
        whole_number(value, "mts")


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5)])
def test_numbers(value):
    found = real_number(value, "x")
    assert (type(found), found) == (float, 0.5)


@pytest.mark.parametrize("value", ["0.5", None, [300.0, 320.0]])
def test_what_is_no_number(value):
    with pytest.raises(InputError, match="temperature_K: expected a number, got "):
        real_number(value, "temperature_K")
