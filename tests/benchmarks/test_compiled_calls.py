"""Calls of two models in turns: the structure, the forces that are asked for, and the ratio."""

import numpy as np
import pytest

from ncforce_ipi.backend import Backend
from ncforce_ipi.drivers import analytic


@pytest.fixture
def compiled_calls(script):
    return script("compiled_calls")


class Counted(Backend):
    """A model that takes as many milliseconds of the processor as it is told."""

    def __init__(self, clock, ms):
        self._model, self._clock, self._ms = analytic.load("harmonic"), clock, ms
        self.seen = []

    def evaluate(self, structure, wanted):
        self.seen.append((structure.positions.copy(), wanted))
        self._clock[0] += 1e-3 * self._ms
        return self._model.evaluate(structure, wanted)


def test_a_structure_is_repeated_or_cut(compiled_calls):
    whole = compiled_calls.start_structure("water", 2, None)
    one = compiled_calls.start_structure("water", 1, 12)
    assert (len(whole.numbers), len(one.numbers)) == (1536, 12)
    np.testing.assert_allclose(whole.cell, 2.0 * one.cell, rtol=1e-15)  # a product of two floats
    np.testing.assert_array_equal(whole.positions[:12], one.positions)


def test_both_are_called_at_the_same_positions_that_change(compiled_calls, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.process_time", lambda: clock[0])
    plain, fast = Counted(clock, 30.0), Counted(clock, 10.0)
    at = compiled_calls.start_structure("water", 1, 6)
    row = compiled_calls.measure(plain, fast, at, "slow", 3)
    assert (row["atoms"], row["call"], row["why not"]) == (6, "slow", "")
    assert row["as it is"] == pytest.approx(30.0, rel=1e-9)  # differences of sums of some ms
    assert row["compiled"] == pytest.approx(10.0, rel=1e-9)
    assert [row[name] for name in ("ratio", "from", "to")] == pytest.approx([3.0] * 3, rel=1e-9)
    assert len(plain.seen) == 3
    assert len(fast.seen) == 4, "one more, first, which would compile"
    for (a, wanted), (b, the_same) in zip(plain.seen, fast.seen[1:], strict=True):
        np.testing.assert_array_equal(a, b)
        assert wanted == the_same
    assert (plain.seen[0][0] != plain.seen[1][0]).all()
