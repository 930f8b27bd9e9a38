"""What the card and its figure say, from numbers alone."""

from __future__ import annotations

import math

from ncforce_ipi import plots
from ncforce_ipi.distil import card, figures
from ncforce_ipi.distil.rounds import Round
from ncforce_ipi.distil.trial import Trial


def trial(mts, *, drift="passes", excess=0.1, ci95=0.2, bound=3.0, by_bound=False, ended=""):
    return Trial(
        mts=mts, ended=ended, drift_meV_per_atom_per_ps=excess,
        drift_ci95_meV_per_atom_per_ps=ci95, excess_meV_per_atom_per_ps=excess,
        excess_ci95_meV_per_atom_per_ps=ci95, bound_meV_per_atom_per_ps=bound,
        answers={"drift": drift}, temperatures_K={}, reference_temperatures_K={}, rdf_sigmas={},
        ms_per_inner_step=10.0, reference_ms_per_inner_step=50.0, rms_eV_per_A=0.02,
        largest_rms_eV_per_A=0.03, time_ps=2.0, by_bound=by_bound,
    )  # fmt: skip


def facts_of(trials, **changes):
    """Of a card, with tests of one system."""
    errors = {f"{k}_meV_per_A": {"all": 20.0} for k in ("direct", "conservative", "force")}
    return {
        "allowed_mts": 8, "asked_mts": 8, "why_not": [], "inner_step_fs": 2.0,
        "teacher": {"description": "t", "spec": "t", "sha256": None}, "structures": ["a.xyz"],
        "temperatures_K": [1000.0], "npt": False, "teacher_calls": 9, "minutes": 1.0, "rounds": 1,
        "round_taken": 1, "data": {"displaced": 3}, "speed_up": {"measured": 5.0, "predicted": 6.0},
        "slow_minus_fast_rms_eV_per_A": {"expected": 0.02, "upper": 0.03},
        "held_out_errors": errors, "inspection": {"why_not": "no bonds"},
        "choices": {"hot": 1.5}, "command": "run",
        "tests": {str(one.mts): {"s": one.to_dict() | {"passes": one.passes}} for one in trials},
    } | changes  # fmt: skip


def test_the_card_says_what_a_drift_is_known_by():
    """An interval, what the run changed by where that decided, or that there is neither."""
    page = card.page(facts_of([
        trial(4, ci95=0.3), trial(8, ci95=0.8, bound=0.48, by_bound=True),
        trial(16, drift="fails", excess=math.inf, ci95=0.0, bound=4.0, ended="it ran away"),
    ]))  # fmt: skip
    assert "| 4 | s | 2 | 0.1 +- 0.3 |" in page
    assert "| 8 | s | 2 | 0.1 +- 0.8; changed by 0.48 at most |" in page
    assert "| 16 | s | 2 | -; changed by 4 at most |" in page


def test_the_card_knows_how_hot_the_data_are():
    """1000 K; 1.5 times that where frames of hot runs were learnt."""
    assert "up to about 1000 K" in card.page(facts_of([trial(8)]))
    hot = card.page(facts_of([trial(8)], data={"displaced": 3, "round-01": 9}, rounds=2))
    assert "up to about 1500 K" in hot
    assert ("1 round;" in card.page(facts_of([trial(8)])), "2 rounds;" in hot) == (True, True)


def test_every_point_of_a_figure_is_within_its_panel():
    """The first round's, whose errors differ by little; a run without a drift is named."""
    errors = {"direct_meV_per_A": {"all": 23.1}, "conservative_meV_per_A": {"all": 22.6}}
    with plots.style():
        _, (learning, drifts) = plots.figure(1, 2)
        figures._learning(learning, [Round(1, errors, {}, {"s": trial(8)})])
        scan = {8: [trial(8, ci95=0.8, bound=0.48, by_bound=True)],
                16: [trial(16, drift="fails", excess=math.inf)]}  # fmt: skip
        figures._drifts(drifts, scan, 0.5)
        for line in learning.get_lines():
            low, high = learning.get_ylim()
            assert low < min(line.get_ydata()) <= max(line.get_ydata()) < 0.9 * high
        assert [text.get_text() for text in drifts.texts] == ["ran away"]
        labels = [text.get_text() for text in drifts.get_legend().get_texts()]
        assert labels == ["allowed", "change in the run"]
