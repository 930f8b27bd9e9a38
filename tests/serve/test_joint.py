"""Joint evaluation: what is evaluated when, for whom, and that no number depends on it."""

from collections import Counter

import numpy as np
import pytest

from ncforce_ipi.backend import Backend, Evaluation, Structure
from ncforce_ipi.errors import ModelError
from ncforce_ipi.serve import joint, points
from ncforce_ipi.serve.evaluator import Evaluator

CELL = np.eye(3) * 9.0
N_ATOMS = 20
NUMBERS = np.ones(N_ATOMS, np.int32)
KINDS = {"slow": "conservative", "fast": "direct"}


class Counting(Backend):
    """Forces that tell positions and kind apart; counts calls for each set of kinds."""

    kinds = stress = frozenset(["conservative", "direct"])
    description = "counting"

    def __init__(self):
        self.calls = Counter()
        self.fails_jointly = False

    def evaluate(self, structure, wanted):
        self.calls["+".join(sorted(wanted.kinds))] += 1
        if self.fails_jointly and len(wanted.kinds) > 1:
            raise ModelError("out of memory")
        scale = {"conservative": -1.0, "direct": -1.1}
        return {
            kind: Evaluation(1.0, scale[kind] * structure.positions, np.zeros((3, 3)))
            for kind in wanted.kinds
        }


def at(positions, cell=CELL):
    return Structure(NUMBERS, positions.copy(), cell.copy())


class Beads:
    """Steps of 0.01 A, nearly straight; beads are about 0.3 A apart, or start at one place."""

    def __init__(self, n_beads, seed=0, spread_A=0.3, n_atoms=N_ATOMS):
        self.rng = np.random.default_rng(seed)
        start = self.rng.normal(size=(n_atoms, 3)) * 3.0
        self.positions = start + spread_A * self.rng.normal(size=(n_beads, n_atoms, 3))
        self.velocities = self.rng.normal(size=self.positions.shape)

    def move(self):
        self.velocities += 0.1 * self.rng.normal(size=self.positions.shape)
        self.positions = self.positions + 0.01 * self.velocities

    def order(self):
        return self.rng.permutation(len(self.positions))


def ask(evaluator, positions, role):
    got = evaluator.evaluate(at(positions), role)
    scale = -1.0 if KINDS[role] == "conservative" else -1.1
    expected = scale * positions
    if role == "fast":
        expected = expected - [column.mean() for column in expected.T]  # to the last bit
    np.testing.assert_array_equal(got.forces, expected)


def simulate(evaluator, beads, mts, n_outer, slow_first=False):
    """Requests of i-PI's integrator, the beads of each step in any order."""
    roles = ("slow", "fast") if slow_first else ("fast", "slow")
    for step in range(n_outer * mts + 1):
        outer = step % mts == 0
        for role in roles if outer else ("fast",):
            for bead in beads.order():
                ask(evaluator, beads.positions[bead], role)
        beads.move()


@pytest.mark.parametrize("mts", [1, 2, 8])
@pytest.mark.parametrize("told", [True, False])
def test_one_trajectory_needs_one_call_for_each_inner_step(mts, told):
    backend = Counting()
    evaluator = Evaluator(backend, KINDS, mts=mts if told else None)
    simulate(evaluator, Beads(1), mts, n_outer=10)
    missed = 0 if told else 1  # the first cycle is learnt from
    assert backend.calls["conservative+direct"] == 11 - missed
    assert backend.calls["direct"] == 10 * (mts - 1) + missed
    assert backend.calls["conservative"] == missed
    assert evaluator.counts == joint.Counts(hits=11 - missed, misses=missed)
    assert evaluator.calls.joint == 11 - missed


def test_a_wrong_guess_of_M_is_corrected():
    backend = Counting()
    evaluator = Evaluator(backend, KINDS, mts=3)
    simulate(evaluator, Beads(1), mts=4, n_outer=10)
    # in vain at phase 3, missed at phase 4, then right
    assert evaluator.counts == joint.Counts(hits=10, misses=1, wasted=1)


@pytest.mark.parametrize("spread_A", [0.3, 0.0])
@pytest.mark.parametrize("n_beads", [2, 8, 32, 100])
def test_beads_in_any_order(n_beads, spread_A):
    """Apart, the first cycle of all but one bead is missed: nothing tells them from one that moves.

    Beads that start at one place are answered from one evaluation there.
    """
    backend = Counting()
    evaluator = Evaluator(backend, KINDS, mts=4)
    simulate(evaluator, Beads(n_beads, spread_A=spread_A), 4, n_outer=20)
    counts = evaluator.counts
    asked = 21 * n_beads
    if spread_A == 0.0:  # of a hundred beads of 20 atoms, a few are still close after one step
        assert max(counts.misses, counts.wasted) <= (0.005 * asked if n_beads == 100 else 0)
        assert counts.repeated == 2 * (n_beads - 1)
    else:
        assert counts.misses <= 2 * n_beads
        assert counts.wasted <= 2 * n_beads
        assert counts.hits + counts.misses == asked


@pytest.mark.parametrize("n_beads", [4, 64])
def test_beads_that_cannot_be_told_apart_take_their_steps_together(n_beads):
    backend = Counting()
    evaluator = Evaluator(backend, KINDS, mts=4)
    beads = Beads(n_beads, spread_A=0.0)

    def jump():
        beads.positions = beads.rng.normal(size=beads.positions.shape)

    beads.move = jump
    simulate(evaluator, beads, 4, n_outer=20)
    counts = evaluator.counts
    assert counts.hits >= 0.9 * 20 * n_beads  # what is close by chance costs some


def test_slow_before_fast_is_joint_too():
    backend = Counting()
    evaluator = Evaluator(backend, KINDS, mts=4)
    simulate(evaluator, Beads(3), 4, n_outer=10, slow_first=True)
    assert evaluator.counts.hits >= 33 - 3  # the first three: as for beads in any order
    assert backend.calls["conservative"] <= 3


def test_slow_requests_that_no_fast_one_follows_stop_being_joint():
    backend = Counting()
    evaluator = Evaluator(backend, KINDS)
    beads = Beads(1)
    for _ in range(20):
        ask(evaluator, beads.positions[0], "slow")
        beads.move()
    assert evaluator.counts.wasted == 1
    assert backend.calls["conservative"] == 19


def test_equal_kinds_are_one_evaluation():
    backend = Counting()
    evaluator = Evaluator(backend, dict.fromkeys(KINDS, "conservative"), mts=2)
    beads = Beads(1)
    for step in range(9):
        forces = [
            evaluator.evaluate(at(beads.positions[0]), role).forces
            for role in ("fast", "slow")[: 2 - step % 2]
        ]
        np.testing.assert_array_equal(forces[0], forces[-1])
        beads.move()
    assert backend.calls == {"conservative": 9}
    assert evaluator.counts.hits == 5


@pytest.mark.parametrize("change", ["last bit", "sign of zero", "cell", "unmarked atom"])
def test_only_bitwise_the_same_structure_is_a_hit(change):
    n_atoms = 3 * points.MARKED_ATOMS
    positions = np.random.default_rng(0).normal(size=(n_atoms, 3))
    positions[0, 0] = 0.0
    changed, cell = positions.copy(), CELL.copy()
    if change == "last bit":
        changed[0, 1] = np.nextafter(changed[0, 1], 9.0)
    elif change == "sign of zero":
        changed[0, 0] = -0.0
    elif change == "cell":
        cell[0, 0] = np.nextafter(cell[0, 0], 0.0)
    else:
        changed[1, 1] = np.nextafter(changed[1, 1], 9.0)
    backend = Counting()
    evaluator = Evaluator(backend, KINDS, mts=1)
    numbers = np.ones(n_atoms, np.int32)
    evaluator.evaluate(Structure(numbers, positions, CELL), "fast")
    got = evaluator.evaluate(Structure(numbers, changed, cell), "slow")
    np.testing.assert_array_equal(got.forces, -changed)
    assert evaluator.counts.hits == 0
    assert backend.calls.total() == 2


def test_other_species_at_the_same_positions_are_no_hit():
    backend = Counting()
    evaluator = Evaluator(backend, KINDS)
    positions = Beads(1).positions[0]
    evaluator.evaluate(Structure(NUMBERS, positions, CELL), "fast")
    evaluator.evaluate(Structure(NUMBERS * 8, positions, CELL), "slow")
    assert evaluator.counts.hits == 0


def test_systems_of_different_size_on_one_driver():
    evaluator = Evaluator(Counting(), KINDS, mts=2)
    small, large = Beads(1), Beads(1, seed=1, n_atoms=200)
    for step in range(9):
        for beads in (small, large):
            for role in ("fast", "slow")[: 2 - step % 2]:
                numbers = np.ones(len(beads.positions[0]), np.int32)
                evaluator.evaluate(Structure(numbers, beads.positions[0], CELL), role)
            beads.move()
    assert evaluator.counts.hits >= 9


def test_predictions_that_never_come_true_are_given_up():
    """Fast requests as of M = 1 whose slow partner is served by somebody else."""
    backend = Counting()
    evaluator = Evaluator(backend, KINDS, mts=1)
    beads = Beads(1)
    memory = evaluator._own.memory
    for _ in range(500):
        ask(evaluator, beads.positions[0], "fast")
        for point in memory._points.values():
            point.phase = 0  # as if each were an outer point
        beads.move()
    assert backend.calls["conservative+direct"] <= joint.JUDGED + 500 // joint.PROBE + 1


def test_a_joint_call_that_fails_is_no_failure():
    backend = Counting()
    backend.fails_jointly = True
    evaluator = Evaluator(backend, KINDS, mts=2)
    simulate(evaluator, Beads(1), 2, n_outer=4)
    assert evaluator.counts.hits == 0
    assert evaluator.counts.misses == 5


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(joint, "MAX_POINTS", 16)
    monkeypatch.setattr(joint, "MAX_KEPT_BYTES", 4000)  # two points of 20 atoms
    evaluator = Evaluator(Counting(), KINDS, mts=1)
    memory = evaluator._own.memory
    for seed in range(200):
        ask(evaluator, Beads(1, seed).positions[0], "fast")
        assert len(memory._points) <= 16
        assert memory._kept_bytes <= 4000
        assert memory._kept_bytes == sum(p.kept_bytes for p in memory._points.values())
    assert len(memory._open) <= 16


def test_without_joint_evaluation_each_request_is_a_call():
    backend = Counting()
    evaluator = Evaluator(backend, KINDS, joint=False)
    simulate(evaluator, Beads(1), 4, n_outer=5)
    assert backend.calls == {"direct": 21, "conservative": 6}
    assert evaluator.counts is None


def test_one_role_is_asked_for_alone():
    backend = Counting()
    evaluator = Evaluator(backend, {"fast": "direct"}, mts=1)
    ask(evaluator, Beads(1).positions[0], "fast")
    assert backend.calls == {"direct": 1}
