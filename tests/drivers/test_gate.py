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
    """A model, changed behind its back; it counts structures."""

    def __init__(self, change=lambda result, structure: result):
        self._model, self._change = model(), change
        self.kinds, self.description = self._model.kinds, "never said"
        self.n_calls = 0
        self.closed = False

    def evaluate(self, structure, wanted):
        self.n_calls += 1
        found = self._model.evaluate(structure, wanted)
        return {kind: self._change(each, structure) for kind, each in found.items()}

    def close(self):
        self.closed = True


def same(found, expected):
    assert found.keys() == expected.keys()
    for kind, each in expected.items():
        np.testing.assert_array_equal(found[kind].forces, each.forces)
        np.testing.assert_array_equal(found[kind].virial, each.virial)
        np.testing.assert_array_equal(found[kind].energy, each.energy)


def test_what_agrees_is_called_twice_for_a_new_shape_and_alone_afterwards(caplog):
    eager, compiled = Changed(), Changed()
    eager.dtype, eager.description = "float64", "argon (nowhere, float64)"
    backend = GatedBackend(eager, compiled)
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
    eager.dtype, eager.description = "float64", "argon (nowhere, float64)"
    backend = GatedBackend(eager, compiled)
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
    eager.dtype, eager.description = "float64", "argon (nowhere, float64)"
    backend = GatedBackend(eager, Changed(small_ones_only))
    for n in (5, 5, 4):
        backend.evaluate(structure(n), BOTH)
    assert not caplog.records
    for n in (6, 5, 6):
        same(backend.evaluate(structure(n), BOTH), model().evaluate(structure(n), BOTH))
    (record,) = caplog.records
    assert "is not compiled: conservative forces differ by" in record.getMessage()


def test_an_error_of_the_model_as_it_is_is_raised_and_changes_nothing():
    eager, compiled = Changed(fails), Changed()
    eager.dtype, eager.description = "float64", "argon (nowhere, float64)"
    backend = GatedBackend(eager, compiled)
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
