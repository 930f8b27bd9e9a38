"""Batches with joint evaluation: one call of the model for all structures of a request."""

from dataclasses import replace

import numpy as np
import pytest

from ncforce_ipi.backend import Structure
from ncforce_ipi.errors import ModelError
from ncforce_ipi.serve import joint, points
from ncforce_ipi.serve.evaluator import Evaluator
from tests.serve.test_joint import CELL, KINDS, NUMBERS, Beads, Counting, at


class Together(Counting):
    """Counts calls and structures; forces tell positions and kind apart."""

    batched = True

    def __init__(self):
        super().__init__()
        self.sizes = []

    def evaluate_batch(self, structures, wanted):
        found = [super(Together, self).evaluate(one, wanted) for one in structures]
        self.calls["+".join(sorted(wanted.kinds))] -= len(structures) - 1
        self.sizes.append(len(structures))
        return found


def ask(evaluator, structures, role):
    found = evaluator.evaluate_batch(structures, role)
    for structure, got in zip(structures, found, strict=True):
        forces = (-1.0 if KINDS[role] == "conservative" else -1.1) * structure.positions
        if role == "fast":
            forces = forces - [column.mean() for column in forces.T]
        np.testing.assert_array_equal(got.forces, forces)


def simulate(evaluator, beads, mts, n_outer, size=None):
    """Requests of a path integral: all beads of a step, in batches that i-PI fills up."""
    for step in range(n_outer * mts + 1):
        for role in ("fast", "slow") if step % mts == 0 else ("fast",):
            every = [at(positions) for positions in beads.positions]
            size = size or len(every)
            for k in range(0, len(every), size):
                batch = every[k : k + size]
                ask(evaluator, batch + batch[-1:] * (size - len(batch)), role)
        beads.move()


@pytest.mark.parametrize("spread_A", [0.3, 0.0])
@pytest.mark.parametrize("n_beads", [1, 2, 8, 100])
def test_a_path_integral_needs_one_call_for_each_inner_step(n_beads, spread_A):
    """From the first cycle on, wherever the beads begin and however close they are."""
    backend = Together()
    evaluator = Evaluator(backend, KINDS, mts=4)
    simulate(evaluator, Beads(n_beads, spread_A=spread_A), 4, n_outer=10)
    assert backend.calls == {"conservative+direct": 11, "direct": 30}
    assert set(backend.sizes) == {n_beads, *[1] * (spread_A == 0.0)}  # there all begin at one place
    assert (evaluator.calls.joint, evaluator.calls.single) == (11, 30)
    assert evaluator.counts.misses == evaluator.counts.wasted == 0


def test_M_is_learnt_where_it_is_not_told():
    backend = Together()
    simulate(Evaluator(backend, KINDS), Beads(8), 4, n_outer=10)
    assert backend.calls["conservative"] == 1  # the end of the first cycle
    assert backend.calls["conservative+direct"] == 10


@pytest.mark.parametrize("size", [3, 5])
def test_batches_that_are_filled_up_with_copies(size):
    backend = Together()
    evaluator = Evaluator(backend, KINDS, mts=2)
    simulate(evaluator, Beads(8), 2, n_outer=5, size=size)
    n_batches = -(-8 // size)
    assert set(backend.sizes) <= {size, 8 % size}  # copies are evaluated once
    assert evaluator.counts.misses <= 8  # the first batch begins at an outer point, the others not
    assert evaluator.calls.joint >= 5 * n_batches


def test_without_joint_evaluation_copies_are_evaluated_once():
    backend = Together()
    evaluator = Evaluator(backend, {"fast": "direct"})
    first, last = (at(positions) for positions in Beads(2).positions)
    ask(evaluator, [first, last, replace(last), replace(last)], "fast")
    assert backend.sizes == [2]


def test_a_single_structure_that_seems_elsewhere_goes_with_the_others():
    """So that a batch has the same composition in an uninterrupted and in a resumed run."""
    backend = Together()
    evaluator = Evaluator(backend, KINDS, mts=4)
    beads = Beads(8)
    simulate(evaluator, beads, 4, n_outer=2)
    lost = next(iter(evaluator._own.memory._open.values()))
    lost.phase = 2
    for step in range(1, 5):
        ask(evaluator, [at(p) for p in beads.positions], "fast")
        if step < 4:
            beads.move()
    ask(evaluator, [at(p) for p in beads.positions], "slow")
    assert set(backend.sizes) == {8}
    assert backend.calls["conservative"] == 0


def test_systems_at_different_stages_are_two_calls():
    backend = Together()
    evaluator = Evaluator(backend, KINDS, mts=2)
    one, two = Beads(2, seed=1), Beads(2, seed=2)
    ask(evaluator, [at(p) for p in one.positions], "fast")
    ask(evaluator, [at(p) for p in one.positions], "slow")
    one.move()
    ask(evaluator, [at(p) for p in (*one.positions, *two.positions)], "fast")
    ask(evaluator, [at(p) for p in two.positions], "slow")
    one.move()
    two.move()
    backend.sizes.clear()
    ask(evaluator, [at(p) for p in (*one.positions, *two.positions)], "fast")
    assert backend.sizes == [2, 2]


def test_structures_of_one_request_with_equal_marks_are_not_mixed():
    n_atoms = 3 * points.MARKED_ATOMS
    numbers = np.ones(n_atoms, np.int32)
    positions = np.random.default_rng(0).normal(size=(n_atoms, 3))
    other = positions.copy()
    other[1] += 1.0  # an atom without a mark
    backend = Together()
    evaluator = Evaluator(backend, KINDS, mts=1)
    structures = [Structure(numbers, r, CELL) for r in (positions, other, positions.copy())]
    for role in ("fast", "slow", "fast"):
        ask(evaluator, structures, role)
    assert 3 not in backend.sizes


def test_more_structures_than_are_remembered(monkeypatch):
    monkeypatch.setattr(joint, "MAX_POINTS", 6)
    monkeypatch.setattr(joint, "MAX_KEPT_BYTES", 4000)
    evaluator = Evaluator(Together(), KINDS, mts=2)
    simulate(evaluator, Beads(10), 2, n_outer=5)
    memory = evaluator._own.memory
    assert memory._kept_bytes == sum(p.kept_bytes for p in memory._points.values()) <= 4000


def test_a_joint_call_of_a_batch_that_fails_is_no_failure():
    backend = Together()
    backend.fails_jointly = True
    evaluator = Evaluator(backend, KINDS, mts=2)
    simulate(evaluator, Beads(4), 2, n_outer=4)
    assert backend.calls["conservative"] == 5
    assert evaluator.counts.hits == 0


def test_errors_say_role_and_evaluation():
    class Failing(Together):
        def evaluate_batch(self, structures, wanted):
            raise ModelError("counting failed")

    evaluator = Evaluator(Failing(), KINDS)
    with pytest.raises(ModelError, match=r"^counting failed \(role slow, evaluation 0\)$"):
        evaluator.evaluate_batch([Structure(NUMBERS, np.zeros((len(NUMBERS), 3)), CELL)], "slow")
