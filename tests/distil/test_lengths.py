"""Budgets: what is left of calls and time, and how long tests may be.  Without a model."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ncforce_ipi.distil import choices, lengths, rounds
from ncforce_ipi.distil.session import Session

from .made import session_of, trial


def test_minutes_alone_are_not_spent_by_calls(tmp_path, monkeypatch):
    """Of 60 minutes half are 3600 calls of 0.5 s, for the lengths of runs; only time is a limit."""
    session = session_of(tmp_path, monkeypatch, calls=3600, seconds=1800.0, minutes=60.0)
    assert (session.choices.calls, session.most_calls) == (3600, None)
    assert session.spent == 0.5
    assert session.affords(1000, 1200.0)  # 50 of the 51 minutes that aren't kept
    assert not session.affords(0, 1300.0)
    assert session.affords(0, 1300.0, all_of_it=True)
    assert not session.affords(0, 1900.0, all_of_it=True)


def test_calls_are_a_limit_where_they_are_given(tmp_path, monkeypatch):
    """15 % are kept, or one test at each system: 120 steps of 2 x 1000."""
    session = session_of(tmp_path, monkeypatch, calls=600, seconds=0.0, teacher_calls=1000)
    assert (session.most_calls, session.spent) == (1000, 0.6)
    assert session.affords(250, 1e6)  # there is no limit of time
    assert not session.affords(251, 0.0)
    assert session.affords(400, 0.0, all_of_it=True)
    both = session_of(
        tmp_path, monkeypatch, calls=600, seconds=0.0, teacher_calls=1000, minutes=60.0
    )
    assert (both.most_calls, both.affords(251, 0.0), both.affords(0, 1e6)) == (1000, False, False)


@pytest.mark.parametrize(
    "budget", [{"minutes": 60.0}, {"teacher_calls": 1000}, {"minutes": 60.0, "teacher_calls": 1000}]
)
def test_what_is_said_to_be_enough_for_another_round_is(tmp_path, monkeypatch, budget):
    """A round costs its training and its test, not the tests at other M that came after it."""
    spent = {"calls": 950, "seconds": 3500.0}
    session = session_of(tmp_path, monkeypatch, **spent, **budget)
    took = {"train": 900.0, "mts8-1-300K": 500.0, "mts4-1-300K": 9000.0}
    session.state.record["took_s"] = {f"round-01/{name}": s for name, s in took.items()}
    session.state.stages["round-01/train"] = {"fast_ms": 60.0}
    tested = trial(reference_ms_per_inner_step=500.0, ms_per_inner_step=125.0)
    session.state.stages["round-01/mts8-1-300K"] = tested.to_dict()
    calls, seconds = rounds._cost(session, 1)
    steps = lengths.asked(session, 60.0) + lengths.hot(session, 60.0)
    assert (calls, seconds) == (steps, pytest.approx(900.0 + steps * 8 * 0.125))
    assert not rounds._another(session, 1, first_free=1)
    said = rounds._why_no_more(session, 1)
    words = said.partition("hasn't; ")[2].split()
    named = {
        words[k][2:].replace("-", "_"): float(words[k + 1]) for k in range(0, 2 * len(budget), 2)
    }
    assert named.keys() == budget.keys()
    larger = session_of(
        tmp_path, monkeypatch, **spent, **{k: type(budget[k])(v) for k, v in named.items()}
    )
    assert larger.affords(calls, seconds)
    assert "as many as were chosen" in rounds._why_no_more(session, session.choices.rounds)


def test_a_test_takes_no_longer_than_a_training(tmp_path, monkeypatch):
    """A teacher of 0.5 s: 360 outer steps by calls, of which a training of 7.2 min has room for."""
    session = session_of(tmp_path, monkeypatch, calls=0, seconds=0.0, minutes=60.0)
    assert (session.choices.test_steps, session.choices.train_minutes) == (360, 7.2)
    assert lengths.asked(session, fast_ms=10.0) == 360
    assert lengths.asked(session, fast_ms=250.0) == int(432.0 / 2.5)
    assert lengths.asked(session, fast_ms=1e5) == 120  # fewer tell no drift
    assert lengths.hot(session, fast_ms=10.0) == 72
    assert lengths.hot(session, fast_ms=1e5) == 24
    by_calls = session_of(tmp_path, monkeypatch, calls=0, seconds=0.0, teacher_calls=3600)
    assert lengths.asked(by_calls, fast_ms=1e5) == by_calls.choices.test_steps


def test_tests_at_smaller_m_are_as_long_as_what_is_left(tmp_path, monkeypatch):
    """At M = 8 an outer step took 4.5 s, 0.5 of them slow; at M = 4 it will take 2.5."""
    found = trial(reference_ms_per_inner_step=500.0, ms_per_inner_step=4500.0 / 8)
    session = session_of(tmp_path, monkeypatch, calls=0, seconds=3000.0, minutes=60.0)
    assert lengths.outer_s(session, found, 4) == pytest.approx(2.5)
    assert lengths.outer_s(
        session, trial(reference_ms_per_inner_step=math.nan, ms_per_inner_step=4500.0 / 8), 4
    ) == pytest.approx(2.5)
    words = {"fast_ms": 500.0, "mts": 4}
    assert lengths.asked(session, 500.0) == 120
    assert lengths.another(session, found, all_of_it=True, **words) == 120
    assert lengths.another(session, found, all_of_it=False, **words) == 0  # 60 s of 51 min
    cheap = {"fast_ms": 1.0, "mts": 4}
    assert lengths.asked(session, 1.0) == 360
    assert lengths.another(session, found, all_of_it=True, **cheap) == 240  # of 600 s


def test_tests_at_smaller_m_without_a_limit_of_time(tmp_path, monkeypatch):
    session = session_of(tmp_path, monkeypatch, calls=1000, seconds=1e9, teacher_calls=1200)
    found = trial(reference_ms_per_inner_step=500.0, ms_per_inner_step=math.nan)
    steps = lengths.another(session, found, fast_ms=1.0, mts=4, all_of_it=True)
    assert steps == session.choices.test_steps <= 200


@pytest.mark.parametrize(
    ("passing", "tested", "largest"),
    [
        ({8}, [16, 4], 8),
        ({8, 16}, [16, 4], 16),
        ({4}, [4, 6], 4),
        ({4, 6}, [4, 6], 6),
        ({2, 3}, [4, 2, 3], 3),
        (set(), [4, 2], 0),
    ],
)
def test_which_m_are_tested(tmp_path, monkeypatch, passing, tested, largest):
    """Halves first: with little time a pair is worth more than the largest M."""
    session = session_of(tmp_path, monkeypatch, calls=0, seconds=3000.0, minutes=60.0)
    session.state.stages["round-01/train"] = {"fast_ms": 2.0}
    found = []

    def of(mts):
        return trial(mts=mts, answers={"drift": "passes" if mts in passing else "fails"})

    def test(session, prefix, system, student, mts, n_steps):
        found.append(mts)
        assert n_steps >= choices.FEWEST_OUTER
        return of(mts)

    monkeypatch.setattr(rounds, "_trial", test)
    best = rounds.Round(1, {}, {}, {session.systems[0].name: of(8)})
    scan = rounds._scan(session, best)
    assert (found, rounds._largest(scan)) == (tested, largest)
    assert set(scan) == {8, *tested}
    found.clear()
    growing = {"twice": {"stability": "grows", "fastest_growth_per_ps": 2.0}}
    rounds._scan(session, replace(best, inspection=growing))
    assert found == [mts for mts in tested if mts != 16]
    found.clear()
    monkeypatch.setattr(Session, "left_s", lambda self, *, all_of_it: 0.0)
    assert (set(rounds._scan(session, best)), found) == ({8}, [])
