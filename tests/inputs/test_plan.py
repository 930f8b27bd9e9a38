"""The plan: steps, weights, cost, and what it refuses."""

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.plan import Plan


def test_mts_plan_of_the_paper():
    plan = Plan.from_time("mts", 8, 0.5, 1.0)
    assert (plan.outer_step_fs, plan.n_outer, plan.n_inner) == (4.0, 250, 2000)
    assert plan.time_ps == pytest.approx(1.0, abs=1e-12)  # a product of exact numbers, rounded once
    assert plan.components == ("slow", "fast")
    assert plan.nmts == (1, 8)
    assert plan.weights == {"slow": (1, 0), "fast": (-1, 1)}


@pytest.mark.parametrize("forces", ["slow", "fast"])
def test_single_force(forces):
    plan = Plan.from_time(forces, 1, 0.5, 1.0)
    assert (plan.outer_step_fs, plan.n_outer) == (0.5, 2000)
    assert plan.components == (forces,)
    assert plan.nmts == (1,)
    assert plan.weights == {forces: (1,)}


def test_only_the_slow_potential_counts():
    sums = {name: sum(weights) for name, weights in Plan("mts", 8, 0.5, 1).weights.items()}
    assert sums == {"slow": 1, "fast": 0}


@pytest.mark.parametrize(
    ("forces", "joint", "cost"),
    [
        ("mts", False, (8 + 2.26) / 8),
        ("mts", True, (7 + 2.26) / 8),
        ("slow", False, 2.26),
        ("fast", True, 1.0),
    ],
)
def test_relative_cost(forces, joint, cost):
    plan = Plan(forces, 8 if forces == "mts" else 1, 0.5, 1)
    assert plan.relative_cost(2.26, joint) == pytest.approx(cost, rel=1e-15)  # one rounding


def test_time_is_rounded_up_to_whole_outer_steps():
    assert Plan.from_time("mts", 16, 0.5, 0.1).n_outer == 13  # 12.5 outer steps of 8 fs
    assert Plan.from_time("mts", 6, 0.5, 0.3).n_outer == 100  # 0.3 ps isn't a binary number


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mts", 0, 0.5, 1.0), "M must be 1 or more inner steps, got 0"),
        (("mts", -3, 0.5, 1.0), "M must be 1 or more inner steps, got -3"),
        (("slow", 8, 0.5, 1.0), "M = 8 needs --forces mts, got slow forces alone"),
        (("both", 1, 0.5, 1.0), "slow, fast or mts, got 'both'"),
        (("slow", 1, 0.0, 1.0), "inner time step must be positive, got 0.0 fs"),
        (("slow", 1, float("nan"), 1.0), "inner time step must be positive, got nan fs"),
        (("slow", 1, 0.5, -1.0), "time must be positive, got -1.0 ps"),
        (("slow", 1, 0.5, float("inf")), "time must be positive, got inf ps"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        Plan.from_time(*arguments)
