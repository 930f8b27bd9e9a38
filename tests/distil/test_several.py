"""One model in several processes: who takes what, in which order it comes back, what may fail."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from ase.build import bulk

from ncforce_ipi.backend import Backend, Evaluation, Structure, Wanted
from ncforce_ipi.distil.several import Several, load_several
from ncforce_ipi.distil.teacher import CONSERVATIVE, Teacher
from ncforce_ipi.errors import ModelError, OutputError
from ncforce_ipi.reading.structures import to_structure

WANTED = Wanted(frozenset(["conservative"]))
LJ = """analytic:lennard-jones --arguments '{"cutoff_A": 5.0}'"""
ENOUGH_S = 60.0


class Counting(Backend):
    """The energy is the sum of all coordinates; it waits for the others at its first structure."""

    kinds = frozenset(["conservative"])
    description = "counting"

    def __init__(self, together=None, error=None, batched=False):
        self.together, self.error, self.batched = together, error, batched
        self.sizes, self.closed = [], False

    def evaluate(self, structure, wanted):
        if self.together is not None and not self.sizes:
            self.together.wait(ENOUGH_S)
        self.sizes.append(1)
        if self.error:
            raise self.error
        forces = np.ones((len(structure.numbers), 3))
        energy = float(structure.positions.sum())
        return {"conservative": Evaluation(energy, forces, np.full((3, 3), np.nan))}

    def evaluate_batch(self, structures, wanted):
        found = super().evaluate_batch(structures, wanted)
        self.sizes[-len(found) :] = [len(found)]
        return found

    def close(self):
        self.closed = True


def structures(n):
    return [Structure(np.array([1], np.int32), np.full((1, 3), float(k)), np.zeros((3, 3)))
            for k in range(n)]  # fmt: skip


def energies(found):
    return [one["conservative"].energy for one in found]


def test_all_take_a_part_and_the_order_is_kept():
    """Each waits for all others at its first one: they work at the same time, or this fails."""
    together = threading.Barrier(3)
    members = [Counting(together) for _ in range(3)]
    found = Several(members).evaluate_batch(structures(20), WANTED)
    assert energies(found) == [3.0 * k for k in range(20)]
    assert sum(len(one.sizes) for one in members) == 20
    assert all(one.sizes for one in members)


def test_models_that_take_batches_get_equal_ones():
    members = [Counting(threading.Barrier(1), batched=True) for _ in range(2)]
    several = Several(members)
    assert energies(several.evaluate_batch(structures(6), WANTED)) == [3.0 * k for k in range(6)]
    assert sorted(members[0].sizes + members[1].sizes) == [3, 3]
    several.evaluate_batch(structures(100), WANTED)
    assert max(members[0].sizes + members[1].sizes) == 8  # and no more at once


def test_what_one_that_fails_had_taken_is_left_to_the_others(caplog):
    together = threading.Barrier(2)
    bad, good = Counting(together, ModelError("it's gone")), Counting(together)
    several = Several([bad, good])
    found = several.evaluate_batch(structures(5), WANTED)
    assert energies(found) == [3.0 * k for k in range(5)]
    assert (len(bad.sizes), len(good.sizes), bad.closed) == (1, 5, True)
    assert "one process less for counting: it's gone" in caplog.text
    assert energies(several.evaluate_batch(structures(1), WANTED)) == [
        0.0
    ]  # by the one that is left


def test_no_one_is_left():
    bad = [Counting(threading.Barrier(1), ModelError(f"{k} is gone")) for k in range(2)]
    with pytest.raises(ModelError, match="is gone"):
        Several(bad).evaluate_batch(structures(5), WANTED)


def test_what_all_would_say_is_said_at_once():
    bad = Counting(error=OutputError("the force is not finite"))
    with pytest.raises(OutputError, match="the force is not finite"):
        Several([bad, Counting(), Counting()]).evaluate_batch(structures(50), WANTED)


def test_a_driver_beside_this_process_gives_the_same_forces():
    """Of a real one, at a socket; and the calls of both are counted once."""
    start = bulk("Ar", "fcc", a=5.4, cubic=True) * 2
    random, frames = np.random.default_rng(1), []
    for _ in range(6):
        frame = start.copy()
        frame.positions += random.normal(0.0, 0.1, frame.positions.shape)
        frames.append(frame)
    with load_several(LJ, "conservative", 1) as one, Teacher(LJ, drivers=2) as teacher:
        alone = one.evaluate_batch([to_structure(a) for a in frames], CONSERVATIVE)
        labelled = teacher.label(frames)
        assert teacher.calls == 6
        teacher.label(frames)
        assert teacher.calls == 6  # they are known
        known = teacher.check([start], npt=True)  # of the model itself, which has a stress
    assert known.description == "lennard-jones (analytic, float64)"
    for a, there in zip(labelled, alone, strict=True):
        # the wire is in atomic units, and the driver's cell is turned: rounding of some ulp
        assert a.get_forces() == pytest.approx(there["conservative"].forces, rel=1e-9, abs=1e-12)
        assert a.get_potential_energy() == pytest.approx(there["conservative"].energy, rel=1e-12)
