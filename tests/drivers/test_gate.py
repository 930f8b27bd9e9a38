"""A compiled model is used where it agrees with the model as it is, and nowhere else."""

import logging
import re
from dataclasses import replace

import numpy as np
import pytest

from ncforce_ipi.backend import Backend, Evaluation, Structure, Wanted
from ncforce_ipi.drivers import analytic, loading
from ncforce_ipi.drivers.gate import GatedBackend, disagreement
from ncforce_ipi.errors import ModelError

BOTH = Wanted(frozenset(["conservative", "direct"]), direct_energy=True, direct_virial=True)
DIRECT = Wanted(frozenset(["direct"]))
CELL = np.diag([12.0, 13.0, 14.0])


def structure(n, cell=CELL, seed=1):
    random = np.random.default_rng(seed)
    return Structure(np.full(n, 18, np.int32), 10.0 * random.random((n, 3)), cell)


def model():
    backend = analytic.load("lennard-jones")
    backend.dtype = "float64"
    return backend


class Changed(Backend):
    """A model, changed behind its back; it counts structures, and sizes that it has compiled."""

    def __init__(self, change=lambda result, structure: result):
        self._model, self._change = model(), change
        self.kinds, self.description = self._model.kinds, "never said"
        self.n_calls = 0
        self.sizes = set()
        self.closed = False

    def evaluate(self, structure, wanted):
        self.n_calls += 1
        self.sizes.add(len(structure.numbers))
        found = self._model.evaluate(structure, wanted)
        return {kind: self._change(each, structure) for kind, each in found.items()}

    def close(self):
        self.closed = True


def gated(eager, compiled, n_compiled=None):
    eager.dtype, eager.description = "float64", "argon (nowhere, float64)"
    return GatedBackend(eager, compiled, n_compiled=n_compiled or (lambda: len(compiled.sizes)))


def same(found, expected):
    assert found.keys() == expected.keys()
    for kind, each in expected.items():
        np.testing.assert_array_equal(found[kind].forces, each.forces)
        np.testing.assert_array_equal(found[kind].virial, each.virial)
        np.testing.assert_array_equal(found[kind].energy, each.energy)


def test_what_agrees_is_called_twice_for_a_new_shape_and_alone_afterwards(caplog):
    eager, compiled = Changed(), Changed()
    backend = gated(eager, compiled)
    assert backend.description == "argon (nowhere, float64, compiled)"
    calls = (
        (structure(5), BOTH, 1),
        (structure(5, seed=2), BOTH, 1),
        (structure(6), BOTH, 2),
        (structure(5, cell=np.zeros((3, 3))), BOTH, 3),
        (structure(5), DIRECT, 4),
        (structure(5, cell=1.1 * CELL), BOTH, 4),
        (structure(6, seed=4), BOTH, 4),
    )
    for k, (each, wanted, n_eager) in enumerate(calls):
        same(backend.evaluate(each, wanted), model().evaluate(each, wanted))
        assert (eager.n_calls, compiled.n_calls) == (n_eager, k + 1)
    backend.evaluate_batch([structure(5), structure(5)], BOTH)
    assert eager.n_calls == 6, "a batch is another shape"
    assert not caplog.records
    backend.close()
    assert eager.closed
    assert compiled.closed


def one_force(result, structure):
    forces = result.forces.copy()
    forces[-1, 2] += 1e-9 * (1.0 + np.abs(forces).max())
    return replace(result, forces=forces)


def fails(result, structure):
    raise ModelError("no C++ compiler found")


def small_ones_only(result, structure):
    return result if len(structure.numbers) < 6 else one_force(result, structure)


BROKEN = {
    "a force": (one_force, r"conservative forces differ by .*e-\d+, more than rounding"),
    "no number": (
        lambda result, _: replace(result, forces=result.forces * np.nan),
        "conservative forces differ by nan",
    ),
    "the energy": (
        lambda result, _: replace(result, energy=result.energy + 1e-6),
        "conservative energy differ by 1e-06",
    ),
    "the virial": (
        lambda result, _: replace(result, virial=result.virial + 1e-3),
        "conservative virial differ by 0.001",
    ),
    "a failure": (fails, "no C\\+\\+ compiler found"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_differs_is_never_used(how, caplog):
    change, says = BROKEN[how]
    eager, compiled = Changed(), Changed(change)
    backend = gated(eager, compiled)
    with caplog.at_level(logging.WARNING):
        for seed in range(3):
            each = structure(7, seed=seed)
            same(backend.evaluate(each, BOTH), model().evaluate(each, BOTH))
    assert compiled.n_calls == 1
    (record,) = caplog.records
    assert record.getMessage().startswith("argon (nowhere, float64) is not compiled: ")
    assert record.getMessage().endswith("; slower, but right")
    assert re.search(says, record.getMessage())
    assert "compiled" not in backend.description


def test_the_gate_stands_at_every_new_shape(caplog):
    eager = Changed()
    backend = gated(eager, Changed(small_ones_only))
    for n in (5, 5, 4):
        backend.evaluate(structure(n), BOTH)
    assert not caplog.records
    for n in (6, 5, 6):
        same(backend.evaluate(structure(n), BOTH), model().evaluate(structure(n), BOTH))
    (record,) = caplog.records
    assert "is not compiled: conservative forces differ by" in record.getMessage()


def test_a_call_that_passes_has_the_numbers_of_the_calls_after_it(caplog):
    """So that a run that begins again goes on bitwise as one that didn't stop."""

    def rounded(result, _):
        return replace(result, forces=result.forces * (1.0 + 1e-15))

    eager, compiled = Changed(), Changed(rounded)
    backend = gated(eager, compiled)
    first, second = (backend.evaluate(structure(7), BOTH)["direct"].forces for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first != model().evaluate(structure(7), BOTH)["direct"].forces).any()
    assert not caplog.records


def test_a_library_that_compiles_nothing_is_said_to(caplog):
    eager, compiled = Changed(), Changed()
    backend = gated(eager, compiled, lambda: 3)
    for _ in range(2):
        same(backend.evaluate(structure(5), BOTH), model().evaluate(structure(5), BOTH))
    assert compiled.n_calls == 1
    (record,) = caplog.records
    assert "is not compiled: its library compiled nothing; slower" in record.getMessage()


@pytest.mark.parametrize("right", [True, False])
def test_what_is_compiled_anew_for_a_known_shape_is_checked(right, caplog):
    n_compiled = [1]

    def change(result, _):
        if compiled.n_calls in (1, 4):
            n_compiled[0] += 1
        return result if right or compiled.n_calls < 4 else one_force(result, _)

    eager, compiled = Changed(), Changed(change)
    backend = gated(eager, compiled, lambda: n_compiled[0])
    for seed in range(6):
        each = structure(7, seed=seed)
        same(backend.evaluate(each, BOTH), model().evaluate(each, BOTH))
    assert eager.n_calls == (2 if right else 4), "at the first call and at the fourth"
    assert compiled.n_calls == (7 if right else 5), "a call in which it compiled is made again"
    assert [record.getMessage() for record in caplog.records] == ([] if right else [
        "argon (nowhere, float64) is not compiled: " + backend.why_not + "; slower, but right"
    ])  # fmt: skip
    assert backend.why_not.startswith("" if right else "conservative forces differ by")


def test_a_compiled_call_that_fails_later_is_answered_by_the_model_as_it_is(caplog):
    def change(result, _):
        if compiled.n_calls > 2:
            raise RuntimeError("no space left on device\n")
        return result

    eager, compiled = Changed(), Changed(change)
    backend = gated(eager, compiled)
    for seed in range(5):
        each = structure(7, seed=seed)
        same(backend.evaluate(each, BOTH), model().evaluate(each, BOTH))
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "is not compiled: no space left on device; slower, but right"
    )
    assert (eager.n_calls, compiled.n_calls) == (4, 4)


def test_a_structure_that_neither_can_take_is_an_error_and_changes_nothing(caplog):
    def fails_once(result, structure):
        return fails(result, structure) if structure.positions[0, 0] > 50.0 else result

    eager, compiled = Changed(fails_once), Changed(fails_once)
    backend = gated(eager, compiled)
    backend.evaluate(structure(5), BOTH)
    moved = replace(structure(5), positions=structure(5).positions + 100.0)
    with pytest.raises(ModelError, match="no C"):
        backend.evaluate(moved, BOTH)
    n_eager = eager.n_calls
    same(backend.evaluate(structure(5), BOTH), model().evaluate(structure(5), BOTH))
    assert eager.n_calls == n_eager
    assert not caplog.records


def test_an_error_of_the_model_as_it_is_is_raised_and_changes_nothing():
    eager, compiled = Changed(fails), Changed()
    backend = gated(eager, compiled)
    with pytest.raises(ModelError, match="no C"):
        backend.evaluate(structure(3), BOTH)
    assert backend.why_not == ""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_is_let_through_and_ten_times_what_is_allowed_is_not(dtype):
    each = model().evaluate(structure(9), BOTH)["conservative"]
    eps = float(np.finfo(dtype).eps)
    rounded = Evaluation(
        each.energy * (1 + 10 * eps), each.forces * (1 + 10 * eps), each.virial * (1 + 10 * eps)
    )
    assert disagreement(rounded, each, dtype) == ""
    allowed = {"float32": 1e-5, "float64": 1e-11}[dtype] * (np.abs(each.forces).max() + 1.0)
    wrong = replace(each, forces=each.forces + 10 * allowed)
    assert disagreement(wrong, each, dtype).startswith("forces differ by")


def test_the_line_of_a_compiler_says_what_failed_not_how_to_debug_it():
    advice = "Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace\n\n"
    err = RuntimeError(f"backend='inductor' raised:\nInvalidCxxCompiler: no c++\n\n{advice}")
    assert loading.one_line(err) == "InvalidCxxCompiler: no c++"
